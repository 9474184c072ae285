package schedule

import (
	"time"

	"centrifuge"
)

// SetPolicy replaces what was said of the scope, for queues that exist and for
// those to come; the zero policy removes it. It takes effect at once.
//
//   - A source and a destination name one queue.
//   - A source alone speaks of each of its queues, in the fields that the
//     queue's own policy leaves zero.
//   - A destination alone speaks of the destination as a whole: its pause, rate,
//     weight among the destinations, and concurrency. Its BatchSize,
//     RetryStatuses and Retry hold for its queues, in the fields that the other two
//     leave zero.
//
// A queue is paused if any of the three is. The empty scope is ignored.
func (s *Scheduler) SetPolicy(now time.Time, scope centrifuge.QueueKey, p centrifuge.QueuePolicy) {
	s.observe(now)
	if scope == (centrifuge.QueueKey{}) {
		return
	}
	p = sane(p)
	if isZero(&p) {
		delete(s.policies, scope)
	} else {
		s.policies[scope] = &p
	}
	switch {
	case scope.Source == "":
		if id, ok := s.byName[scope.Destination]; ok {
			s.govern(id)
		}
	case scope.Destination == "":
		for id, q := range s.queues {
			if q != nil && q.key.Source == scope.Source {
				s.instruct(uint32(id))
			}
		}
	default:
		if id, ok := s.byKey[scope]; ok {
			s.instruct(id)
		}
	}
}

// Said is what SetPolicy was last given for exactly this scope.
func (s *Scheduler) Said(scope centrifuge.QueueKey) centrifuge.QueuePolicy {
	if p := s.policies[scope]; p != nil {
		return *p
	}
	return centrifuge.QueuePolicy{}
}

// Policy is what holds for the queue, of all that was said of it, its source and
// its destination. The rate, weight and concurrency of its destination are
// not among it.
func (s *Scheduler) Policy(key centrifuge.QueueKey) centrifuge.QueuePolicy {
	if len(s.policies) == 0 {
		return centrifuge.QueuePolicy{}
	}
	var d destination
	whole := s.policies[centrifuge.QueueKey{Destination: key.Destination}]
	d.adopt(whole)
	p := *s.merged(key, &d)
	p.Paused = p.Paused || d.policy.Paused
	return p
}

// govern brings the destination under its present policy, and its queues under
// what they have of it.
func (s *Scheduler) govern(id uint32) {
	d := s.dests[id]
	s.root.dismiss(id)
	inherited := d.inherits
	d.adopt(s.policies[centrifuge.QueueKey{Destination: d.name}])
	s.bind(&d.gate)
	if !isZero(inherited) || !isZero(d.inherits) {
		for qid, q := range s.queues {
			if q != nil && q.dest == id {
				s.instruct(uint32(qid))
			}
		}
	}
	s.placeDestination(id)
}

// instruct brings the queue under its present policy.
func (s *Scheduler) instruct(id uint32) {
	q := s.queues[id]
	d := s.dests[q.dest]
	d.turns.dismiss(id)
	q.policy = s.merged(q.key, d)
	s.bind(&q.gate)
	s.place(id)
}

// adopt sets the destination's own policy, nil for none.
func (d *destination) adopt(p *centrifuge.QueuePolicy) {
	if p == nil {
		p = &centrifuge.QueuePolicy{}
	}
	d.policy = p
	d.inherits = &centrifuge.QueuePolicy{BatchSize: p.BatchSize, RetryStatuses: p.RetryStatuses, Retry: p.Retry}
}

// merged is the policy of a queue. Queues of which only one thing was said, or
// nothing, share it.
func (s *Scheduler) merged(key centrifuge.QueueKey, d *destination) *centrifuge.QueuePolicy {
	p := s.policies[key]
	p = fallBack(p, s.policies[centrifuge.QueueKey{Source: key.Source}])
	return fallBack(p, d.inherits)
}

// fallBack fills the fields that p leaves zero from q.
func fallBack(p, q *centrifuge.QueuePolicy) *centrifuge.QueuePolicy {
	if p == nil {
		return q
	}
	if q == nil || isZero(q) {
		return p
	}
	m := *p
	m.Paused = p.Paused || q.Paused
	fill(&m.Rate, q.Rate)
	fill(&m.Burst, q.Burst)
	fill(&m.Weight, q.Weight)
	fill(&m.Concurrency, q.Concurrency)
	fill(&m.BatchSize, q.BatchSize)
	if len(m.RetryStatuses) == 0 {
		m.RetryStatuses = q.RetryStatuses
	}
	fill(&m.Retry.MinBackoff, q.Retry.MinBackoff)
	fill(&m.Retry.MaxBackoff, q.Retry.MaxBackoff)
	fill(&m.Retry.MaxAttempts, q.Retry.MaxAttempts)
	return &m
}

func fill[T comparable](field *T, from T) {
	var zero T
	if *field == zero {
		*field = from
	}
}

// sane reads negative numbers, and a rate or weight that is none, as zero.
func sane(p centrifuge.QueuePolicy) centrifuge.QueuePolicy {
	if !(p.Rate > 0) {
		p.Rate = 0
	}
	if !(p.Weight > 0) {
		p.Weight = 0
	}
	p.Burst = max(p.Burst, 0)
	p.Concurrency = max(p.Concurrency, 0)
	p.BatchSize = max(p.BatchSize, 0)
	return p
}

func isZero(p *centrifuge.QueuePolicy) bool {
	return !p.Paused && p.Rate == 0 && p.Burst == 0 && p.Weight == 0 && p.Concurrency == 0 &&
		p.BatchSize == 0 && len(p.RetryStatuses) == 0 && p.Retry == (centrifuge.RetryPolicy{})
}
