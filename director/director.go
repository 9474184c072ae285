// Package director is the Director: it owns one JobDB, accepts jobs and makes
// them durable there, delivers them through the scheduler's virtual queues, logs
// what becomes of each, and archives what could not be delivered in time.
//
// It guarantees that a job whose Submit was answered reaches exactly one end, and
// that each of its attempts is at a time the scheduler allows. Delivery is at
// least once: after a crash, attempts whose outcome was not yet durable are
// repeated, at most as many as were in flight or unflushed.
//
// It does not choose the JobDB, hold the lease or listen: the caller does.
package director

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// Director is one Director. Its methods are safe for concurrent use; those that
// need the JobDB return [ErrUnavailable] while it does not serve.
type Director struct {
	o       Options
	ids     *centrifuge.IDs
	metrics *metrics
	tenure  atomic.Pointer[tenure] // nil while it does not serve
	status  atomic.Pointer[string] // why it does not serve
}

// New makes a Director of its options. It does nothing until Run.
func New(o Options) (*Director, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Director{o: o, ids: centrifuge.NewIDs(o.Random)}
	d.metrics = newMetrics(d)
	d.say("starting")
	return d, nil
}

// After a tenure has failed, the next begins after a wait that doubles up to this.
const reopenBackoff = 30 * time.Second

// Run serves until ctx ends, and then shuts down in two phases: intake closes and
// no attempt is begun, attempts under way get [Options.ShutdownGrace]; then what
// was logged is flushed and the JobDB closed. It returns nil after a clean
// shutdown.
//
// If the outcome of a commit becomes unknown, Run drops what it has in memory,
// opens the JobDB again and recovers, as often as it takes. It gives up only if
// the JobDB cannot be opened for a reason that waiting does not mend, or if it has
// been superseded.
func (d *Director) Run(ctx context.Context) error {
	defer d.say("stopped")
	for wait := time.Second; ; wait = min(2*wait, reopenBackoff) {
		began := d.o.Now()
		err := d.serve(ctx)
		switch {
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return nil // it ended while the JobDB was being opened or recovered
		case ctx.Err() != nil || hopeless(err):
			return err
		}
		if d.o.Now().Sub(began) > reopenBackoff {
			wait = time.Second
		}
		d.o.Logger.Error("the JobDB is opened again, to recover", "error", err, "in", wait)
		d.say("recovering after: " + err.Error())
		d.metrics.reopened.Inc()
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// hopeless reports whether opening the JobDB again cannot help.
func hopeless(err error) bool {
	return errors.Is(err, jobdb.ErrSuperseded) || errors.Is(err, jobdb.ErrCorrupt) || errors.Is(err, jobdb.ErrNewerSchema)
}

// serve is one tenure, with its JobDB opened before and closed after.
func (d *Director) serve(ctx context.Context) (err error) {
	db, err := d.o.Open(ctx)
	if err != nil {
		return fmt.Errorf("open the JobDB: %w", err)
	}
	defer func() {
		if cerr := db.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("close the JobDB: %w", cerr))
		}
	}()
	d.say("recovering")
	d.metrics.recovered.Store(0)
	t := newTenure(&d.o, db, d.metrics)
	stop := context.AfterFunc(ctx, func() { d.say("shutting down") })
	defer stop()
	defer d.tenure.Store(nil)
	return t.serve(ctx, func() {
		d.tenure.Store(t)
		if d.o.Serving != nil {
			d.o.Serving()
		}
	})
}

func (d *Director) say(status string) { d.status.Store(&status) }

// Ready returns nil while jobs are accepted, and otherwise an error that says why
// they are not.
func (d *Director) Ready() error {
	t := d.tenure.Load()
	if t == nil || !t.serving.Load() {
		status := *d.status.Load()
		if n := d.metrics.recovered.Load(); status == "recovering" && n > 0 {
			status = fmt.Sprintf("recovering: %d jobs read", n)
		}
		return errors.New(status)
	}
	return t.admit(0)
}

// current is the tenure under way.
func (d *Director) current() (*tenure, error) {
	t := d.tenure.Load()
	if t == nil || !t.serving.Load() {
		return nil, fmt.Errorf("%w (%s)", ErrUnavailable, *d.status.Load())
	}
	return t, nil
}

// Submit makes the jobs durable and returns their ids; from then on they are
// delivered. A batch is accepted whole or refused whole, with an [InvalidError],
// [ExistsError] or [ExhaustedError]; after [ErrUnavailable] the outcome may be
// unknown, and the call may be repeated with the same transaction id.
//
// It waits for the outcome even when ctx ends before.
func (d *Director) Submit(ctx context.Context, s Submission) (Receipt, error) {
	t, err := d.current()
	if err != nil {
		return Receipt{}, err
	}
	receipt, err := t.submit(ctx, s, d.ids)
	d.metrics.submitted(receipt.Repeated, err)
	return receipt, err
}

// Get returns a job and its transitions, from the JobDB or the archive, or
// [ErrNotFound].
func (d *Director) Get(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	t, err := d.current()
	if err != nil {
		return jobdb.Trace{}, err
	}
	trace, err := t.db.Trace(ctx, id)
	if err == nil {
		return trace, nil
	}
	if !errors.Is(err, jobdb.ErrNotFound) {
		return jobdb.Trace{}, fmt.Errorf("trace job %s: %w", id, err)
	}
	return d.findArchived(ctx, id)
}
