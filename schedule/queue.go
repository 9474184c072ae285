package schedule

import (
	"strings"
	"time"

	"centrifuge"
)

// queue is a virtual queue: the jobs of one source for one destination.
type queue struct {
	gate
	key     centrifuge.QueueKey
	dest    uint32
	failure uint32 // the destination's run of failures that this queue was last part of
	ready   list
	waiting uint32 // jobs in the wheel
	leaving uint32 // jobs that Expired has yet to take
}

func (q *queue) idle() bool {
	return q.ready.n == 0 && q.waiting == 0 && q.leaving == 0 && q.inFlight == 0
}

// destination is whom the jobs of several queues are for.
type destination struct {
	gate
	name     string
	turns    fair // its queues take turns in it
	queues   int
	inherits *centrifuge.QueuePolicy // what its queues have of its policy

	run      uint32 // counts runs of failures; a success begins a new one
	distinct int    // queues that failed in this run
}

func (d *destination) succeeded() {
	if d.distinct > 0 {
		d.run++
		d.distinct = 0
	}
}

func (d *destination) failed(q *queue) {
	if q.failure != d.run {
		q.failure = d.run
		d.distinct++
	}
}

// wide reports whether the run of failures goes over enough queues to speak
// for the destination: three, or both of two. What a single queue knows, its own
// breaker knows.
func (d *destination) wide() bool { return d.queues >= 2 && d.distinct >= min(3, d.queues) }

// linger is how long an idle queue is remembered, so that its place in the turns
// and its limit outlive the moment between two jobs.
const linger = 10 * time.Second

// queue finds the queue, or makes it.
func (s *Scheduler) queue(key centrifuge.QueueKey) uint32 {
	if id, ok := s.byKey[key]; ok {
		return id
	}
	did := s.destination(key.Destination)
	d := s.dests[did]
	d.queues++
	q := &queue{
		gate: gate{health: s.outage.fresh()},
		key:  centrifuge.QueueKey{Source: strings.Clone(key.Source), Destination: d.name},
		dest: did,
	}
	q.policy = s.merged(q.key, d)
	q.bounds = s.part(q.policy)
	id := register(&s.queues, &s.freeQueues, q)
	s.queuePlaces.cover(id)
	s.byKey[q.key] = id
	s.totals.Queues++
	return id
}

// destination finds the destination, or makes it.
func (s *Scheduler) destination(name string) uint32 {
	if id, ok := s.byName[name]; ok {
		return id
	}
	d := &destination{
		gate:  gate{health: s.outage.fresh()},
		name:  strings.Clone(name),
		run:   1,
		turns: newFair(&s.queuePlaces, s.queueGate),
	}
	d.adopt(s.policies[centrifuge.QueueKey{Destination: name}])
	d.bounds = s.part(d.policy)
	id := register(&s.dests, &s.freeDests, d)
	s.destPlaces.cover(id)
	s.byName[d.name] = id
	s.totals.Destinations++
	return id
}

func register[T any](all *[]*T, free *[]uint32, v *T) uint32 {
	if n := len(*free); n > 0 {
		id := (*free)[n-1]
		*free = (*free)[:n-1]
		(*all)[id] = v
		return id
	}
	*all = append(*all, v)
	return uint32(len(*all) - 1)
}

// forget drops an idle queue, and its destination if it was the last.
func (s *Scheduler) forget(id uint32) {
	q := s.queues[id]
	d := s.dests[q.dest]
	d.turns.dismiss(id)
	s.queueTimers.remove(id)
	s.readyExpires.remove(id)
	s.totals.QueueBreakersOpen -= q.health.holding()
	s.totals.Queues--
	delete(s.byKey, q.key)
	s.queues[id] = nil
	s.freeQueues = append(s.freeQueues, id)
	d.queues--
	s.visitDestination(q.dest)
}

func (s *Scheduler) forgetDestination(id uint32) {
	d := s.dests[id]
	s.root.dismiss(id)
	s.destTimers.remove(id)
	s.totals.DestinationBreakersOpen -= d.health.holding()
	s.totals.Destinations--
	delete(s.byName, d.name)
	s.dests[id] = nil
	s.freeDests = append(s.freeDests, id)
}
