package schedule

import "time"

// place brings a queue, and then its destination, to where they belong: among
// those that take turns, or to be looked at again at some time, or, if only
// another call can change their state, nowhere. It is called after everything
// that may change that.
func (s *Scheduler) place(id uint32) {
	q, now := s.queues[id], s.clock.running
	d := s.dests[q.dest]
	at := int64(never)
	if q.ready.n > 0 {
		at = q.opens(now, int32(s.options.MaxPerQueue))
	}
	if at <= now {
		d.turns.admit(id)
	} else {
		d.turns.dismiss(id)
		if q.idle() {
			at = roundUp(max(q.forgettable(&s.outage), now+int64(linger)))
		}
		if at < never {
			s.queueTimers.advance(id, at)
		}
	}
	s.placeDestination(q.dest)
}

func (s *Scheduler) placeDestination(id uint32) {
	d, now := s.dests[id], s.clock.running
	at := int64(never)
	if d.turns.may(s.bound(d)) {
		at = d.opens(now, int32(s.options.MaxPerDestination))
	}
	if at <= now {
		s.root.admit(id)
		return
	}
	s.root.dismiss(id)
	if d.queues == 0 {
		at = roundUp(d.forgettable(&s.outage))
	}
	if at < never {
		s.destTimers.advance(id, at)
	}
}

// visit looks at a queue whose timer has run out.
func (s *Scheduler) visit(id uint32) {
	if q := s.queues[id]; q.idle() && q.forgettable(&s.outage) <= s.clock.running {
		s.forget(id)
		return
	}
	s.place(id)
}

func (s *Scheduler) visitDestination(id uint32) {
	if d := s.dests[id]; d.queues == 0 && d.forgettable(&s.outage) <= s.clock.running {
		s.forgetDestination(id)
		return
	}
	s.placeDestination(id)
}

// roundUp makes housekeeping fall on whole seconds, so that it wakes nobody more
// often than that.
func roundUp(at int64) int64 {
	const second = int64(time.Second)
	return (at + second - 1) / second * second
}

// work is how many items and timers one call looks at, at most, before it
// returns to its caller.
const work = 512

// observe takes notice of the time.
func (s *Scheduler) observe(now time.Time) {
	s.clock.observe(now)
	if s.clock.tick < s.wheel.hand && s.wheel.hand-s.clock.tick > secondTicks {
		s.wheel.rewind(s.clock.tick)
	}
}

// catchUp does what has fallen due, within bounds.
func (s *Scheduler) catchUp() {
	budget := work
	for {
		it, ok := s.wheel.next(s.clock.tick, &budget)
		if !ok {
			break
		}
		s.queues[it.queue].waiting--
		s.totals.Waiting--
		if s.route(it) {
			s.place(it.queue)
		}
	}
	for ; budget > 0 && s.readyExpires.len() > 0 && s.readyExpires.top().key <= s.clock.tick; budget-- {
		s.expire(s.readyExpires.top().id, &budget)
	}
	for ; budget > 0 && s.queueTimers.len() > 0 && s.queueTimers.top().key <= s.clock.running; budget-- {
		id := s.queueTimers.top().id
		s.queueTimers.remove(id)
		s.visit(id)
	}
	for ; budget > 0 && s.destTimers.len() > 0 && s.destTimers.top().key <= s.clock.running; budget-- {
		id := s.destTimers.top().id
		s.destTimers.remove(id)
		s.visitDestination(id)
	}
}

// More reports whether Pick may give something more at the time of the last call,
// as far as is known without looking.
func (s *Scheduler) More() bool { return s.free() > 0 && s.root.may(s.free()) }

// Next is the earliest moment at which Pick may give something, or Expired
// something new, though nothing else is called in between; it is now, or before it,
// if they may at once. It is false when only another call can bring something.
//
// Jobs that only wait for Expired to be called do not count: see
// [Scheduler.Leaving]. Like Pick it looks at a bounded number of those that have
// fallen due.
//
// It may be early: what falls due beyond the current second is announced for
// the beginning of its second, and idle queues ask for a moment in which to be
// forgotten.
func (s *Scheduler) Next(now time.Time) (time.Time, bool) {
	s.observe(now)
	s.catchUp()
	if s.More() {
		return now, true
	}
	var next time.Time
	found := false
	sooner := func(t time.Time) {
		if !found || t.Before(next) {
			next, found = t, true
		}
	}
	if tick, ok := s.wheel.earliest(); ok {
		sooner(s.clock.at(tick))
	}
	if s.readyExpires.len() > 0 {
		sooner(s.clock.at(uint64(s.readyExpires.top().key)))
	}
	for _, timers := range []*heap[int64]{&s.queueTimers, &s.destTimers} {
		if timers.len() > 0 {
			sooner(now.Add(time.Duration(timers.top().key - s.clock.running)))
		}
	}
	return next, found
}
