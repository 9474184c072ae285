package schedule_test

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

// world runs a scheduler in simulated time against endpoints that are functions.
type world struct {
	t        *testing.T
	s        *schedule.Scheduler
	now      time.Time
	random   *rand.Rand
	endpoint func(q centrifuge.QueueKey) (schedule.Feedback, bool) // and whether to try again
	sent     func(q centrifuge.QueueKey, job centrifuge.ID)        // a request begins
	gone     func(q centrifuge.QueueKey)                           // a job ends well

	under    inFlight
	made     int
	attempts map[centrifuge.ID]uint32
	expired  int
}

type request struct {
	ends     time.Time
	ticket   schedule.Ticket
	job      centrifuge.ID
	feedback schedule.Feedback
	again    bool
}

type inFlight []request

func (f inFlight) Len() int           { return len(f) }
func (f inFlight) Less(i, j int) bool { return f[i].ends.Before(f[j].ends) }
func (f inFlight) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *inFlight) Push(r any)        { *f = append(*f, r.(request)) }
func (f *inFlight) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

func newWorld(t *testing.T, o schedule.Options) *world {
	return &world{
		t: t, s: newScheduler(o), now: start,
		random:   rand.New(rand.NewPCG(3, 4)),
		sent:     func(centrifuge.QueueKey, centrifuge.ID) {},
		gone:     func(centrifuge.QueueKey) {},
		attempts: map[centrifuge.ID]uint32{},
	}
}

// submit puts in n jobs of the queue.
func (w *world) submit(q centrifuge.QueueKey, n int) {
	for range n {
		w.made++
		w.s.Ready(w.now, q, id(w.made), w.now.Add(ttl))
	}
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); ; {
		w.pick()
		w.expired += len(w.s.Expired(w.now, nil))
		to := end
		if next, ok := w.s.Next(w.now); ok && next.Before(to) {
			to = next
		}
		if len(w.under) > 0 && w.under[0].ends.Before(to) {
			to = w.under[0].ends
		}
		w.now = later(w.now, to)
		for len(w.under) > 0 && !w.under[0].ends.After(w.now) {
			w.end(heap.Pop(&w.under).(request))
		}
		if !w.now.Before(end) {
			return
		}
	}
}

func (w *world) pick() {
	var room [1]centrifuge.ID
	for {
		ticket, ids, ok := w.s.Pick(w.now, room[:0])
		if !ok {
			return
		}
		w.sent(ticket.Queue, ids[0])
		f, again := w.endpoint(ticket.Queue)
		heap.Push(&w.under, request{w.now.Add(f.Latency), ticket, ids[0], f, again})
	}
}

func (w *world) end(r request) {
	w.s.Done(w.now, r.ticket, r.feedback)
	if !r.again {
		delete(w.attempts, r.job)
		w.gone(r.ticket.Queue)
		return
	}
	w.attempts[r.job]++
	wait := centrifuge.RetryPolicy{}.Backoff(w.attempts[r.job], w.random)
	w.s.Wait(w.now, r.ticket.Queue, r.job, start.Add(24*time.Hour), w.now.Add(wait))
}

// answer is an endpoint's answer after the latency.
func answer(r schedule.Result, latency time.Duration) (schedule.Feedback, bool) {
	return schedule.Feedback{Result: r, Latency: latency}, r == schedule.Failed
}
