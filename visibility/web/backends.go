package web

import (
	"context"
	"errors"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// Errors that backends answer with, wrapped, and that pages tell apart. Others
// are logged, and shown as a failure of ours.
var (
	ErrNotFound    = errors.New("not found")
	ErrInvalid     = errors.New("not valid")     // its text is shown
	ErrUnavailable = errors.New("not available") // for now: starting, recovering or stopping
)

// Backends are what the pages show and the controls act on. The first four are
// required; a page whose backend is nil says so.
type Backends struct {
	Queues  Queues
	Jobs    Jobs
	Archive Archive
	Ledger  Ledgers
	History History
	Fleet   Fleet
	Alerts  Alerts
	Audit   Audit
	Links   Links
}

// Queues shows and changes the virtual queues as they are now.
type Queues interface {
	// Queues returns the selected queues after a key, in order of destination and
	// source, and whether there are more than limit.
	Queues(sel schedule.Selector, after centrifuge.QueueKey, limit int) ([]schedule.QueueInfo, bool, error)
	// Destinations returns the destinations after a name, in order.
	Destinations(after string, limit int) ([]schedule.DestinationInfo, bool, error)
	// Policy returns what was said of exactly this scope.
	Policy(scope centrifuge.QueueKey) (centrifuge.QueuePolicy, error)
	// SetPolicy replaces it; it is durable and in force when it returns. It, Retry
	// and Expire see to it that the context's principal may do it, and that it is
	// written to the audit log.
	SetPolicy(ctx context.Context, scope centrifuge.QueueKey, policy centrifuge.QueuePolicy) error
	// Retry makes waiting jobs due now, and returns how many.
	Retry(context.Context, schedule.Selector) (int, error)
	// Expire sends unfinished jobs to the archive, and returns how many.
	Expire(context.Context, schedule.Selector) (int, error)
}

// Jobs finds jobs.
type Jobs interface {
	// Get returns a job's trace, or [ErrNotFound].
	Get(context.Context, centrifuge.ID) (jobdb.Trace, error)
	// Search looks for jobs for as long as budget, from where cursor says.
	Search(ctx context.Context, f JobFilter, cursor string, limit int, budget time.Duration) (FoundJobs, error)
}

// Archive shows the archived jobs and replays them.
type Archive interface {
	ListArchive(ctx context.Context, f archive.Filter, cursor string, limit int) (archive.Page, error)
	// Replay submits the jobs of one page of the listing again, at most rate a
	// second, each at most once whatever is repeated. It sees to rights and to the
	// audit log as the controls of [Queues] do.
	Replay(ctx context.Context, f archive.Filter, cursor string, limit int, rate float64) (Replayed, error)
}

// Replayed is what a page of a replay did.
type Replayed struct {
	Jobs    int
	Skipped int // had been replayed before
	LeftOut int // their object is damaged
	Damaged []*archive.DamagedError
	Next    string // where the next page begins; empty after the last
}

// Ledgers counts jobs.
type Ledgers interface {
	// Ledger returns the ledger of all queues.
	Ledger() (Ledger, error)
	// ByQueue returns those of the selected queues, in order of destination and source.
	ByQueue(schedule.Selector) ([]QueueLedger, error)
	// Oldest returns when the oldest pending job was accepted; the zero time if
	// none is pending.
	Oldest() (time.Time, error)
	// Expiring returns how many pending jobs expire within the time.
	Expiring(within time.Duration) (int64, error)
}

// Ledger counts jobs: each that was accepted is in one of the other fields.
type Ledger struct {
	Accepted, Succeeded, Discarded, Archived, Moved         int64
	AwaitingScheduling, Executing, AwaitingRetry, Archiving int64
}

// Pending is how many jobs have not reached their end.
func (l Ledger) Pending() int64 {
	return l.AwaitingScheduling + l.Executing + l.AwaitingRetry + l.Archiving
}

// Accounted is how many jobs have ended or are pending; it is Accepted when the
// ledger balances.
func (l Ledger) Accounted() int64 {
	return l.Succeeded + l.Discarded + l.Archived + l.Moved + l.Pending()
}

// Balanced reports whether every job is accounted for.
func (l Ledger) Balanced() bool { return l.Accepted == l.Accounted() }

// Off is by how many jobs the ledger is out of balance.
func (l Ledger) Off() int64 { return l.Accepted - l.Accounted() }

// Plus is the sum of two ledgers.
func (l Ledger) Plus(o Ledger) Ledger {
	return Ledger{
		Accepted: l.Accepted + o.Accepted, Succeeded: l.Succeeded + o.Succeeded, Discarded: l.Discarded + o.Discarded,
		Archived: l.Archived + o.Archived, Moved: l.Moved + o.Moved,
		AwaitingScheduling: l.AwaitingScheduling + o.AwaitingScheduling, Executing: l.Executing + o.Executing,
		AwaitingRetry: l.AwaitingRetry + o.AwaitingRetry, Archiving: l.Archiving + o.Archiving,
	}
}

// QueueLedger is the ledger of one queue.
type QueueLedger struct {
	Queue  centrifuge.QueueKey
	Ledger Ledger
}
