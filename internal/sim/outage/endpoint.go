package main

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	usualLatency = 50 * time.Millisecond  // in the median
	worseLatency = 500 * time.Millisecond // of the broken endpoint in its outage ("10x increases in response latency")
	refusal      = 20 * time.Millisecond  // of a request beyond an endpoint's capacity
	flakiness    = 0.015                  // of all requests to healthy endpoints fail once, as in the post
)

// endpoint is the model of the broken endpoint, as one Director sees it: with its
// share of the capacity.
type endpoint struct {
	random   *rand.Rand
	kind     kind
	success  float64
	healthy  float64 // requests a second that it takes when it is well
	degraded float64 // and during the outage, if that is one of overload
	from, to time.Duration

	left float64 // of what it can take at once
	seen time.Duration
}

// admit reports whether the request is within the rate; a tenth of a second's worth
// may come at once.
func (e *endpoint) admit(now time.Duration, rate float64) bool {
	most := max(rate/10, 1)
	e.left = min(e.left+rate*(now-e.seen).Seconds(), most)
	e.seen = now
	if e.left < 1 {
		return false
	}
	e.left--
	return true
}

// answer says how long a request takes and whether it succeeds.
func (e *endpoint) answer(now time.Duration) (time.Duration, bool) {
	rate, latency, success := e.healthy, usualLatency, 1-flakiness
	if now >= e.from && now < e.to {
		switch e.kind {
		case random:
			latency, success = worseLatency, e.success
		case overload:
			rate, latency = e.degraded, worseLatency
		case none:
		}
	}
	if !e.admit(now, rate) {
		return refusal, false
	}
	return spread(e.random, latency), e.random.Float64() < success
}

// healthyAnswer is that of every other endpoint.
func healthyAnswer(r *rand.Rand) (time.Duration, bool) {
	return spread(r, usualLatency), r.Float64() >= flakiness
}

// spread draws a latency: log-normal with the median, and one in a hundred above
// three times it.
func spread(r *rand.Rand, median time.Duration) time.Duration {
	return time.Duration(float64(median) * math.Exp(r.NormFloat64()*0.5))
}
