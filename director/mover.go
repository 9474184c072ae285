package director

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"centrifuge"
	"centrifuge/jobdb"
)

// mover brings the unfinished jobs of a JobDB to another one. A tenure that has one
// takes no intake and makes no attempts.
//
// The order is what makes it exact. A job is durable there before it is logged as
// moved here, so a crash in between leaves it in both; the next mover brings it
// again, and it is passed over as known. A job that was offered once is never given
// any other end here.
type mover struct {
	t       *tenure
	o       *DrainOptions
	left    []centrifuge.ID // filled by recovery, then owned by run
	flushed []leaving       // as left: those that were ordered to the archive and go there from here
	done    chan struct{}   // closed when nothing is left
}

// resume takes down a job that waits for an attempt.
func (m *mover) resume(id centrifuge.ID, flushed bool) {
	if flushed {
		m.flushed = append(m.flushed, leaving{id, centrifuge.ErrorFlushed})
	} else {
		m.left = append(m.left, id)
	}
}

// While the target refuses, it is tried again after waits that double up to this.
const moveBackoff = 5 * time.Second

// run moves until nothing is left. What it cannot go on after fails the tenure.
func (m *mover) run(ctx context.Context) {
	if err := m.move(ctx); err != nil {
		if ctx.Err() == nil {
			m.t.fail(err)
		}
		return
	}
	close(m.done)
}

func (m *mover) move(ctx context.Context) error {
	began, total := m.t.o.Now(), len(m.left)
	if err := m.sweep(ctx); err != nil {
		return fmt.Errorf("find out what is in %s: %w", m.o.Former.Name, err)
	}
	if err := m.bringWords(ctx); err != nil {
		return err
	}
	if err := m.bringJobs(ctx); err != nil {
		return err
	}
	for left := m.flushed; len(left) > 0; {
		var err error
		if left, err = m.t.archiver.object(ctx, left); err != nil {
			return fmt.Errorf("archive what was ordered to the archive: %w", err)
		}
	}
	if err := m.t.log.sync(ctx); err != nil {
		return err
	}
	select {
	case <-m.t.archiver.resumed:
	case <-ctx.Done():
		return ctx.Err()
	}
	m.t.o.Logger.Info("drained", "jobdb", m.o.Name, "to", m.o.To, "jobs", total, "took", m.t.o.Now().Sub(began).Round(time.Millisecond))
	return nil
}

// sweep logs as moved what an earlier drain had brought to another JobDB.
func (m *mover) sweep(ctx context.Context) error {
	if m.o.Former == nil || m.o.Former.Name == m.o.To {
		return nil
	}
	rest := m.left[:0]
	for left := m.left; len(left) > 0; {
		n := min(len(left), loadBatch)
		found, err := m.o.Former.Known(ctx, left[:n])
		if err != nil {
			return err
		}
		loaded, err := m.t.db.Load(ctx, nil, found)
		if err != nil {
			return err
		}
		there := make(map[centrifuge.ID]bool, len(loaded))
		for i := range loaded {
			there[loaded[i].Job.ID] = true
			if err := m.moved(&loaded[i].Job, loaded[i].Life, m.o.Former.Name); err != nil {
				return err
			}
		}
		for _, id := range left[:n] {
			if !there[id] {
				rest = append(rest, id)
			}
		}
		left = left[n:]
	}
	m.left = rest
	if err := m.sweepPrepared(ctx); err != nil {
		return err
	}
	return m.t.log.sync(ctx)
}

// sweepPrepared logs as moved the prepared transactions that the other JobDB knows.
func (m *mover) sweepPrepared(ctx context.Context) error {
	if m.o.Former.Transaction == nil {
		return nil
	}
	prepared, err := m.t.db.Prepared(ctx)
	if err != nil {
		return err
	}
	var there []jobdb.Transaction
	for _, p := range prepared {
		_, err := m.o.Former.Transaction(ctx, p.ID)
		switch {
		case err == nil:
			there = append(there, movedTransaction(p.ID, m.t.o.Now()))
		case !errors.Is(err, jobdb.ErrNotFound):
			return err
		}
	}
	return m.logMoved(there)
}

// logMoved makes the ends of transactions durable.
func (m *mover) logMoved(moved []jobdb.Transaction) error {
	if len(moved) == 0 {
		return nil
	}
	gone := &arrival{transactions: moved, done: make(chan error, 1)}
	if err := m.t.log.arrive(gone); err != nil {
		return err
	}
	return <-gone.done
}

// bringWords brings the policies and the transactions.
func (m *mover) bringWords(ctx context.Context) error {
	policies, err := m.t.db.Policies(ctx)
	if err != nil {
		return fmt.Errorf("read the queue policies: %w", err)
	}
	if len(policies) > 0 {
		if err := m.offer(ctx, Transfer{Policies: policies}); err != nil {
			return err
		}
	}
	b := bringer{db: m.t.db, from: m.o.Name, pass: func(transactions []jobdb.Transaction) error {
		return m.offer(ctx, Transfer{Transactions: transactions})
	}}
	moved, err := b.bringPrepared(ctx, m.t.o.Now())
	if err != nil {
		return err
	}
	if err := b.bringEnded(ctx, m.t.o.Now(), true); err != nil {
		return err
	}
	return m.logMoved(moved)
}

// parcel is a batch of jobs on its way.
type parcel struct {
	jobs  []jobdb.Trace
	lives []centrifuge.Life
}

// carriers is how many parcels are brought at once, while the next one is packed.
const carriers = 2

func (m *mover) bringJobs(ctx context.Context) error {
	parcels := make(chan parcel)
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error {
		defer close(parcels)
		return m.pack(ctx, parcels)
	})
	for range carriers {
		work.Go(func() error { return m.carry(ctx, parcels) })
	}
	return work.Wait()
}

func (m *mover) carry(ctx context.Context, parcels <-chan parcel) error {
	for p := range parcels {
		if err := m.offer(ctx, Transfer{Jobs: p.jobs}); err != nil {
			return err
		}
		for i := range p.jobs {
			if err := m.moved(&p.jobs[i].Job, p.lives[i], m.o.To); err != nil {
				return err
			}
		}
		if m.t.log.unflushed.Load() > int64(m.t.o.MaxUnflushed) {
			if err := m.t.log.sync(ctx); err != nil {
				return err
			}
		}
		if m.o.Progress != nil {
			m.o.Progress(m.t.books.total())
		}
	}
	return nil
}

// pack reads the jobs that are left, with their histories, and sends them in
// parcels.
func (m *mover) pack(ctx context.Context, parcels chan<- parcel) error {
	var p parcel
	size := int64(0)
	send := func() error {
		select {
		case parcels <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
		p, size = parcel{}, 0
		return nil
	}
	for left := m.left; len(left) > 0; {
		n := min(len(left), loadBatch)
		traces, err := m.read(ctx, left[:n])
		if err != nil {
			return err
		}
		left = left[n:]
		for _, trace := range traces {
			last := &trace.Transitions[len(trace.Transitions)-1]
			p.lives = append(p.lives, centrifuge.Life{State: last.State, Attempt: last.Attempt})
			m.obey(&trace.Job, last)
			if len(trace.Transitions) == 1 && last.Attempt == 0 {
				trace.Transitions = nil // the job itself says as much
			}
			p.jobs = append(p.jobs, trace)
			if size += traceSize(&trace); len(p.jobs) == transferCount || size >= transferBytes {
				if err := send(); err != nil {
					return err
				}
			}
		}
	}
	if len(p.jobs) > 0 {
		return send()
	}
	return nil
}

// obey makes a job that was ordered to retry arrive as one that is due since then.
func (m *mover) obey(job *centrifuge.Job, last *centrifuge.Transition) {
	if last.State != centrifuge.StateAwaitingRetry || isSpent(last.RetryAt, job.ExpireAt) {
		return
	}
	if at, retried := m.t.recovered.given(jobdb.OrderRetry, job.Queue(), last); retried && at.Before(last.RetryAt) {
		last.RetryAt = at
	}
}

func (m *mover) read(ctx context.Context, ids []centrifuge.ID) ([]jobdb.Trace, error) {
	traces, err := m.t.db.Traces(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read %d jobs: %w", len(ids), err)
	}
	if len(traces) != len(ids) {
		return nil, fmt.Errorf("read %d jobs: %d are there: %w", len(ids), len(traces), jobdb.ErrCorrupt)
	}
	return traces, nil
}

// moved logs that a job goes on in the JobDB of that name.
func (m *mover) moved(job *centrifuge.Job, life centrifuge.Life, to string) error {
	err := m.t.log.append(life, centrifuge.Transition{
		JobID: job.ID, State: centrifuge.StateMoved, Attempt: life.Attempt, Error: to, Time: m.t.o.Now(),
	}, effect{job: withoutPayload(job)})
	if err != nil {
		return fmt.Errorf("log that job %s was moved: %w", job.ID, err)
	}
	return nil
}

// offer has the target accept a transfer, however long it refuses for now.
func (m *mover) offer(ctx context.Context, tr Transfer) error {
	tr.From, tr.To = m.o.Name, m.o.To
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, moveBackoff) {
		if err := m.t.owns(); err != nil {
			return err
		}
		err := m.o.Target.Accept(ctx, tr)
		if err == nil {
			return nil
		}
		if _, invalid := errors.AsType[*InvalidError](err); invalid || errors.Is(err, ErrWrongJobDB) {
			return err
		}
		m.t.o.Logger.Warn("a transfer was not accepted and is offered again", "from", tr.From, "to", tr.To, "error", err, "in", wait)
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}
