package main

import (
	"math"
	"math/bits"
	"time"
)

// result is what was measured in one run.
type result struct {
	variant
	rate    float64       // of the endpoint, a second, when all is well
	backlog int           // jobs that waited when the outage ended
	drained time.Duration // from the end of the outage until less than a second's worth waited; 0 if never
	minutes []minute
	endings tally // of jobs to the broken endpoint
	rest    tally // of the others

	// How long the others' jobs waited for their first attempt: those made from the
	// beginning of the outage until some minutes of the drain are over.
	others   waits
	from, to time.Duration
}

// minute is what the broken endpoint saw in one.
type minute struct {
	sent      int           // requests to it
	delivered int           // of these that succeeded
	pending   int           // jobs that waited for it, at the end
	oldest    time.Duration // the longest that a job which was delivered had taken
}

func newResult(v variant, rate float64, s *scenario) result {
	return result{
		variant: v, rate: rate,
		minutes: make([]minute, (s.recovered()+s.After)/time.Minute+1),
		from:    s.Before, to: s.recovered() + watched,
	}
}

// in is the minute of a moment; what comes after the last counts for it.
func (r *result) in(now time.Duration) *minute {
	return &r.minutes[min(int(now/time.Minute), len(r.minutes)-1)]
}

func (r *result) sent(now time.Duration) { r.in(now).sent++ }

func (r *result) delivered(now, age time.Duration) {
	m := r.in(now)
	m.delivered++
	m.oldest = max(m.oldest, age)
}

func (r *result) pending(now time.Duration, n int) { r.in(now).pending = n }

// waited notes one of the others' jobs at its first attempt.
func (r *result) waited(made, begun time.Duration) {
	if made >= r.from && made < r.to {
		r.others.add(begun - made)
	}
}

// summary is what some minutes come to.
type summary struct {
	sent, delivered float64 // on average, in the endpoint's normal rate
	peak            float64 // requests sent in the worst of the minutes, in the same
}

// over sums up the minutes from one moment to another.
func (r *result) over(from, to time.Duration) (s summary) {
	minutes := r.minutes[from/time.Minute : to/time.Minute]
	for _, m := range minutes {
		s.sent += r.relative(m.sent) / float64(len(minutes))
		s.delivered += r.relative(m.delivered) / float64(len(minutes))
		s.peak = max(s.peak, r.relative(m.sent))
	}
	return s
}

// bound is how long the backlog takes at least to be delivered, by an endpoint that
// takes what is new as well.
func (r *result) bound() time.Duration {
	return time.Duration(float64(r.backlog) / (r.rate * (r.capacity - 1)) * float64(time.Second))
}

// relative is a minute's count in the endpoint's normal rate.
func (r *result) relative(count int) float64 { return float64(count) / 60 / r.rate }

// waits is a histogram of waits: 16 buckets for each doubling, from a microsecond on.
type waits struct {
	counts [64 * 16]int
	n      int
	most   time.Duration
}

func (w *waits) add(d time.Duration) {
	w.counts[bucketOf(d)]++
	w.n++
	w.most = max(w.most, d)
}

func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 16 {
		return int(us)
	}
	exponent := bits.Len64(us) - 5 // so that us >> exponent is 16 to 31
	return exponent*16 + int(us>>exponent)
}

// quantile is the upper end of the bucket in which the quantile lies.
func (w *waits) quantile(q float64) time.Duration {
	rank, seen := int(math.Ceil(q*float64(w.n))), 0
	for b, n := range w.counts {
		if seen += n; seen >= rank && n > 0 {
			return min(upperEnd(b), w.most)
		}
	}
	return w.most
}

func upperEnd(b int) time.Duration {
	if b < 32 {
		return time.Duration(b) * time.Microsecond
	}
	exponent := b/16 - 1
	return time.Duration((uint64(b%16+16)+1)<<exponent) * time.Microsecond
}
