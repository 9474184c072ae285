package schedule

import "centrifuge"

// gate is what a queue and a destination have in common: all that says whether
// something may pass to them now.
type gate struct {
	policy   *centrifuge.QueuePolicy // never nil; shared
	bounds   *centrifuge.QueuePolicy // our part of it, see Share; never nil
	tag      float64                 // virtual time of the next service, see fair
	bucket   bucket
	health   controller
	inFlight int32
}

// ceiling is the fixed cap on requests in flight.
func (g *gate) ceiling(byDefault int32) int32 {
	if c := g.bounds.Concurrency; c > 0 {
		return int32(min(c, 1<<30))
	}
	return byDefault
}

// room is how many requests may be in flight now. While a probe is, it fills the
// limit of one.
func (g *gate) room(byDefault int32) int32 {
	ceiling := g.ceiling(byDefault)
	if g.health.breaker == Open {
		return ceiling // the probe goes out however many of the old requests still hang
	}
	return min(ceiling, int32(g.health.limit))
}

// opens is the moment from which a request may pass, on the running clock; never
// if another event must come first.
func (g *gate) opens(now int64, byDefault int32) int64 {
	if g.policy.Paused || g.inFlight >= g.room(byDefault) {
		return never
	}
	return max(g.health.notBefore, g.bucket.next(now, g.bounds))
}

// pass lets a request of n jobs through.
func (g *gate) pass(n int, now int64) mark {
	g.bucket.spend(n, now, g.bounds)
	g.inFlight++
	round := g.health.round
	return mark{round: round, probe: g.health.begin(now)}
}

// mark is what a request must remember of a gate it passed.
type mark struct {
	round uint32
	probe bool
}

// forgettable is the moment from which nothing is lost by forgetting the gate.
func (g *gate) forgettable(o *outage) int64 {
	return max(g.bucket.full, g.health.forgettable(o))
}

// used reports whether at least half of the limit is in use.
func (g *gate) used() bool { return 2*float32(g.inFlight) >= g.health.limit }

// lift ends a hold: the Retry-After, or the wait for the next probe.
func (g *gate) lift() { g.health.notBefore = 0 }

func weight(p *centrifuge.QueuePolicy) float64 {
	if p.Weight <= 0 {
		return 1
	}
	return min(max(p.Weight, minWeight), maxWeight)
}

// Weights beyond these count as these.
const (
	minWeight = 1e-3
	maxWeight = 1e3
)
