package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/jobdb"
)

// Target is where a drain brings jobs: a Director, over RPC or in the same process.
type Target interface {
	// Accept is as [Director.Accept].
	Accept(ctx context.Context, tr Transfer) error
}

// Former is a JobDB into which an earlier drain of the same JobDB moved jobs.
// Nobody can bring anything into it any more: its lease was taken, and it was
// opened under a new epoch.
type Former struct {
	Name string

	// Known returns those of the ids that it holds.
	Known func(ctx context.Context, ids []centrifuge.ID) ([]centrifuge.ID, error)

	// Transaction, if given, is as [jobdb.Transactions] has it. Without it, what was
	// prepared and brought there, in a drain that was cut short before it could log
	// so, would be brought a second time.
	Transaction func(ctx context.Context, id string) (jobdb.Transaction, error)
}

// DrainOptions are what a drain is made of. The Holding, To, Target and Archive are
// required; other zero fields mean the defaults of [Options].
type DrainOptions struct {
	Holding // the JobDB to be drained; its lease stays the caller's

	// To is the name of the JobDB into which the Target is to accept the jobs. It
	// must have been noted durably before, for whoever resumes the drain.
	To     string
	Target Target

	// Former is the JobDB that the drain was towards before, if To is another.
	Former *Former

	Archive *archive.Archive

	// Observe, if given, is told of transitions as that of [Options] is.
	Observe func([]centrifuge.Event)

	// Progress, if given, hears the JobDB's ledger after each batch. Several calls may
	// be under way at once.
	Progress func(Ledger)

	CommitInterval time.Duration
	Now            func() time.Time
	Logger         *slog.Logger
}

// Drain moves the unfinished jobs of a JobDB that no Director uses any more into
// another one, each exactly once by its id, and returns the ledger, in which nothing
// is pending then. The jobs that were on their way to the archive, or ordered there, are
// archived from here. The queue policies and the transactions that must still be recognised go
// first.
//
// A job that expires meanwhile is moved like the others, and archived where it comes
// to: it may be there already, if the Target's answer was lost.
//
// What the Target refuses for now is brought again until ctx ends. A drain that was
// cut short, anywhere, is resumed by another call. If the error is [ErrWrongJobDB],
// the Target has another JobDB by now: another To must be chosen, once the one that
// was is closed to everybody, and is named as Former.
func Drain(ctx context.Context, o DrainOptions) (l Ledger, err error) {
	if o.To == "" || o.Target == nil || o.Archive == nil || o.Lease == nil || o.Open == nil {
		return l, errors.New("drain: Holding, To, Target and Archive are required")
	}
	options := Options{
		Archive: o.Archive, Name: "drain-" + o.Name, Now: o.Now, Logger: o.Logger, CommitInterval: o.CommitInterval, Observe: o.Observe,
	}
	options.fill()
	epoch, err := o.Lease.Advance(ctx)
	if err != nil {
		return l, fmt.Errorf("drain %s: raise its epoch: %w", o.Name, err)
	}
	db, err := o.Open(ctx, epoch)
	if err != nil {
		return l, fmt.Errorf("drain %s: open it: %w", o.Name, err)
	}
	defer func() {
		if cerr := db.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("drain %s: close it: %w", o.Name, cerr))
		}
	}()
	t := newTenure(&options, o.Holding, db, newMetrics(nil))
	t.intake, t.orders = newIntakes(), newOrders()
	t.others = func(*tenure) []*owned { return nil }
	t.onItsWay = func(string) error { return nil }
	t.mover = &mover{t: t, o: &o, done: make(chan struct{})}
	err = t.serve(ctx, t.mover.done, func() {})
	l = t.books.total()
	switch {
	case err != nil:
		return l, fmt.Errorf("drain %s: %w", o.Name, err)
	case l.Pending() > 0, !closed(t.mover.done): // where no job is left, transactions may be
		return l, fmt.Errorf("drain %s: cut short with %d jobs left: %w", o.Name, l.Pending(), ctx.Err())
	}
	return l, nil
}
