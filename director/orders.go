package director

import (
	"sync"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// order is what an operator says of the unfinished jobs of some queues: to archive
// them, or to retry them, now.
type order struct {
	sel   schedule.Selector
	flush bool
}

// orders are those that a Director was given since its process began, with the
// moment of each. The jobs that its current JobDB holds obey at once. These are kept
// for the others: those that stand in a JobDB on its way out, or in one that is being
// drained, and arrive later. An order is about a job as it stood at that moment; what
// became of it since makes the order void.
type orders struct {
	mu struct {
		sync.Mutex
		at map[order]time.Time
	}
}

// maxOrders bounds those that are kept; the oldest is forgotten first.
const maxOrders = 1000

func newOrders() *orders {
	o := &orders{}
	o.mu.at = make(map[order]time.Time)
	return o
}

func (o *orders) add(what order, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, again := o.mu.at[what]; !again && len(o.mu.at) == maxOrders {
		var oldest order
		for one, at := range o.mu.at {
			if first, ok := o.mu.at[oldest]; !ok || at.Before(first) {
				oldest = one
			}
		}
		delete(o.mu.at, oldest)
	}
	o.mu.at[what] = now
}

// flushes reports whether there is an order to archive a job of the queue that stands
// as it does since that moment.
func (o *orders) flushes(key centrifuge.QueueKey, since time.Time) bool {
	return o.given(key, true, since)
}

// retries is as flushes, for an order to retry.
func (o *orders) retries(key centrifuge.QueueKey, since time.Time) bool {
	return o.given(key, false, since)
}

func (o *orders) given(key centrifuge.QueueKey, flush bool, since time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.mu.at) == 0 {
		return false
	}
	for _, sel := range [...]schedule.Selector{schedule.Selector(key), {Source: key.Source}, {Destination: key.Destination}} {
		if at, ok := o.mu.at[order{sel, flush}]; ok && !since.After(at) {
			return true
		}
	}
	return false
}

// receiveLocked does with a job that has arrived from another JobDB what was ordered
// before it came. It reports whether that leaves nothing for the scheduler.
func (t *tenure) receiveLocked(now time.Time, e *effect) (leaves bool) {
	since := standsSince(e.arrived)
	switch {
	case e.spent: // as apply says
	case t.orders.flushes(e.job.Queue(), since):
		t.archiver.take(e.job.ID, centrifuge.ErrorFlushed)
		return true
	case e.life.State == centrifuge.StateAwaitingRetry && t.orders.retries(e.job.Queue(), since):
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
