package schedule

import (
	"time"

	"centrifuge"
)

// Share says that this is one of so many schedulers that serve the same queues, 1 at
// the beginning. Of each rate, burst and concurrency that a policy says it keeps to one
// of as many equal parts, though to a burst and a concurrency of at least 1. What is
// told of policies is as it was said.
func (s *Scheduler) Share(now time.Time, parts int) {
	s.observe(now)
	if parts = max(parts, 1); parts == s.parts {
		return
	}
	s.parts = parts
	for id, d := range s.dests {
		if d != nil && bounded(d.policy) {
			s.bind(&d.gate)
			s.placeDestination(uint32(id))
		}
	}
	for id, q := range s.queues {
		if q != nil && bounded(q.policy) {
			s.bind(&q.gate)
			s.place(uint32(id))
		}
	}
}

// bind brings a gate under our part of its policy.
func (s *Scheduler) bind(g *gate) {
	before := g.bounds
	g.bounds = s.part(g.policy)
	g.bucket.convert(s.clock.running, before, g.bounds)
}

// part is our part of a policy: the policy itself, where there is nothing to share.
func (s *Scheduler) part(p *centrifuge.QueuePolicy) *centrifuge.QueuePolicy {
	if s.parts == 1 || !bounded(p) {
		return p
	}
	part := *p
	part.Rate /= float64(s.parts)
	if p.Burst > 0 {
		part.Burst = max(p.Burst/s.parts, 1)
	}
	if p.Concurrency > 0 {
		part.Concurrency = max(p.Concurrency/s.parts, 1)
	}
	return &part
}

// bounded reports whether a policy says something that is shared.
func bounded(p *centrifuge.QueuePolicy) bool { return p.Rate > 0 || p.Concurrency > 0 }
