// Package director is the Director: it owns one JobDB, accepts jobs and makes
// them durable there, delivers them through the scheduler's virtual queues, logs
// what becomes of each, and archives what could not be delivered in time.
//
// It guarantees that a job whose Submit was answered reaches exactly one end, and
// that each of its attempts is at a time the scheduler allows. Delivery is at
// least once: after a crash, attempts whose outcome was not yet durable are
// repeated, at most as many as were in flight or unflushed.
//
// It does not choose the JobDB or listen: the caller does.
package director

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"centrifuge"
	"centrifuge/jobdb"
)

// Director is one Director. Its methods are safe for concurrent use; those that
// need the JobDB return [ErrUnavailable] while it does not serve.
type Director struct {
	o       Options
	ids     *centrifuge.IDs
	metrics *metrics
	intake  *intakes
	orders  *orders
	owner   atomic.Pointer[owned]  // of the JobDB that takes intake, the last one if none does
	status  atomic.Pointer[string] // why there is none
	parts   atomic.Int64           // of Share; 0 until it is called

	changed  chan struct{}       // capacity 1: a JobDB was let go of
	cycling  chan struct{}       // capacity 1: holds a token while the owner is being replaced
	policies *semaphore.Weighted // what is said of queues holds 1, the replacing of the owner all

	mu struct {
		sync.Mutex
		start    func(*owned) // runs it; nil while Run does not
		retiring []*owned     // the oldest first
		next     *owned       // that is about to be the current one
		past     Ledger       // of the JobDBs that were let go of, as it was then

		left map[string]time.Time // prepared transactions in them, until when that counts
	}
}

// New makes a Director of its options. It does nothing until Run.
func New(o Options) (*Director, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Director{
		o: o, ids: centrifuge.NewIDs(o.Random), intake: newIntakes(), orders: newOrders(),
		changed: make(chan struct{}, 1), cycling: make(chan struct{}, 1), policies: semaphore.NewWeighted(allPolicies),
	}
	d.mu.left = make(map[string]time.Time)
	d.metrics = newMetrics(d)
	d.say("starting")
	return d, nil
}

// After a tenure has failed, the next begins after a wait that doubles up to this.
const reopenBackoff = 30 * time.Second

// Run serves until ctx ends, and then shuts down in two phases: intake closes and
// no attempt is begun, attempts under way get [Options.ShutdownGrace]; then what
// was logged is flushed, the JobDB closed and its lease given up. It returns nil
// after a clean shutdown.
//
// If the outcome of a commit becomes unknown, Run drops what it has in memory,
// opens the JobDB again and recovers, as often as it takes. If the JobDB's lease is
// lost or another has recorded a higher epoch, Run acquires another JobDB. It gives
// up only if a JobDB cannot be opened for a reason that waiting does not mend.
func (d *Director) Run(ctx context.Context) error {
	defer d.say("stopped")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var crew sync.WaitGroup
	d.admitOwners(func(w *owned) { crew.Go(func() { w.run(ctx) }) })
	err := d.own(ctx)
	d.admitOwners(nil)
	cancel()
	crew.Wait()
	if w := d.owner.Load(); w != nil && err == nil {
		err = w.err
	}
	return err
}

// own sees to it that there is a JobDB to serve from, until ctx ends or one is
// found that cannot be opened.
func (d *Director) own(ctx context.Context) error {
	wait := time.Second // before the next is acquired, in which things may be no better
	var mourned *owned
	for ctx.Err() == nil {
		w := d.owner.Load()
		if w != nil && !w.over() {
			select {
			case <-ctx.Done():
			case <-d.changed:
			}
			continue
		}
		if w != mourned && !d.mourn(ctx, w, &wait) {
			return w.err
		}
		mourned = w
		err := d.acquire(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
		case hopeless(err):
			return err
		default:
			d.o.Logger.Error("no JobDB could be acquired", "error", err, "retry_in", wait)
			d.say("acquiring a JobDB: " + err.Error())
			sleep(ctx, wait)
			wait = min(2*wait, reopenBackoff)
		}
	}
	return nil
}

// mourn waits a moment after the loss of a JobDB. It reports false if no other can
// take its place.
func (d *Director) mourn(ctx context.Context, w *owned, wait *time.Duration) bool {
	if ctx.Err() != nil {
		return true
	}
	if hopeless(w.err) {
		return false
	}
	if d.o.Now().Sub(w.since) > reopenBackoff {
		*wait = time.Second
	}
	d.o.Logger.Error("the JobDB is lost, and another is acquired", "jobdb", w.Name, "error", w.err, "in", *wait)
	sleep(ctx, *wait)
	*wait = min(2**wait, reopenBackoff)
	return true
}

// acquire acquires a JobDB and makes it the current one, unless a cycle has done so
// meanwhile.
func (d *Director) acquire(ctx context.Context) error {
	if err := d.lockOwner(ctx); err != nil {
		return err
	}
	defer d.unlockOwner()
	if w := d.owner.Load(); w != nil && !w.over() {
		return nil
	}
	d.say("acquiring a JobDB")
	h, err := d.o.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("acquire a JobDB: %w", err)
	}
	w := d.newOwned(h)
	w.installed.Store(true)
	d.owner.Store(w)
	return d.begin(w)
}

// admitOwners tells how a JobDB's time is begun, or with nil that none is any more.
func (d *Director) admitOwners(start func(*owned)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.start = start
}

// begin has the JobDB owned, from now on until Run waits for its end.
func (d *Director) begin(w *owned) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.start == nil {
		return ErrUnavailable
	}
	d.mu.start(w)
	return nil
}

// lockOwner keeps the current JobDB from being replaced by anybody else.
func (d *Director) lockOwner(ctx context.Context) error {
	select {
	case d.cycling <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Director) unlockOwner() { <-d.cycling }

// look makes Run look at what is owned.
func (d *Director) look() { poke(d.changed) }

func (d *Director) say(status string) { d.status.Store(&status) }

// serving tells the caller that jobs are accepted.
func (d *Director) serving() {
	if d.o.Serving != nil {
		d.o.Serving()
	}
}

// sleep waits, and reports false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Ready returns nil while jobs are accepted, and otherwise an error that says why
// they are not.
func (d *Director) Ready() error {
	t, status := d.taking()
	if t == nil {
		return errors.New(status)
	}
	return t.admit(0)
}

// current is the tenure under way.
func (d *Director) current() (*tenure, error) {
	t, status := d.taking()
	if t == nil {
		return nil, fmt.Errorf("%w (%s)", ErrNotServing, status)
	}
	return t, nil
}

// taking returns the tenure that takes intake, or why there is none.
func (d *Director) taking() (t *tenure, why string) {
	w := d.owner.Load()
	if w == nil || w.over() {
		return nil, *d.status.Load()
	}
	if t := w.tenure.Load(); t != nil && t.serving.Load() {
		return t, ""
	}
	why = *w.status.Load()
	if n := d.metrics.recovered.Load(); why == "recovering" && n > 0 {
		why = fmt.Sprintf("recovering: %d jobs read", n)
	}
	return nil, why
}

// enter returns the tenure under way, which does not end by a cycle before leave is
// called.
func (d *Director) enter() (t *tenure, leave func(), err error) {
	for {
		t, err := d.current()
		if err != nil {
			return nil, nil, err
		}
		if t.calls.enter() {
			return t, t.calls.leave, nil
		}
		// It was retired just now, so that another is current.
	}
}

// Submit makes the jobs durable and returns their ids; from then on they are
// delivered. A batch is accepted whole or refused whole, with an [InvalidError],
// [ExistsError] or [ExhaustedError]; after [ErrUnavailable] the outcome may be
// unknown, and the call may be repeated with the same transaction id.
//
// It waits for the outcome even when ctx ends before.
func (d *Director) Submit(ctx context.Context, s Submission) (Receipt, error) {
	t, leave, err := d.enter()
	if err != nil {
		return Receipt{}, err
	}
	defer leave()
	receipt, err := t.submit(ctx, s, d.ids)
	d.metrics.submitted(receipt.Repeated, err)
	return receipt, err
}

// Get returns a job and its transitions, from the JobDB or the archive, or
// [ErrNotFound].
func (d *Director) Get(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	t, leave, err := d.enter()
	if err != nil {
		return jobdb.Trace{}, err
	}
	defer leave()
	trace, err := t.db.Trace(ctx, id)
	if errors.Is(err, jobdb.ErrNotFound) {
		trace, err = d.traceRetiring(ctx, t, id)
	}
	if err == nil {
		return trace, nil
	}
	if !errors.Is(err, jobdb.ErrNotFound) {
		return jobdb.Trace{}, fmt.Errorf("trace job %s: %w", id, err)
	}
	if trace, err = d.findArchived(ctx, id); errors.Is(err, ErrNotFound) && d.o.Past != nil {
		trace, err = d.findPast(ctx, id)
	}
	return trace, err
}

// findPast looks for the job in JobDBs that this Director does not hold.
func (d *Director) findPast(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	trace, err := d.o.Past(ctx, id)
	switch {
	case errors.Is(err, jobdb.ErrNotFound):
		err = fmt.Errorf("job %s: %w", id, ErrNotFound)
	case err != nil:
		err = fmt.Errorf("trace job %s: %w", id, err)
	}
	return trace, err
}

// traceRetiring looks for the job in the JobDBs that are retiring. One of them may
// be let go of meanwhile; then the job is where a drain brings it.
func (d *Director) traceRetiring(ctx context.Context, current *tenure, id centrifuge.ID) (jobdb.Trace, error) {
	for _, w := range d.others(current) {
		t := w.tenure.Load()
		if t == nil {
			continue
		}
		if trace, err := t.db.Trace(ctx, id); err == nil {
			return trace, nil
		}
	}
	return jobdb.Trace{}, jobdb.ErrNotFound
}
