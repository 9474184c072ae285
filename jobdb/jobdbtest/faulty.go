package jobdbtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// Fault is what is to go wrong with one call.
type Fault uint8

// The faults. Those below Failed are for commits; a read takes each of them for
// Failed.
const (
	NoFault     Fault = iota
	Failed            // a plain error; nothing was persisted
	Full              // jobdb.ErrFull; nothing was persisted
	UnknownLost       // jobdb.ErrUnknownOutcome; nothing was persisted
	UnknownKept       // jobdb.ErrUnknownOutcome; the batch was persisted
)

// ErrInjected is wrapped by every error that a [Faulty] JobDB makes up.
var ErrInjected = errors.New("injected fault")

// The operations that a plan is asked about, and when.
const (
	OpCommit      = "commit" // of a batch that is not empty
	OpLoad        = "load"
	OpTrace       = "trace"
	OpTraces      = "traces"
	OpTransaction = "transaction"
	OpDrafts      = "drafts"
	OpPrepared    = "prepared"
	OpEnded       = "ended" // when it begins
	OpKnown       = "known"
	OpScan        = "scan"     // when it begins
	OpScanRow     = "scan row" // before each row
	OpPolicies    = "policies"
	OpOrders      = "orders"
	OpSize        = "size"
)

// Faulty wraps a JobDB so that its calls fail when plan says so; plan is asked
// once a call, from the goroutine that makes it. After an unknown outcome every
// further commit fails, as with a real one: its owner has to close the JobDB and
// open it again.
func Faulty(db jobdb.DB, plan func(op string) Fault) jobdb.DB { return &faulty{db: db, plan: plan} }

type faulty struct {
	db       jobdb.DB
	plan     func(op string) Fault
	poisoned atomic.Bool
}

func (f *faulty) Commit(ctx context.Context, b *jobdb.Batch) error {
	if b.Empty() {
		return f.db.Commit(ctx, b)
	}
	if f.poisoned.Load() {
		return fmt.Errorf("commit: the outcome of an earlier commit is unknown: %w", ErrInjected)
	}
	switch fault := f.plan(OpCommit); fault {
	case NoFault:
		return f.db.Commit(ctx, b)
	case Full:
		return fmt.Errorf("commit: %w: %w", jobdb.ErrFull, ErrInjected)
	case UnknownKept:
		if err := f.db.Commit(ctx, b); err != nil {
			return err
		}
		fallthrough
	case UnknownLost:
		f.poisoned.Store(true)
		return fmt.Errorf("commit: %w: %w", jobdb.ErrUnknownOutcome, ErrInjected)
	default:
		return fmt.Errorf("commit: %w", ErrInjected)
	}
}

// read returns the error that op is to fail with.
func (f *faulty) read(op string) error {
	if f.plan(op) == NoFault {
		return nil
	}
	return fmt.Errorf("%s: %w", op, ErrInjected)
}

func (f *faulty) Load(ctx context.Context, dst []jobdb.Loaded, ids []centrifuge.ID) ([]jobdb.Loaded, error) {
	if err := f.read(OpLoad); err != nil {
		return dst, err
	}
	return f.db.Load(ctx, dst, ids)
}

func (f *faulty) Trace(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	if err := f.read(OpTrace); err != nil {
		return jobdb.Trace{}, err
	}
	return f.db.Trace(ctx, id)
}

func (f *faulty) Traces(ctx context.Context, ids []centrifuge.ID) ([]jobdb.Trace, error) {
	if err := f.read(OpTraces); err != nil {
		return nil, err
	}
	return f.db.Traces(ctx, ids)
}

func (f *faulty) Transaction(ctx context.Context, id string) (jobdb.Transaction, error) {
	if err := f.read(OpTransaction); err != nil {
		return jobdb.Transaction{}, err
	}
	return f.db.Transaction(ctx, id)
}

func (f *faulty) Drafts(ctx context.Context, id string) ([]byte, error) {
	if err := f.read(OpDrafts); err != nil {
		return nil, err
	}
	return f.db.Drafts(ctx, id)
}

func (f *faulty) Prepared(ctx context.Context) ([]jobdb.Prepared, error) {
	if err := f.read(OpPrepared); err != nil {
		return nil, err
	}
	return f.db.Prepared(ctx)
}

func (f *faulty) Ended(ctx context.Context, since time.Time) iter.Seq2[jobdb.Transaction, error] {
	if err := f.read(OpEnded); err != nil {
		return func(yield func(jobdb.Transaction, error) bool) { yield(jobdb.Transaction{}, err) }
	}
	return f.db.Ended(ctx, since)
}

func (f *faulty) Known(ctx context.Context, ids []centrifuge.ID) ([]centrifuge.ID, error) {
	if err := f.read(OpKnown); err != nil {
		return nil, err
	}
	return f.db.Known(ctx, ids)
}

func (f *faulty) Scan(ctx context.Context) iter.Seq2[*jobdb.Row, error] {
	return func(yield func(*jobdb.Row, error) bool) {
		if err := f.read(OpScan); err != nil {
			yield(nil, err)
			return
		}
		for row, err := range f.db.Scan(ctx) {
			if err == nil {
				if fault := f.read(OpScanRow); fault != nil {
					yield(nil, fault)
					return
				}
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

func (f *faulty) Policies(ctx context.Context) ([]jobdb.Policy, error) {
	if err := f.read(OpPolicies); err != nil {
		return nil, err
	}
	return f.db.Policies(ctx)
}

func (f *faulty) Orders(ctx context.Context, since time.Time) ([]jobdb.Order, error) {
	if err := f.read(OpOrders); err != nil {
		return nil, err
	}
	return f.db.Orders(ctx, since)
}

func (f *faulty) Size(ctx context.Context) (int64, error) {
	if err := f.read(OpSize); err != nil {
		return 0, err
	}
	return f.db.Size(ctx)
}

func (f *faulty) Close() error { return f.db.Close() }
