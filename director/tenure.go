package director

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
	"centrifuge/lease"
	"centrifuge/schedule"
)

// tenure is the time in which a Director owns one JobDB: from recovery to the
// shutdown, or to the moment when the outcome of a commit is unknown and all that
// is in memory must be built again from what the JobDB holds.
type tenure struct {
	o         *Options
	name      string // of the JobDB
	lease     lease.Lease
	db        jobdb.DB
	log       *committer
	books     *books
	archiver  *archiver
	intake    *intakes
	prepared  *preparations
	orders    *orders                // of the Director
	recovered recovered              // orders in the JobDB
	others    func(*tenure) []*owned // that the Director has beside this one, the oldest first
	onItsWay  func(id string) error  // as that of the Director
	mover     *mover                 // of a tenure that drains its JobDB, nil otherwise
	metrics   *metrics
	calls     calls // which the tenure waits for when it is retired

	// attempts ends the attempts under way when the shutdown's grace is over.
	attempts context.Context //nolint:containedctx // owned by serve, which made it; workers outlive no call
	cutOff   context.CancelCauseFunc

	failed chan error // capacity 1: why the tenure cannot go on

	events []centrifuge.Event // of observe; owned by the committer's goroutine

	serving atomic.Bool   // intake is open
	clock   chan struct{} // capacity 1: keepTime is to look again

	wake *sync.Cond // on mu: there may be work to take, or the workers are to end
	mu   struct {
		sync.Mutex
		sched   *schedule.Scheduler
		said    map[centrifuge.QueueKey]time.Time // when the policy of a scope was set
		cache   cache
		loaded  []attempt // read back from the JobDB; their slots are reserved
		missing []missing // to be read back
		workers int
		flights []*flight // of the workers, one each
		parked  int
		held    error // why commits are refused, and no attempt is begun
		ending  bool  // workers end
		wakeAt  time.Time
	}
	missed  chan struct{}  // capacity 1: missing is not empty
	expired chan struct{}  // capacity 1: the scheduler may have expired jobs
	crew    sync.WaitGroup // the workers
}

// attempt is a job whose turn it is, with the slot that was reserved for it.
type attempt struct {
	ticket schedule.Ticket
	cached
}

// missing is a job whose turn it is and whose payload is not in memory.
type missing struct {
	ticket schedule.Ticket
	id     centrifuge.ID
}

func newTenure(o *Options, h Holding, db jobdb.DB, m *metrics) *tenure {
	t := &tenure{
		o: o, name: h.Name, lease: h.Lease, db: db, metrics: m,
		log:      newCommitter(db, o.CommitInterval, o.Now, m),
		books:    newBooks(),
		prepared: newPreparations(o.MaxPreparedBytes),
		failed:   make(chan error, 1),
		clock:    make(chan struct{}, 1),
		missed:   make(chan struct{}, 1),
		expired:  make(chan struct{}, 1),
	}
	t.log.apply = t.apply
	t.log.stall = t.hold
	t.log.owns = t.owns
	t.archiver = newArchiver(t)
	t.wake = sync.NewCond(&t.mu)
	t.mu.sched = schedule.New(o.Schedule, o.Now())
	t.mu.said = make(map[centrifuge.QueueKey]time.Time)
	t.mu.cache = newCache(o.CacheBytes)
	return t
}

// serve recovers and then delivers until ctx ends, the JobDB is to retire, the lease
// is lost, or the tenure fails. When it returns, nothing of the tenure runs any
// more; the JobDB is still open.
//
// The end has two phases. First no job is accepted and no attempt begun; those
// under way may finish until the grace is over and are then cut off, so that each
// of them has its outcome appended. Only then is the committer stopped, which
// flushes what was appended. After a failure there is nothing to flush: recovery
// finds what is durable and repeats the rest.
//
// To retire is to end like that, but calls under way are waited for, and so is the
// archive object that was begun, up to the grace.
func (t *tenure) serve(ctx context.Context, retire <-chan struct{}, recovered func()) error {
	t.attempts, t.cutOff = context.WithCancelCause(context.WithoutCancel(ctx))
	defer t.cutOff(nil)
	helpers, stopHelpers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHelpers()

	var committing sync.WaitGroup
	committing.Go(func() {
		if err := t.log.run(helpers); err != nil {
			t.fail(err)
		}
	})
	stopped := func() {
		t.log.stop()
		committing.Wait()
	}

	recovery, stopRecovery := context.WithCancel(ctx)
	defer stopRecovery()
	var crew sync.WaitGroup
	crew.Go(func() { t.watchLease(helpers, stopRecovery) })
	if closed(retire) || t.mover != nil { // it was retired before, and ended in doubt; or drains
		t.beginNoMore()
	}
	if err := t.recover(recovery); err != nil {
		t.endWorkers(errShutdown) // what recovery committed may have woken some
		stopHelpers()
		crew.Wait()
		stopped()
		switch {
		case !t.lease.Held():
			return errLost
		case ctx.Err() != nil:
			return nil // nothing was begun that the next recovery would not find
		}
		return fmt.Errorf("recover: %w", err)
	}

	archiving, stopArchiving := context.WithCancel(helpers)
	defer stopArchiving()
	archived := make(chan struct{})
	if t.mover != nil {
		crew.Go(func() { t.mover.run(helpers) })
	} else {
		crew.Go(func() { t.keepTime(helpers) })
		crew.Go(func() { t.load(helpers) })
		crew.Go(func() { t.watchDisk(helpers) })
		crew.Go(func() { t.abortOverdue(helpers) })
	}
	crew.Go(func() {
		defer close(archived)
		t.archiver.run(archiving)
	})
	t.serving.Store(true)
	recovered()

	var err error
	retired := false
	select {
	case <-ctx.Done():
	case <-retire:
		retired = true
		t.archiver.stop()
	case err = <-t.failed:
	}
	t.serving.Store(false)
	if err == nil {
		err = t.windDown(func() {
			t.crew.Wait()
			if retired {
				<-archived
			}
		}, stopArchiving)
	}
	if err == nil && retired {
		err = t.awaitCalls(ctx)
	}
	t.endWorkers(errShutdown)
	stopHelpers()
	crew.Wait()
	stopped()
	if err == nil {
		select {
		case err = <-t.failed:
		default:
		}
	}
	return err
}

// owns returns nil while the lease is held. It is asked before each step that must
// be the owner's alone.
func (t *tenure) owns() error {
	if !t.lease.Held() {
		return errLost
	}
	return nil
}

// watchLease ends the tenure at once when the lease is lost.
func (t *tenure) watchLease(ctx context.Context, stopRecovery func()) {
	select {
	case <-ctx.Done():
	case <-t.lease.Done():
		t.fail(errLost)
		t.cutOff(errLost)
		stopRecovery()
	}
}

// errShutdown cuts off the attempts that the grace did not suffice for.
var errShutdown = errors.New("the director is shutting down")

// beginNoMore sees to it that no further attempt begins, and that no payloads are
// kept for one.
func (t *tenure) beginNoMore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.ending = true
	t.mu.cache = newCache(0)
	t.wake.Broadcast()
}

// windDown begins no more attempts and waits for the end of what is under way, up
// to the grace; then it is cut off.
func (t *tenure) windDown(wait, cutOff func()) error {
	t.beginNoMore()
	done := make(chan struct{})
	go func() {
		wait()
		close(done)
	}()
	timer := time.NewTimer(t.o.ShutdownGrace)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case err := <-t.failed:
		return err
	case <-timer.C:
		t.cutOff(errShutdown)
		cutOff()
	}
	<-done
	return nil
}

// awaitCalls waits for the calls under way, of which each ends with a commit or
// sooner. A shutdown does not wait for commits that are refused.
func (t *tenure) awaitCalls(ctx context.Context) error {
	idle := t.calls.finish()
	select {
	case <-idle:
	case <-ctx.Done():
	case err := <-t.failed:
		return err
	}
	return nil
}

// endWorkers cuts off what is under way and waits for the workers.
func (t *tenure) endWorkers(why error) {
	t.cutOff(why)
	t.beginNoMore()
	t.crew.Wait()
}

// fail ends the tenure; the first cause is kept.
func (t *tenure) fail(err error) {
	select {
	case t.failed <- err:
	default:
	}
}

// apply is what a commit sets in motion: the books are written, and jobs go to
// the scheduler. The committer calls it after each commit.
func (t *tenure) apply(g *group) {
	t.books.apply(g.effects)
	t.prepared.apply(g.batch.Transactions)
	t.observe(g)
	if t.mover != nil {
		return
	}
	now := t.o.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range g.effects {
		e := &g.effects[i]
		if e.arrived != nil && t.receiveLocked(now, e) {
			continue
		}
		switch e.life.State {
		case centrifuge.StateAwaitingScheduling:
			t.mu.sched.Ready(now, e.job.Queue(), e.job.ID, e.job.ExpireAt)
			t.mu.cache.put(e.job, e.life, 1)
		case centrifuge.StateAwaitingRetry:
			if e.spent {
				t.archiver.take(e.job.ID, centrifuge.ErrorAttempts)
				continue
			}
			t.mu.sched.Wait(now, e.job.Queue(), e.job.ID, e.job.ExpireAt, e.retryAt)
			if !e.partial {
				t.mu.cache.put(e.job, e.life, 0.5)
			}
		case centrifuge.StateExecuting, centrifuge.StateSucceeded, centrifuge.StateDiscarded,
			centrifuge.StateArchiving, centrifuge.StateArchived, centrifuge.StateMoved:
		}
	}
	for i := range g.batch.Policies {
		p := &g.batch.Policies[i]
		t.mu.sched.SetPolicy(now, p.Scope, p.Policy)
		t.mu.said[p.Scope] = p.Time
	}
	t.orders.add(g.batch.Orders...)
	for _, o := range g.orders {
		t.obeyLocked(now, o)
	}
	t.wakeLocked()
	t.mindClockLocked(now)
}

// hold stops intake and the beginning of attempts while the JobDB refuses commits,
// and resumes them with nil.
func (t *tenure) hold(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.held = why
	t.wakeLocked() // to begin attempts, or to put back what was loaded for some
}

// tellArchiverLocked lets the archiver know of jobs that the scheduler has found
// expired. It is called after what may have found some.
func (t *tenure) tellArchiverLocked() {
	if t.mu.sched.Leaving() {
		poke(t.expired)
	}
}

// mindClockLocked makes keepTime look again if something is due before it would.
// What is due and could not be taken is looked at no sooner than after a step, or
// keepTime and a worker would keep each other busy for as long as the JobDB refuses.
func (t *tenure) mindClockLocked(now time.Time) {
	next, ok := t.mu.sched.Next(now)
	t.tellArchiverLocked()
	if !ok {
		return
	}
	if !next.After(now) {
		next = now.Add(clockStep)
	}
	t.wakeAtLocked(next)
}

// wakeAtLocked makes keepTime look again at the given time, if it would later.
func (t *tenure) wakeAtLocked(at time.Time) {
	if at.Before(t.mu.wakeAt) {
		t.mu.wakeAt = at
		poke(t.clock)
	}
}

// While something is due that nobody can take yet, keepTime looks again this often.
const clockStep = 10 * time.Millisecond

// keepTime wakes workers and archiver when the passing of time alone makes
// something due: a retry, a token, the end of a hold, an expiry.
func (t *tenure) keepTime(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.clock:
		case <-timer.C:
		}
		t.mu.Lock()
		now := t.o.Now()
		wait := t.logLongLocked(now).Sub(now)
		if next, ok := t.mu.sched.Next(now); ok {
			if next.After(now) {
				wait = min(wait, next.Sub(now))
			} else {
				t.wakeLocked()
				wait = clockStep
			}
		}
		t.tellArchiverLocked()
		t.mu.wakeAt = now.Add(wait)
		t.mu.Unlock()
		timer.Reset(wait)
	}
}

// poke signals on a channel of capacity 1.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
