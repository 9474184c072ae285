package director

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"centrifuge/jobdb"
	"centrifuge/lease"
)

// Holding is a JobDB whose lease this Director holds.
type Holding struct {
	// Name of the JobDB, unique in the fleet.
	Name string

	// Lease is exclusive. The Director asks it before each attempt and each commit,
	// raises its epoch before each Open, and closes it when it lets go of the JobDB.
	Lease lease.Lease

	// Open opens the JobDB under an epoch of the lease. It is called once, and again
	// whenever the outcome of a commit is unknown.
	Open func(ctx context.Context, epoch uint64) (jobdb.DB, error)
}

// Report tells how a Director let go of a JobDB.
type Report struct {
	JobDB  string
	Ledger Ledger // as it was booked last; the jobs pending in it stay where they are
	Err    error  // nil after a cycle or a shutdown in good order

	// Cycled says that another JobDB had taken its place.
	Cycled bool
}

// errLost ends a tenure whose lease is gone.
var errLost = fmt.Errorf("the lease of the JobDB: %w", lease.ErrLost)

// releaseTimeout bounds the closing of a lease, which may need a service that does
// not answer. Whoever comes next waits for the lease's TTL then.
const releaseTimeout = 10 * time.Second

// owned is a JobDB from the moment the Director acquires it until it lets go of it:
// one tenure, and another after each one that ended in doubt.
type owned struct {
	Holding

	d         *Director
	since     time.Time
	installed atomic.Bool            // it is, or was, the Director's current JobDB
	tenure    atomic.Pointer[tenure] // nil unless one is recovered and has its JobDB open
	status    atomic.Pointer[string] // why it does not serve

	opened     chan struct{} // closed when the first tenure is recovered
	retire     chan struct{} // closed when another JobDB has taken its place
	handedOver atomic.Bool   // that one knows the transactions of this one
	ended      chan struct{} // closed when it was let go of
	err        error         // why; owned by run until ended

	recovered sync.Once
	ledger    Ledger // booked last; owned by run
}

func (d *Director) newOwned(h Holding) *owned {
	w := &owned{
		Holding: h, d: d, since: d.o.Now(),
		opened: make(chan struct{}), retire: make(chan struct{}), ended: make(chan struct{}),
	}
	w.say("starting")
	return w
}

func (w *owned) say(status string) { w.status.Store(&status) }

// over reports whether the JobDB was let go of.
func (w *owned) over() bool { return closed(w.ended) }

// run owns the JobDB until ctx ends, until it is retired, or until it is lost. A
// tenure that ends in doubt is followed by another, which recovers from what is
// durable.
func (w *owned) run(ctx context.Context) {
	for wait := time.Second; ; wait = min(2*wait, reopenBackoff) {
		began := w.d.o.Now()
		err := w.serve(ctx)
		if w.done(ctx, err) {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				err = nil // it ended while the JobDB was being opened or recovered
			}
			w.err = err
			break
		}
		if w.d.o.Now().Sub(began) > reopenBackoff {
			wait = time.Second
		}
		w.d.o.Logger.Error("the JobDB is opened again, to recover", "jobdb", w.Name, "error", err, "in", wait)
		w.say("recovering after: " + err.Error())
		w.d.metrics.reopened.Inc()
		select {
		case <-ctx.Done():
		case <-w.Lease.Done():
		case <-time.After(wait):
		}
	}
	w.letGo(ctx)
}

// done reports whether no further tenure follows one that ended so.
func (w *owned) done(ctx context.Context, err error) bool {
	switch {
	case ctx.Err() != nil, lost(err), hopeless(err), !w.installed.Load(), !w.Lease.Held():
		return true
	case closed(w.retire):
		return w.handedOver.Load()
	}
	return false
}

// lost reports whether another may own the JobDB by now.
func lost(err error) bool {
	return errors.Is(err, lease.ErrLost) || errors.Is(err, jobdb.ErrSuperseded)
}

// hopeless reports whether opening the JobDB again cannot help.
func hopeless(err error) bool {
	return errors.Is(err, jobdb.ErrCorrupt) || errors.Is(err, jobdb.ErrNewerSchema)
}

// serve is one tenure, with its JobDB opened before and closed after.
func (w *owned) serve(ctx context.Context) (err error) {
	epoch, err := w.Lease.Advance(ctx)
	if err != nil {
		return fmt.Errorf("raise the epoch of %s: %w", w.Name, err)
	}
	db, err := w.Open(ctx, epoch)
	if err != nil {
		return fmt.Errorf("open the JobDB: %w", err)
	}
	defer func() {
		w.tenure.Store(nil)
		if cerr := db.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("close the JobDB: %w", cerr))
		}
	}()
	w.say("recovering")
	w.d.metrics.recovered.Store(0)
	t := newTenure(&w.d.o, w.Holding, db, w.d.metrics)
	t.intake, t.orders, t.others, t.onItsWay = w.d.intake, w.d.orders, w.d.others, w.d.onItsWay
	stop := context.AfterFunc(ctx, func() { w.say("shutting down") })
	defer stop()
	err = t.serve(ctx, w.retire, func() {
		w.tenure.Store(t)
		t.share(&w.d.parts)
		w.recovered.Do(func() { close(w.opened) })
		if w.installed.Load() {
			w.d.serving()
		}
	})
	w.ledger = t.books.total()
	if err == nil && closed(w.retire) {
		err = w.handOver(ctx, db)
	}
	return err
}

// letGo gives the lease up and says so.
func (w *owned) letGo(ctx context.Context) {
	defer w.d.look()
	defer close(w.ended)
	cycled := closed(w.retire)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := w.Lease.Close(ctx); err != nil {
		w.err = errors.Join(w.err, fmt.Errorf("give up the lease of %s: %w", w.Name, err))
	}
	w.d.dropped(w)
	if w.installed.Load() && w.d.o.Released != nil {
		w.d.o.Released(ctx, Report{JobDB: w.Name, Ledger: w.ledger, Err: w.err, Cycled: cycled})
	}
}

// closed reports whether a channel that carries nothing is closed.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
