package director

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// orders are what operators said of unfinished jobs, each with its moment. The jobs
// that the current JobDB holds obey at once, and the JobDB keeps the order for those
// that a crash kept from obeying. These are for the others: those that stand in a
// JobDB on its way out, or in one that is being drained, and arrive later. An order is
// about a job as it stood at that moment; what became of it since makes the order void.
type orders struct {
	mu struct {
		sync.Mutex
		at map[order]time.Time
	}
}

type order struct {
	sel  schedule.Selector
	kind jobdb.OrderKind
}

const (
	// maxOrders bounds those that are kept; the oldest is forgotten first.
	maxOrders = 10_000

	// ordersLast is for how long an order can be of use: the jobs of its time have
	// expired by then.
	ordersLast = MaxTTL
)

func newOrders() *orders {
	o := &orders{}
	o.mu.at = make(map[order]time.Time)
	return o
}

func (o *orders) add(given ...jobdb.Order) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range given {
		what, at := order{schedule.Selector(given[i].Scope), given[i].Kind}, given[i].Time
		before, again := o.mu.at[what]
		if again && !at.After(before) {
			continue
		}
		if !again && len(o.mu.at) == maxOrders {
			o.forgetLocked()
		}
		o.mu.at[what] = at
	}
}

// forgetLocked forgets the oldest order.
func (o *orders) forgetLocked() {
	var oldest order
	for one, at := range o.mu.at {
		if first, ok := o.mu.at[oldest]; !ok || at.Before(first) {
			oldest = one
		}
	}
	delete(o.mu.at, oldest)
}

// since returns those that were given after a time, in order.
func (o *orders) since(t time.Time) (given []jobdb.Order) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for what, at := range o.mu.at {
		if at.After(t) {
			given = append(given, jobdb.Order{Scope: centrifuge.QueueKey(what.sel), Kind: what.kind, Time: at})
		}
	}
	slices.SortFunc(given, func(a, b jobdb.Order) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Scope.Source, b.Scope.Source),
			cmp.Compare(a.Scope.Destination, b.Scope.Destination), cmp.Compare(a.Kind, b.Kind))
	})
	return given
}

// given reports whether a job of the queue that stands as it does since that moment
// was ordered to retry, or to expire.
func (o *orders) given(kind jobdb.OrderKind, key centrifuge.QueueKey, since time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, sel := range selectors(key) {
		if at, ok := o.mu.at[order{sel, kind}]; ok && !since.After(at) {
			return true
		}
	}
	return false
}

// recovered are the orders that a JobDB holds, for those of its own jobs that have
// not obeyed.
type recovered map[order]jobdb.Order

// recoverOrders finds out what was ordered before the tenure.
func (t *tenure) recoverOrders(ctx context.Context) error {
	given, err := t.db.Orders(ctx, t.o.Now().Add(-ordersLast))
	if err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	t.orders.add(given...)
	t.recovered = make(recovered, len(given))
	for _, o := range given {
		t.recovered[order{schedule.Selector(o.Scope), o.Kind}] = o
		t.log.spoke(o.Time)
	}
	return nil
}

// given returns when a job of the queue that stands where that transition brought it
// was last ordered to retry, or to expire, and whether it was.
func (r recovered) given(kind jobdb.OrderKind, key centrifuge.QueueKey, last *centrifuge.Transition) (at time.Time, ok bool) {
	for _, sel := range selectors(key) {
		o, said := r[order{sel, kind}]
		if said && last.Seq < o.Seq && (last.Seq > 0 || !last.Time.After(o.Time)) && !o.Time.Before(at) {
			at, ok = o.Time, true
		}
	}
	return at, ok
}

// lastSeq is that of the last order.
func (r recovered) lastSeq() (seq uint64) {
	for _, o := range r {
		seq = max(seq, o.Seq)
	}
	return seq
}

// selectors are those that an order for a queue can have.
func selectors(key centrifuge.QueueKey) [3]schedule.Selector {
	return [...]schedule.Selector{schedule.Selector(key), {Source: key.Source}, {Destination: key.Destination}}
}

// ordering is an order on its way into the JobDB.
type ordering struct {
	jobdb.Order     // its place and time are given when its group is closed
	reached     int // jobs; known when it is durable
}

// obeyLocked has the jobs that the scheduler holds obey.
func (t *tenure) obeyLocked(now time.Time, o *ordering) {
	switch sel := schedule.Selector(o.Scope); o.Kind {
	case jobdb.OrderRetry:
		o.reached = t.mu.sched.RetryNow(now, sel)
	case jobdb.OrderExpire:
		o.reached = t.mu.sched.ExpireNow(now, sel)
	}
}

// receiveLocked does with a job that has arrived from another JobDB what was ordered
// before it came. It reports whether that leaves nothing for the scheduler.
func (t *tenure) receiveLocked(now time.Time, e *effect) (leaves bool) {
	if e.spent { // as apply says
		return false
	}
	key, since := e.job.Queue(), standsSince(e.arrived)
	if t.orders.given(jobdb.OrderExpire, key, since) {
		t.archiver.take(e.job.ID, centrifuge.ErrorFlushed)
		return true
	}
	if e.life.State == centrifuge.StateAwaitingRetry && t.orders.given(jobdb.OrderRetry, key, since) {
		e.retryAt = now
	}
	return false
}

// standsSince is when the job came to where it stands.
func standsSince(j *jobdb.Trace) time.Time {
	if n := len(j.Transitions); n > 0 {
		return j.Transitions[n-1].Time
	}
	return j.Job.CreatedAt
}
