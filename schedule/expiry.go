package schedule

import (
	"time"

	"centrifuge"
)

// Expired is a job that will not be sent any more.
type Expired struct {
	ID      centrifuge.ID
	Queue   centrifuge.QueueKey
	Flushed bool // an operator said so; otherwise its time ran out
}

// Expired takes out jobs whose time ran out or which an operator flushed, and
// appends them to dst: at most as many as dst has room for, or all that are
// known if dst has no capacity at all. The time of a job in a queue that is held
// up may have run out for a second before it comes, and for longer, 10 s in a
// million jobs, where many stand before it.
func (s *Scheduler) Expired(now time.Time, dst []Expired) []Expired {
	s.observe(now)
	s.catchUp()
	room := cap(dst) - len(dst)
	if cap(dst) == 0 {
		room = int(s.flushed.n + s.expired.n)
	}
	for ; room > 0; room-- {
		it, flushed := s.slab.pop(&s.flushed)
		if !flushed {
			var ok bool
			if it, ok = s.slab.pop(&s.expired); !ok {
				break
			}
		}
		q := s.queues[it.queue]
		dst = append(dst, Expired{ID: it.id, Queue: q.key, Flushed: flushed})
		q.leaving--
		s.totals.Leaving--
		if q.leaving == 0 {
			s.place(it.queue)
		}
	}
	return dst
}

// Leaving reports whether jobs are known that Expired has yet to take out, at the
// time of the last call.
func (s *Scheduler) Leaving() bool { return s.totals.Leaving > 0 }

// expire looks for expired jobs among the queue's ready ones. Most often the
// first expire first; those are taken one by one, within the budget. Only then
// is the whole queue gone through for others, and the more it holds the longer
// it is left alone after that.
func (s *Scheduler) expire(id uint32, budget *int) {
	q := s.queues[id]
	for {
		it, ok := s.slab.first(&q.ready)
		if !ok || it.expire > s.clock.tick {
			break
		}
		if *budget <= 0 {
			return
		}
		*budget--
		s.slab.pop(&q.ready)
		s.totals.Ready--
		s.leave(q, &s.expired, it)
	}
	earliest := s.slab.extract(&q.ready, s.clock.tick, func(it item) bool {
		s.totals.Ready--
		s.leave(q, &s.expired, it)
		return true
	})
	if q.ready.n == 0 {
		s.readyExpires.remove(id)
	} else {
		pause := secondTicks + q.ready.n/(1_000_000/(10*secondTicks))
		s.readyExpires.set(id, wholeSecond(max(earliest, s.clock.tick+pause)))
	}
	s.place(id)
}

// wholeSecond rounds a tick up to the beginning of a second.
func wholeSecond(tick uint32) uint32 {
	if tick > maxTick-secondTicks {
		return maxTick
	}
	return (tick + secondTicks - 1) / secondTicks * secondTicks
}
