// Package jobdb is the contract of a JobDB: one database that one Director owns
// at a time, appends to, and that is dropped whole in the end. Nothing in it is
// ever updated or deleted. The implementations are jobdb/sqlite and
// jobdb/mysql; jobdb/jobdbtest is the suite that each of them passes.
package jobdb

import (
	"context"
	"errors"
	"iter"
	"time"

	"centrifuge"
)

var (
	// ErrNotFound means that the JobDB holds no such job or transaction.
	ErrNotFound = errors.New("not found")

	// ErrFull means that the storage has no room. Nothing of the batch was
	// persisted; the same batch may be committed again when there is room.
	ErrFull = errors.New("storage is full")

	// ErrUnknownOutcome means that a commit failed in a way that leaves open
	// whether the batch was persisted. The owner must close the JobDB, open it
	// again and recover from what it finds; it must not guess.
	ErrUnknownOutcome = errors.New("outcome of the commit is unknown")

	// ErrSuperseded means that another owner has recorded a higher epoch. Nothing
	// was persisted, and nothing will be by this owner any more.
	ErrSuperseded = errors.New("superseded by another owner")

	// ErrCorrupt means that what is stored is damaged, cut short, or not a JobDB.
	// It was left untouched.
	ErrCorrupt = errors.New("not an intact JobDB")

	// ErrNewerSchema means that a newer version of this program wrote the JobDB.
	// It was left untouched.
	ErrNewerSchema = errors.New("written by a newer version")
)

// DB is an open JobDB. The caller is its owner: it holds the lease under whose
// epoch the JobDB was opened, and is the only writer.
//
// Durability: what Commit was given is on stable storage when Commit returns
// nil, survives the death of the process and of the machine, and is seen by
// every read that begins after that. Reads see whole batches only.
//
// All methods are safe for concurrent use. Commits are applied one after the
// other.
type DB interface {
	Jobs
	Transactions

	// Commit makes the batch durable, all or nothing. If it returns an error,
	// nothing was persisted, unless the error wraps [ErrUnknownOutcome]. The
	// errors [ErrFull] and [ErrSuperseded] are told apart. A job whose ID the
	// JobDB already holds makes the whole batch fail; so does a prepared
	// transaction whose ID was prepared before, and any other whose ID has ended
	// before. The batch is only read, and may be reused when Commit has returned.
	Commit(ctx context.Context, b *Batch) error

	// Policies returns the latest policy of each scope.
	Policies(ctx context.Context) ([]Policy, error)

	// Orders returns the latest order of each kind and scope among those that were
	// given at a time or after it: its highest Seq, and its latest Time.
	Orders(ctx context.Context, since time.Time) ([]Order, error)

	// Size is how many bytes the JobDB occupies where it is stored. A server's
	// answer may lag behind what was committed; the implementation says by how
	// much.
	Size(ctx context.Context) (int64, error)

	// Close releases the JobDB. It waits for calls under way.
	Close() error
}

// Jobs reads jobs.
type Jobs interface {
	// Load appends to dst the jobs with the given ids, whole, each with the life
	// it has reached. IDs that are unknown are left out; the order is free.
	Load(ctx context.Context, dst []Loaded, ids []centrifuge.ID) ([]Loaded, error)

	// Trace returns a job and its transitions in order, from
	// awaiting_scheduling on, or [ErrNotFound].
	Trace(ctx context.Context, id centrifuge.ID) (Trace, error)

	// Traces is Trace of many jobs. IDs that are unknown are left out; the order is
	// free.
	Traces(ctx context.Context, ids []centrifuge.ID) ([]Trace, error)

	// Known returns those of the ids that the JobDB holds.
	Known(ctx context.Context, ids []centrifuge.ID) ([]centrifuge.ID, error)

	// Scan yields every job with where it stands, in the order of their ids,
	// without loading payloads: its memory does not grow with the JobDB. A Row is
	// valid until the next one. After an error nothing more is yielded.
	Scan(ctx context.Context) iter.Seq2[*Row, error]
}

// Transactions reads transactions.
type Transactions interface {
	// Transaction returns what was logged under the transaction id, without its
	// Drafts, or [ErrNotFound].
	Transaction(ctx context.Context, id string) (Transaction, error)

	// Drafts returns the Drafts of a transaction that was prepared, whether it has
	// ended or not, or [ErrNotFound].
	Drafts(ctx context.Context, id string) ([]byte, error)

	// Prepared returns the transactions that are prepared still.
	Prepared(ctx context.Context) ([]Prepared, error)

	// Ended yields the transactions that ended at the given time or after it,
	// once each: all but those that are prepared still. The order is free and the
	// memory bounded. One that ends meanwhile may be missing. After an error
	// nothing more is yielded.
	Ended(ctx context.Context, since time.Time) iter.Seq2[Transaction, error]
}

// Loaded is a job read back for its next attempt.
type Loaded struct {
	Job  centrifuge.Job
	Life centrifuge.Life
}

// Trace is all that is known of a job.
type Trace struct {
	Job         centrifuge.Job
	Transitions []centrifuge.Transition
}

// Row is where one job stands, as recovery and verification need it.
type Row struct {
	ID        centrifuge.ID
	Queue     centrifuge.QueueKey
	CreatedAt time.Time
	ExpireAt  time.Time
	Last      centrifuge.Transition // the last one; its Error is filled for archiving only
}

// Policy is a queue policy as logged. An empty Source or Destination stands for
// all of them; they are never both empty.
type Policy struct {
	Scope  centrifuge.QueueKey
	Policy centrifuge.QueuePolicy
	Time   time.Time // millisecond precision, UTC
}

// Order is what an operator said of the unfinished jobs of some queues, as logged.
// It is about jobs as they stood then: those whose last transition comes before the
// order.
type Order struct {
	Scope centrifuge.QueueKey // as that of a Policy
	Kind  OrderKind
	Seq   uint64    // its place among the transitions of the JobDB
	Time  time.Time // millisecond precision, UTC
}

// OrderKind is what an order says.
type OrderKind uint8

// The kinds of orders. Their numbers are stored and never change.
const (
	OrderRetry  OrderKind = 1 // jobs that await a retry are due
	OrderExpire OrderKind = 2 // jobs that wait go to the archive
)

// Valid reports whether the kind is one of those above.
func (k OrderKind) Valid() bool { return k == OrderRetry || k == OrderExpire }
