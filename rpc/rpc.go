// Package rpc serves a Director to the network: the four services of
// centrifuge.v1 over Connect, gRPC and gRPC-Web from one handler, and beside
// them health, readiness, metrics and profiles. It owns everything of the
// listener: who may call, how long a call may take, how large it may be, TLS,
// and the order of a shutdown.
//
// It translates and it guards; what a job means is for the Director to judge.
package rpc

import (
	"context"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/fanout"
	"centrifuge/jobdb"
	"centrifuge/manager"
	"centrifuge/schedule"
	"centrifuge/visibility"
	"centrifuge/visibility/alert"
)

// Backends answer the calls. [director.Director] is most of them; Queues and Search are
// a [fanout.Fleet], and Fleet is a [manager.Manager]. Their errors are those of the packages director and
// manager; any other is answered as an internal error, its text kept from the
// caller. What is nil is not served.
type Backends struct {
	Jobs     JobBackend
	Queues   QueueBackend
	Archive  ArchiveBackend
	Ledger   LedgerBackend
	Director DirectorBackend
	Fleet    FleetBackend

	// Own answers, with Director, what the others of a fleet ask of this one.
	Own OwnBackend

	// VisibilityService is served if any of these is there.
	Record VisibilityBackend
	Search SearchBackend
	Alerts AlertBackend

	// Name is that of the Director.
	Name string
}

// JobBackend is behind JobService.
type JobBackend interface {
	Submit(context.Context, director.Submission) (director.Receipt, error)
	Commit(ctx context.Context, transactionID string) (jobdb.Transaction, error)
	Abort(ctx context.Context, transactionID string) (jobdb.Transaction, error)
	Transactions(ctx context.Context, ids []string) ([]jobdb.Transaction, error)
	Status() director.Status
	Get(context.Context, centrifuge.ID) (jobdb.Trace, error)
}

// QueueBackend is behind QueueService; [fanout.Fleet] is one.
type QueueBackend interface {
	Survey(context.Context, fanout.Question) (fanout.Standing, error)
	Policy(ctx context.Context, scope centrifuge.QueueKey) (centrifuge.QueuePolicy, fanout.Reach, error)
	SetPolicy(ctx context.Context, scope centrifuge.QueueKey, policy centrifuge.QueuePolicy) (fanout.Reach, error)
	Retry(context.Context, schedule.Selector) (int, fanout.Reach, error)
	Expire(context.Context, schedule.Selector) (int, fanout.Reach, error)
}

// ArchiveBackend is behind ArchiveService.
type ArchiveBackend interface {
	ListArchive(ctx context.Context, f archive.Filter, cursor string, limit int) (archive.Page, error)
	Replay(ctx context.Context, f archive.Filter, cursor string, limit int, rate float64) (director.ReplayPage, error)
}

// LedgerBackend is behind LedgerService. What is missing in a ledger is told with it.
type LedgerBackend interface {
	Ledger(context.Context) (director.Ledger, []fanout.Missing, error)
	LedgerByQueue(context.Context, schedule.Selector) ([]director.QueueLedger, []fanout.Missing, error)
	Verify(context.Context) (booked, recounted director.Ledger, err error)
}

// DirectorBackend is behind DirectorService.
type DirectorBackend interface {
	Status() director.Status
	Ledgers() ([]director.JobDBLedger, error)
	Cycle(context.Context) (before, now string, err error)
	Accept(context.Context, director.Transfer) error
}

// OwnBackend is behind those calls of DirectorService that Directors make.
type OwnBackend interface {
	fanout.Director

	// Watched tells of the alerts that this process looks for, and the streaks that are
	// at least so long, none if that is 0.
	Watched(ctx context.Context, streaks int64) ([]alert.Alert, []visibility.Streak, error)
}

// FleetBackend is behind FleetService.
type FleetBackend interface {
	Fleet(context.Context) (manager.Fleet, error)
	Cycle(ctx context.Context, director string) (before, now string, err error)
	Drain(ctx context.Context, jobdb string) (manager.State, error)
	Books(context.Context) (manager.Books, error)
}
