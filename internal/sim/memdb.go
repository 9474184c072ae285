package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// memory is a JobDB without a disk: it keeps exactly what was committed, however
// its owner ends, and it fences owners by their epochs as a real one does.
type memory struct {
	mu struct {
		sync.Mutex
		epoch        uint64
		jobs         map[centrifuge.ID]*memoryJob
		transactions map[string]jobdb.Transaction // that ended
		preparations map[string]jobdb.Transaction
		policies     map[centrifuge.QueueKey]jobdb.Policy
		orders       []jobdb.Order
	}
}

type memoryJob struct {
	job         centrifuge.Job
	transitions []centrifuge.Transition
}

func newMemory() *memory {
	m := &memory{}
	m.mu.jobs = make(map[centrifuge.ID]*memoryJob)
	m.mu.transactions = make(map[string]jobdb.Transaction)
	m.mu.preparations = make(map[string]jobdb.Transaction)
	m.mu.policies = make(map[centrifuge.QueueKey]jobdb.Policy)
	return m
}

// open opens the JobDB under an epoch higher than all before.
func (m *memory) open(epoch uint64) (jobdb.DB, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if epoch <= m.mu.epoch {
		return nil, fmt.Errorf("open with epoch %d after %d: %w", epoch, m.mu.epoch, jobdb.ErrSuperseded)
	}
	m.mu.epoch = epoch
	return &memoryDB{m: m, epoch: epoch}, nil
}

// memoryDB is a memory as one owner has it open. It implements [jobdb.DB].
type memoryDB struct {
	m      *memory
	epoch  uint64
	closed bool // guarded by m.mu
}

var errMemoryClosed = errors.New("the JobDB is closed")

// use locks the memory for one call.
func (db *memoryDB) use(ctx context.Context) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	db.m.mu.Lock()
	if db.closed {
		db.m.mu.Unlock()
		return nil, errMemoryClosed
	}
	return db.m.mu.Unlock, nil
}

func (db *memoryDB) Commit(ctx context.Context, b *jobdb.Batch) error {
	unlock, err := db.use(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if db.epoch != db.m.mu.epoch {
		return fmt.Errorf("commit under epoch %d: %w", db.epoch, jobdb.ErrSuperseded)
	}
	seen := make(map[centrifuge.ID]bool, len(b.Jobs))
	for _, job := range b.Jobs {
		if db.m.mu.jobs[job.ID] != nil || seen[job.ID] {
			return fmt.Errorf("commit: job %s is there already", job.ID)
		}
		seen[job.ID] = true
	}
	for i := range b.Transitions() {
		if id := b.Transitions()[i].JobID; db.m.mu.jobs[id] == nil && !seen[id] {
			return fmt.Errorf("commit: a transition of job %s, which is missing", id)
		}
	}
	if err := db.m.checkTransactions(b.Transactions); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for _, job := range b.Jobs {
		db.m.mu.jobs[job.ID] = &memoryJob{job: clone(job)}
	}
	for _, t := range b.Transitions() {
		job := db.m.mu.jobs[t.JobID]
		job.transitions = append(job.transitions, t)
	}
	db.m.log(b.Transactions)
	for _, p := range b.Policies {
		p.Policy.RetryStatuses = slices.Clone(p.Policy.RetryStatuses)
		db.m.mu.policies[p.Scope] = p
	}
	db.m.mu.orders = append(db.m.mu.orders, b.Orders...)
	return nil
}

func (db *memoryDB) Load(ctx context.Context, dst []jobdb.Loaded, ids []centrifuge.ID) ([]jobdb.Loaded, error) {
	unlock, err := db.use(ctx)
	if err != nil {
		return dst, err
	}
	defer unlock()
	asked := make(map[centrifuge.ID]bool, len(ids))
	for _, id := range ids {
		if j := db.m.mu.jobs[id]; j != nil && !asked[id] {
			asked[id] = true
			last := j.last()
			dst = append(dst, jobdb.Loaded{Job: clone(&j.job), Life: centrifuge.Life{State: last.State, Attempt: last.Attempt}})
		}
	}
	return dst, nil
}

func (db *memoryDB) Trace(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	unlock, err := db.use(ctx)
	if err != nil {
		return jobdb.Trace{}, err
	}
	defer unlock()
	j := db.m.mu.jobs[id]
	if j == nil {
		return jobdb.Trace{}, fmt.Errorf("trace job %s: %w", id, jobdb.ErrNotFound)
	}
	return j.trace(), nil
}

func (db *memoryDB) Traces(ctx context.Context, ids []centrifuge.ID) ([]jobdb.Trace, error) {
	unlock, err := db.use(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var traces []jobdb.Trace
	asked := make(map[centrifuge.ID]bool, len(ids))
	for _, id := range ids {
		if j := db.m.mu.jobs[id]; j != nil && !asked[id] {
			asked[id] = true
			traces = append(traces, j.trace())
		}
	}
	return traces, nil
}

func (db *memoryDB) Known(ctx context.Context, ids []centrifuge.ID) ([]centrifuge.ID, error) {
	unlock, err := db.use(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var known []centrifuge.ID
	for _, id := range ids {
		if db.m.mu.jobs[id] != nil {
			known = append(known, id)
		}
	}
	return known, nil
}

func (db *memoryDB) Scan(ctx context.Context) iter.Seq2[*jobdb.Row, error] {
	return func(yield func(*jobdb.Row, error) bool) {
		rows, err := db.rows(ctx)
		for i := range rows {
			if err = ctx.Err(); err != nil {
				break
			}
			if !yield(&rows[i], nil) {
				return
			}
		}
		if err != nil {
			yield(nil, fmt.Errorf("scan jobs: %w", err))
		}
	}
}

// rows is what a scan that begins now sees.
func (db *memoryDB) rows(ctx context.Context) ([]jobdb.Row, error) {
	unlock, err := db.use(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	rows := make([]jobdb.Row, 0, len(db.m.mu.jobs))
	for id, j := range db.m.mu.jobs {
		last := j.last()
		if last.State != centrifuge.StateArchiving {
			last.Error = "" // as in the SQL stores, so that nobody comes to rely on it
		}
		rows = append(rows, jobdb.Row{
			ID: id, Queue: j.job.Queue(), CreatedAt: j.job.CreatedAt, ExpireAt: j.job.ExpireAt, Last: last,
		})
	}
	slices.SortFunc(rows, func(a, b jobdb.Row) int { return a.ID.Compare(b.ID) })
	return rows, nil
}

func (db *memoryDB) Policies(ctx context.Context) ([]jobdb.Policy, error) {
	unlock, err := db.use(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return slices.SortedFunc(maps.Values(db.m.mu.policies), func(a, b jobdb.Policy) int {
		return cmp.Or(cmp.Compare(a.Scope.Source, b.Scope.Source), cmp.Compare(a.Scope.Destination, b.Scope.Destination))
	}), nil
}

func (db *memoryDB) Orders(ctx context.Context, since time.Time) ([]jobdb.Order, error) {
	unlock, err := db.use(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var orders []jobdb.Order
	for _, o := range db.m.mu.orders {
		i := slices.IndexFunc(orders, func(known jobdb.Order) bool { return known.Scope == o.Scope && known.Kind == o.Kind })
		switch {
		case o.Time.Before(since):
		case i < 0:
			orders = append(orders, o)
		default:
			orders[i].Seq = max(orders[i].Seq, o.Seq)
			if o.Time.After(orders[i].Time) {
				orders[i].Time = o.Time
			}
		}
	}
	return orders, nil
}

func (db *memoryDB) Close() error {
	db.m.mu.Lock()
	defer db.m.mu.Unlock()
	db.closed = true
	return nil
}

// last is the job's last transition.
func (j *memoryJob) last() centrifuge.Transition {
	if n := len(j.transitions); n > 0 {
		return j.transitions[n-1]
	}
	return j.accepted()
}

func (j *memoryJob) trace() jobdb.Trace {
	trace := jobdb.Trace{Job: clone(&j.job)}
	if len(j.transitions) == 0 || j.transitions[0].State != centrifuge.StateAwaitingScheduling {
		trace.Transitions = append(trace.Transitions, j.accepted())
	}
	trace.Transitions = append(trace.Transitions, j.transitions...)
	return trace
}

func (j *memoryJob) accepted() centrifuge.Transition {
	return centrifuge.Transition{JobID: j.job.ID, State: centrifuge.StateAwaitingScheduling, Time: j.job.CreatedAt}
}

// clone shares nothing with the job that its holder may change.
func clone(job *centrifuge.Job) centrifuge.Job {
	c := *job
	c.Headers = slices.Clone(job.Headers)
	c.Payload = slices.Clone(job.Payload)
	return c
}
