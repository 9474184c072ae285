package director

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/jobdb"
)

// Submission is a Submit: drafts of jobs, of which the Director fills what is
// left out. The Director owns the jobs from the call on.
type Submission struct {
	TransactionID string
	Jobs          []*centrifuge.Job

	// Prepare makes the jobs durable without accepting them, until the transaction
	// is committed; it is aborted when PrepareTTL is over, 0 for [DefaultPrepareTTL].
	Prepare    bool
	PrepareTTL time.Duration

	// JobDB, if not empty, has the Submission refused with [ErrForeignJobDB] unless
	// it is known, or the JobDB of that name is the Director's current one. So it is
	// stored there or nowhere.
	JobDB string
}

// Receipt answers a Submission whose jobs are durable.
type Receipt struct {
	TransactionID string
	JobIDs        []centrifuge.ID
	State         jobdb.TransactionState // committed or prepared
	Deadline      time.Time              // of a prepared one
	JobDB         string                 // the Director's
	Repeated      bool                   // the transaction was known; nothing was enqueued
}

// intakes are the Submits that are under way, whatever JobDB they go to.
type intakes struct {
	bytes   atomic.Int64
	diskLow atomic.Bool
	submits atomic.Int64  // that are being made durable
	turn    chan struct{} // capacity 1: a token while a transfer gives way

	mu struct {
		sync.Mutex
		transactions map[string]chan struct{}        // closed when the Submit under that id has ended
		ids          map[centrifuge.ID]chan struct{} // given by clients or moved in; closed when that has ended
	}
}

func newIntakes() *intakes {
	s := &intakes{turn: make(chan struct{}, 1)}
	s.mu.transactions = make(map[string]chan struct{})
	s.mu.ids = make(map[centrifuge.ID]chan struct{})
	return s
}

// begin registers the Submit under a client's transaction id. If another one is
// under way, it returns a channel that is closed when that has ended.
func (s *intakes) begin(id string) (other <-chan struct{}, end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, ok := s.mu.transactions[id]; ok {
		return other, nil
	}
	done := make(chan struct{})
	s.mu.transactions[id] = done
	return nil, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.mu.transactions, id)
		close(done)
	}
}

// reserve registers ids that clients gave, so that two Submits under way cannot
// both bring the same one. If one is taken, none is registered, and its index is
// returned, or else -1, with a channel that is closed when it is free again.
func (s *intakes) reserve(ids []centrifuge.ID) (taken int, other <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := make(chan struct{})
	for i, id := range ids {
		if other, taken := s.mu.ids[id]; taken {
			for _, id := range ids[:i] {
				delete(s.mu.ids, id)
			}
			return i, other
		}
		s.mu.ids[id] = done
	}
	return -1, nil
}

func (s *intakes) release(ids []centrifuge.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, id := range ids {
		if i == 0 {
			close(s.mu.ids[id]) // they share it
		}
		delete(s.mu.ids, id)
	}
}

// submit validates the jobs, makes them durable and answers. The scheduler has
// them by then.
func (t *tenure) submit(ctx context.Context, s Submission, ids *centrifuge.IDs) (Receipt, error) {
	now := t.o.Now()
	if err := checkTransactionID(s.TransactionID); err != nil {
		return Receipt{}, err
	}
	size, err := check(s.Jobs, now)
	if err != nil {
		return Receipt{}, err
	}
	given, err := name(s.Jobs, ids, now)
	if err != nil {
		return Receipt{}, err
	}
	if s.TransactionID == "" {
		id, err := ids.Next(now)
		if err != nil {
			return Receipt{}, fmt.Errorf("name the transaction: %w", err)
		}
		s.TransactionID = id.String()
	} else {
		known, end, err := t.recall(ctx, s.TransactionID)
		if err != nil {
			return Receipt{}, err
		}
		if known.ID != "" {
			return t.again(&s, &known)
		}
		defer end()
	}
	if s.JobDB != "" && s.JobDB != t.name {
		return Receipt{}, fmt.Errorf("%w: %s", ErrForeignJobDB, s.JobDB)
	}
	if err := t.admit(size); err != nil {
		return Receipt{}, err
	}
	defer t.intake.bytes.Add(-size)
	t.intake.submits.Add(1)
	defer t.intake.submits.Add(-1)
	if len(given.ids) > 0 {
		if err := t.reserve(ctx, given); err != nil {
			return Receipt{}, err
		}
		defer t.intake.release(given.ids)
	}
	return t.store(s, now)
}

// check completes and validates the jobs and returns their size in bytes.
func check(jobs []*centrifuge.Job, now time.Time) (size int64, err error) {
	if len(jobs) == 0 {
		return 0, &InvalidError{-1, "jobs", "is empty"}
	}
	if len(jobs) > MaxJobs {
		return 0, &InvalidError{-1, "jobs", fmt.Sprintf("holds %d jobs; at most %d are accepted", len(jobs), MaxJobs)}
	}
	var checker delivery.Checker
	for i, job := range jobs {
		if field, reason := complete(&checker, job, now); field != "" {
			return 0, &InvalidError{i, field, reason}
		}
		// Size counts the structs around a job as well, which are not the client's.
		if size += int64(job.Size()); size > MaxSubmitBytes+MaxJobs*512 {
			return 0, &InvalidError{-1, "jobs", fmt.Sprintf("hold more than %d bytes", MaxSubmitBytes)}
		}
	}
	return size, nil
}

// givenIDs are the ids that the client chose, with the indexes of their jobs.
type givenIDs struct {
	ids     []centrifuge.ID
	indexes []int
}

// name gives an id to each job that has none and returns those that have one.
func name(jobs []*centrifuge.Job, ids *centrifuge.IDs, now time.Time) (given givenIDs, err error) {
	for i, job := range jobs {
		if !job.ID.IsZero() {
			given.ids = append(given.ids, job.ID)
			given.indexes = append(given.indexes, i)
			continue
		}
		if job.ID, err = ids.Next(now); err != nil {
			return given, fmt.Errorf("name job %d: %w", i, err)
		}
	}
	return given, nil
}

// recall finds out whether the transaction is known. If it is not, the caller has
// it registered as under way until it calls end.
func (t *tenure) recall(ctx context.Context, id string) (known jobdb.Transaction, end func(), err error) {
	end, err = t.intake.register(ctx, id)
	if err != nil {
		return jobdb.Transaction{}, nil, err
	}
	known, err = t.transaction(ctx, id)
	if errors.Is(err, jobdb.ErrNotFound) {
		if err = t.onItsWay(id); err == nil {
			return jobdb.Transaction{}, end, nil
		}
	}
	if err != nil {
		err = fmt.Errorf("look up transaction %q: %w", id, err)
	}
	end()
	return known, nil, err
}

// transaction looks a transaction up in the JobDBs that the Director owns.
func (t *tenure) transaction(ctx context.Context, id string) (jobdb.Transaction, error) {
	for _, w := range t.others(t) {
		known, err := w.transaction(ctx, id)
		if !errors.Is(err, jobdb.ErrNotFound) {
			return known, err
		}
	}
	return t.db.Transaction(ctx, id)
}

// known returns those of the ids that the JobDBs hold which the Director owns.
func (t *tenure) known(ctx context.Context, ids []centrifuge.ID) ([]centrifuge.ID, error) {
	known, err := t.db.Known(ctx, ids)
	for _, w := range t.others(t) {
		if err != nil {
			break
		}
		var more []centrifuge.ID
		more, err = w.known(ctx, ids)
		known = append(known, more...)
	}
	return known, err
}

// admit is the backpressure: it refuses what memory or disk have no room for.
func (t *tenure) admit(size int64) error {
	t.mu.Lock()
	held := t.mu.held
	t.mu.Unlock()
	total := t.books.total()
	switch {
	case held != nil:
		return refusal(held)
	case t.intake.diskLow.Load():
		return &ExhaustedError{"the disk is nearly full", 10 * time.Second}
	case total.Pending() >= t.o.MaxPending:
		return &ExhaustedError{fmt.Sprintf("%d jobs are unfinished, as many as are accepted", total.Pending()), 10 * time.Second}
	case t.intake.bytes.Add(size) > t.o.MaxIntakeBytes:
		t.intake.bytes.Add(-size)
		return tooMuchIntake()
	}
	return nil
}

func tooMuchIntake() error {
	return &ExhaustedError{"too many jobs are being made durable", time.Second}
}

// reserve makes sure that the ids which the client chose are new.
func (t *tenure) reserve(ctx context.Context, given givenIDs) error {
	if i, _ := t.intake.reserve(given.ids); i >= 0 {
		return &ExistsError{given.indexes[i], given.ids[i]}
	}
	known, err := t.known(ctx, given.ids)
	if err == nil && len(known) == 0 {
		return nil
	}
	t.intake.release(given.ids)
	if err != nil {
		return fmt.Errorf("look up %d ids: %w", len(given.ids), err)
	}
	for i, id := range given.ids {
		if id == known[0] {
			return &ExistsError{given.indexes[i], id}
		}
	}
	return fmt.Errorf("look up %d ids: the JobDB answered with another, %s", len(given.ids), known[0])
}

func (t *tenure) store(s Submission, now time.Time) (Receipt, error) {
	in := &intake{jobs: s.Jobs, tx: jobdb.Transaction{
		ID: s.TransactionID, JobIDs: make([]centrifuge.ID, len(s.Jobs)), CreatedAt: now.UTC().Truncate(time.Millisecond),
	}}
	for i, job := range s.Jobs {
		in.tx.JobIDs[i] = job.ID
	}
	if s.Prepare {
		if err := draft(&in.tx, &s); err != nil {
			return Receipt{}, err
		}
		leave, err := t.prepared.admit(int64(len(in.tx.Drafts)))
		if err != nil {
			return Receipt{}, err
		}
		defer leave()
		in.jobs = nil // they are none yet
	}
	if err := t.storeTransaction(in); err != nil {
		return Receipt{}, err
	}
	return t.receipt(&in.tx, false), nil
}
