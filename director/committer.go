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
)

// Commits that fail for certain are tried again, for ever while the storage is
// full and this often otherwise, before the JobDB is given up and recovered.
const commitTries = 5

// errClosed refuses what comes after the committer was told to stop.
var errClosed = errors.New("the JobDB is being closed")

// effect is what a transition sets in motion once it is durable.
type effect struct {
	job     *centrifuge.Job
	from    centrifuge.State
	life    centrifuge.Life
	retryAt time.Time
	spent   bool         // the job's attempts are used up: it goes to the archive
	partial bool         // the job was not loaded whole and must not be cached
	arrived *jobdb.Trace // the job comes from another JobDB, as it is; nil for others
}

// intake is a Submit on its way into the JobDB.
type intake struct {
	jobs  []*centrifuge.Job
	tx    jobdb.Transaction
	dated bool       // its jobs have transitions, as dateLocked says
	done  chan error // receives once, when the outcome is known
}

// group is a batch together with those who wait for it.
type group struct {
	batch    jobdb.Batch
	intakes  []*intake
	arrivals []*arrival
	effects  []effect
	orders   []*ordering
	synced   []chan error // of sync, each receives once
}

func (g *group) reset() {
	g.batch.Reset()
	clear(g.intakes)
	clear(g.arrivals)
	clear(g.effects)
	clear(g.orders)
	clear(g.synced)
	g.intakes, g.arrivals, g.effects, g.orders, g.synced = g.intakes[:0], g.arrivals[:0], g.effects[:0], g.orders[:0], g.synced[:0]
}

// committer makes what many callers want durable so in shared commits. Callers
// add to the open group; one goroutine, run, closes it, commits it, applies its
// effects and tells those who wait. Nobody who appends a transition waits.
type committer struct {
	db       jobdb.DB
	interval time.Duration
	now      func() time.Time
	apply    func(*group) // called by run after each commit
	owns     func() error // asked before each commit; an error ends the committer
	stall    func(error)  // called by run when commits begin to be refused, and with nil when that ends
	metrics  *metrics

	// between is held by run from the beginning of a commit to the end of its
	// effects: who holds it sees books and JobDB agree.
	between sync.Mutex

	work      chan struct{} // capacity 1: the open group is not empty, or stop was called
	unflushed atomic.Int64  // transitions appended and not yet durable

	mu struct {
		sync.Mutex
		open   *group
		spare  *group
		seq    uint64
		spoke  time.Time // when the last order was given
		closed error     // why nothing more is taken; run ends once all is flushed
	}
}

func newCommitter(db jobdb.DB, interval time.Duration, now func() time.Time, m *metrics) *committer {
	c := &committer{db: db, interval: interval, now: now, metrics: m, work: make(chan struct{}, 1)}
	c.mu.open, c.mu.spare = &group{}, &group{}
	return c
}

// submit adds jobs to the open group. The intake's done tells the outcome.
func (c *committer) submit(in *intake) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed != nil {
		return c.mu.closed
	}
	g := c.mu.open
	g.batch.Jobs = append(g.batch.Jobs, in.jobs...)
	g.batch.Transactions = append(g.batch.Transactions, in.tx)
	g.intakes = append(g.intakes, in)
	for _, job := range in.jobs {
		g.effects = append(g.effects, effect{job: job, life: centrifuge.Life{State: centrifuge.StateAwaitingScheduling}})
	}
	if err := c.dateLocked(in); err != nil {
		return err
	}
	c.poke()
	return nil
}

// dateLocked sees to it that jobs which come after an order, and are not later by
// their clock, can be told from those before it: their rows alone have no place
// among the transitions.
func (c *committer) dateLocked(in *intake) error {
	for _, job := range in.jobs {
		if job.CreatedAt.After(c.mu.spoke) {
			continue
		}
		c.mu.seq++
		_, err := c.mu.open.batch.Append(centrifuge.Life{}, centrifuge.Transition{
			JobID: job.ID, Seq: c.mu.seq, State: centrifuge.StateAwaitingScheduling, Time: job.CreatedAt,
		})
		if err != nil {
			return err
		}
		in.dated = true
		c.unflushed.Add(1)
	}
	return nil
}

// append adds a transition to the open group and numbers it. An error means a bug or
// that the committer was stopped.
func (c *committer) append(life centrifuge.Life, t centrifuge.Transition, e effect) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.appendLocked(life, t, e)
	return err
}

// appendAttempt adds the beginning of an attempt, as its outcome implies it, and the
// outcome, so that the JobDB can keep both in one row.
func (c *committer) appendAttempt(life centrifuge.Life, outcome centrifuge.Transition, e effect) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	outcome.Seq = c.mu.seq + 2
	life, err := c.appendLocked(life, outcome.Beginning(), effect{job: e.job})
	if err == nil {
		_, err = c.appendLocked(life, outcome, e)
	}
	return err
}

// taking is why nothing more is taken, nil as long as it is.
func (c *committer) taking() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.closed
}

func (c *committer) appendLocked(life centrifuge.Life, t centrifuge.Transition, e effect) (centrifuge.Life, error) {
	if c.mu.closed != nil {
		return life, c.mu.closed
	}
	t.Seq = c.mu.seq + 1
	next, err := c.mu.open.batch.Append(life, t)
	if err != nil {
		return life, err
	}
	c.mu.seq = t.Seq
	e.from, e.life = life.State, next
	c.mu.open.effects = append(c.mu.open.effects, e)
	c.unflushed.Add(1)
	c.poke()
	return next, nil
}

// words adds queue policies, and orders that were given before, to the open group and
// waits until they are durable.
func (c *committer) words(ctx context.Context, policies []jobdb.Policy, orders []jobdb.Order) error {
	return c.say(ctx, func(g *group) {
		g.batch.Policies = append(g.batch.Policies, policies...)
		g.batch.Orders = append(g.batch.Orders, orders...)
	})
}

// order adds an order to the open group and waits until it is durable and obeyed.
func (c *committer) order(ctx context.Context, o *ordering) error {
	return c.say(ctx, func(g *group) { g.orders = append(g.orders, o) })
}

func (c *committer) say(ctx context.Context, add func(*group)) error {
	c.mu.Lock()
	if err := c.mu.closed; err != nil {
		c.mu.Unlock()
		return err
	}
	add(c.mu.open)
	c.mu.Unlock()
	return c.sync(ctx)
}

// sync waits until everything added before it is durable and applied.
func (c *committer) sync(ctx context.Context) error {
	done := make(chan error, 1)
	c.mu.Lock()
	if err := c.mu.closed; err != nil {
		c.mu.Unlock()
		return err
	}
	c.mu.open.synced = append(c.mu.open.synced, done)
	c.poke()
	c.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop makes run flush what there is and end. Later calls are refused.
func (c *committer) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed == nil {
		c.mu.closed = errClosed
	}
	c.poke()
}

func (c *committer) poke() {
	select {
	case c.work <- struct{}{}:
	default:
	}
}

// run commits until stop, an error that calls for recovery, or the end of ctx,
// which cuts short the wait for a full storage.
func (c *committer) run(ctx context.Context) error {
	pace := time.NewTimer(0)
	defer pace.Stop()
	<-pace.C
	var began time.Time
	for range c.work {
		if wait := c.interval - c.now().Sub(began); wait > 0 && wait <= c.interval {
			pace.Reset(wait)
			<-pace.C
		}
		g, closed := c.next()
		if len(g.effects) > 0 || len(g.synced) > 0 || !g.batch.Empty() {
			began = c.now()
			if err := c.commit(ctx, g); err != nil {
				c.abort(g, err)
				return err
			}
		}
		if closed {
			return nil
		}
		c.recycle(g)
	}
	return nil
}

// next closes the open group and opens the spare one. Orders are given at this
// moment, after all else in their group.
func (c *committer) next() (g *group, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g = c.mu.open
	if c.mu.spare == nil {
		c.mu.spare = &group{}
	}
	c.mu.open, c.mu.spare = c.mu.spare, nil
	for _, o := range g.orders {
		o.Time = c.now().UTC().Truncate(time.Millisecond)
		g.batch.Orders = append(g.batch.Orders, o.Order)
	}
	for i := range g.batch.Orders {
		o := &g.batch.Orders[i]
		c.mu.seq++
		o.Seq = c.mu.seq
		c.spokeLocked(o.Time)
	}
	return g, c.mu.closed != nil
}

func (c *committer) recycle(g *group) {
	g.reset()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.spare = g
}

// commit makes the group durable, applies its effects and tells the waiters. A
// commit that failed for certain refuses the group's Submits, whose callers may
// repeat them, and is tried again with the rest: transitions are facts.
func (c *committer) commit(ctx context.Context, g *group) error {
	for try := 1; ; try++ {
		transitions := int64(len(g.batch.Transitions()))
		c.between.Lock()
		began := c.now()
		err := c.write(ctx, g)
		if err == nil {
			c.metrics.committed(c.now().Sub(began), len(g.batch.Jobs)+int(transitions))
			c.unflushed.Add(-transitions)
			c.apply(g)
			c.between.Unlock()
			break
		}
		c.between.Unlock()
		full := errors.Is(err, jobdb.ErrFull)
		if errors.Is(err, jobdb.ErrUnknownOutcome) || lost(err) || !full && try == commitTries {
			return fmt.Errorf("commit: %w", err)
		}
		c.refuse(g, err)
		c.refuseOpen(err)
		if try == 1 {
			c.stall(err)
			defer c.stall(nil)
		}
		select {
		case <-time.After(min(time.Duration(try)*100*time.Millisecond, time.Second)):
		case <-ctx.Done():
			// Not with the end of ctx in it: that would look like a clean shutdown.
			return fmt.Errorf("commit, given up at the shutdown: %w", err)
		}
	}
	for _, in := range g.intakes {
		in.done <- nil
	}
	for _, a := range g.arrivals {
		a.done <- nil
	}
	for _, done := range g.synced {
		done <- nil
	}
	return nil
}

func (c *committer) write(ctx context.Context, g *group) error {
	if g.batch.Empty() {
		return nil
	}
	if err := c.owns(); err != nil {
		return err
	}
	return c.db.Commit(context.WithoutCancel(ctx), &g.batch)
}

// refuseOpen refuses the Submits that joined the open group before it was known
// that commits are refused; their callers should not wait for room.
func (c *committer) refuseOpen(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse(c.mu.open, err)
}

// refuse tells the group's Submits that nothing of them was stored, and takes
// them out of it.
func (c *committer) refuse(g *group, err error) {
	if len(g.intakes) == 0 {
		return
	}
	dated := make(map[centrifuge.ID]bool)
	for _, in := range g.intakes {
		if in.dated {
			for _, job := range in.jobs {
				dated[job.ID] = true
			}
		}
		in.done <- refusal(err)
	}
	g.intakes = g.intakes[:0]
	transitions := len(g.batch.Transitions())
	g.batch.Withdraw(dated)
	c.unflushed.Add(int64(len(g.batch.Transitions()) - transitions))
	for _, a := range g.arrivals {
		a.addTo(&g.batch)
	}
	kept := g.effects[:0]
	for _, e := range g.effects {
		if e.from != 0 || e.arrived != nil {
			kept = append(kept, e)
		}
	}
	g.effects = kept
}

// refusal is what a Submit is told when a commit failed for certain.
func refusal(err error) error {
	reason := "the JobDB refuses commits"
	if errors.Is(err, jobdb.ErrFull) {
		reason = "the JobDB's storage is full"
	}
	return &ExhaustedError{Reason: reason, RetryAfter: time.Second}
}

// abort tells everyone who waits, in the group at hand and in the open one, that
// the outcome is unknown, and refuses what comes.
func (c *committer) abort(g *group, err error) {
	err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.closed = err
	for _, g := range []*group{g, c.mu.open} {
		for _, in := range g.intakes {
			in.done <- err
		}
		for _, a := range g.arrivals {
			a.done <- err
		}
		for _, done := range g.synced {
			done <- err
		}
	}
}

// startAfter sets the sequence number that the JobDB's last transition or order has.
func (c *committer) startAfter(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.seq = seq
}

// spoke tells when an order was given before the committer began.
func (c *committer) spoke(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spokeLocked(at)
}

func (c *committer) spokeLocked(at time.Time) {
	if at.After(c.mu.spoke) {
		c.mu.spoke = at
	}
}
