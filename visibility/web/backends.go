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

// Queues shows and changes the virtual queues as they are now: of the one Director
// that there is, or of all Directors of a fleet together.
type Queues interface {
	// Survey tells how the selected queues stand.
	Survey(context.Context, schedule.Selector) (*Survey, error)
	// SetPolicy replaces what was said of exactly this scope; it is durable and in force
	// when it returns. It, Retry and Expire see to it that the context's principal may
	// do it, and that it is written to the audit log.
	SetPolicy(ctx context.Context, scope centrifuge.QueueKey, policy centrifuge.QueuePolicy) (Reach, error)
	// Retry makes waiting jobs due now, and returns how many.
	Retry(context.Context, schedule.Selector) (int, Reach, error)
	// Expire sends unfinished jobs to the archive, and returns how many.
	Expire(context.Context, schedule.Selector) (int, Reach, error)
}

// Survey is how queues stand. Nobody changes one.
type Survey struct {
	Queues       []schedule.QueueInfo       // by destination and source
	Destinations []schedule.DestinationInfo // of them, by name
	Ledgers      []QueueLedger              // by destination and source
	Policy       centrifuge.QueuePolicy     // that was said of exactly the selected scope
	Oldest       time.Time                  // when the oldest of all pending jobs was accepted; zero if none is
	Soon         int64                      // how many of all pending jobs expire within [Soon]
	Holders      []Holder                   // of a single queue, if there are several Directors
	Missing      []Missing
}

// Holder is what one Director has of a queue.
type Holder struct {
	Name string
	schedule.QueueInfo
}

// Reach is whom an order reached.
type Reach struct {
	Directors int
	Missing   []Missing
}

// Missing is a part of a fleet that figures are without, or that an order did not
// reach.
type Missing struct {
	Director string // its name; empty if only the JobDB is known
	JobDB    string // empty if it is all that the Director has
	Why      string
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
	// Ledger returns the ledger of all queues, and what is missing in it.
	Ledger(context.Context) (Ledger, []Missing, error)
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
