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
	"centrifuge/jobdb"
	"centrifuge/manager"
	"centrifuge/schedule"
)

// Backends answer the calls; [director.Director] is all of them but Fleet, which
// is a [manager.Manager]. Their errors are those of the packages director and
// manager; any other is answered as an internal error, its text kept from the
// caller. What is nil is not served.
type Backends struct {
	Jobs     JobBackend
	Queues   QueueBackend
	Archive  ArchiveBackend
	Ledger   LedgerBackend
	Director DirectorBackend
	Fleet    FleetBackend

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

// QueueBackend is behind QueueService.
type QueueBackend interface {
	Queues(sel schedule.Selector, after centrifuge.QueueKey, limit int) ([]schedule.QueueInfo, bool, error)
	Destinations(after string, limit int) ([]schedule.DestinationInfo, bool, error)
	Policy(scope centrifuge.QueueKey) (centrifuge.QueuePolicy, error)
	SetPolicy(ctx context.Context, scope centrifuge.QueueKey, policy centrifuge.QueuePolicy) error
	Retry(context.Context, schedule.Selector) (int, error)
	Expire(context.Context, schedule.Selector) (int, error)
}

// ArchiveBackend is behind ArchiveService.
type ArchiveBackend interface {
	ListArchive(ctx context.Context, f archive.Filter, cursor string, limit int) (archive.Page, error)
	Replay(ctx context.Context, f archive.Filter, cursor string, limit int, rate float64) (director.ReplayPage, error)
}

// LedgerBackend is behind LedgerService.
type LedgerBackend interface {
	Ledger() (director.Ledger, error)
	LedgerByQueue(schedule.Selector) ([]director.QueueLedger, error)
	Verify(context.Context) (booked, recounted director.Ledger, err error)
}

// DirectorBackend is behind DirectorService.
type DirectorBackend interface {
	Status() director.Status
	Ledgers() ([]director.JobDBLedger, error)
	Cycle(context.Context) (before, now string, err error)
	Accept(context.Context, director.Transfer) error
}

// FleetBackend is behind FleetService.
type FleetBackend interface {
	Fleet(context.Context) (manager.Fleet, error)
	Cycle(ctx context.Context, director string) (before, now string, err error)
	Drain(ctx context.Context, jobdb string) (manager.State, error)
	Books(context.Context) (manager.Books, error)
}
