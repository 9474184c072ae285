package schedule

import (
	"time"

	"centrifuge"
)

// Selector names queues: those of a source, of a destination, the one of both,
// or, empty, all.
type Selector struct {
	Source      string
	Destination string
}

// Matches reports whether the queue is among those selected.
func (sel Selector) Matches(key centrifuge.QueueKey) bool {
	return (sel.Source == "" || sel.Source == key.Source) &&
		(sel.Destination == "" || sel.Destination == key.Destination)
}

// selected calls do for each selected queue.
func (s *Scheduler) selected(sel Selector, do func(id uint32, q *queue)) {
	if sel.Source != "" && sel.Destination != "" {
		if id, ok := s.byKey[centrifuge.QueueKey(sel)]; ok {
			do(id, s.queues[id])
		}
		return
	}
	for id, q := range s.queues {
		if q != nil && sel.Matches(q.key) {
			do(uint32(id), q)
		}
	}
}

// RetryNow makes all waiting jobs of the selected queues ready, and returns how
// many. It also ends what holds those queues up for a time, a Retry-After or the
// wait of an open breaker, which then probes at once; and that of the
// destination if the selector names one without a source.
//
// Jobs change their place one by one and queues are not copied; it takes some
// milliseconds for each million jobs that wait in the wheel.
func (s *Scheduler) RetryNow(now time.Time, sel Selector) int {
	s.observe(now)
	n := s.withdraw(sel, func(it item) {
		it.due = s.clock.tick
		s.route(it)
	})
	s.selected(sel, func(id uint32, q *queue) {
		q.lift()
		s.place(id)
	})
	if id, ok := s.byName[sel.Destination]; ok && sel.Source == "" {
		s.dests[id].lift()
		s.placeDestination(id)
	}
	return n
}

// ExpireNow flushes the selected queues: their ready and waiting jobs are taken
// out by [Scheduler.Expired]. It returns how many they are. Requests in flight go on.
func (s *Scheduler) ExpireNow(now time.Time, sel Selector) int {
	s.observe(now)
	n := s.withdraw(sel, func(it item) { s.leave(s.queues[it.queue], &s.flushed, it) })
	s.selected(sel, func(id uint32, q *queue) {
		ready := q.ready.n
		s.slab.splice(&s.flushed, &q.ready)
		q.leaving += ready
		s.totals.Leaving += int(ready)
		s.totals.Ready -= int(ready)
		n += int(ready)
		s.place(id)
	})
	return n
}

// withdraw takes the waiting jobs of the selected queues out of the wheel.
func (s *Scheduler) withdraw(sel Selector, do func(item)) int {
	chosen := make([]uint64, len(s.queues)/64+1)
	waiting := 0
	s.selected(sel, func(id uint32, q *queue) {
		if q.waiting > 0 {
			chosen[id/64] |= 1 << (id % 64)
			waiting += int(q.waiting)
		}
	})
	if waiting == 0 {
		return 0
	}
	var out list
	s.wheel.extract(waiting, func(it item) bool {
		if chosen[it.queue/64]&(1<<(it.queue%64)) == 0 {
			return false
		}
		s.slab.push(&out, it)
		return true
	})
	for it, ok := s.slab.pop(&out); ok; it, ok = s.slab.pop(&out) {
		s.queues[it.queue].waiting--
		s.totals.Waiting--
		do(it)
	}
	return waiting
}
