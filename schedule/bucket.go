package schedule

import (
	"math"
	"time"

	"centrifuge"
)

// bucket is a token bucket written as one moment: when it will be full again
// (the generic cell rate algorithm). It begins full. The rate and burst are
// those of the policy it is asked with.
type bucket struct {
	full int64 // on the running clock
}

// interval is the time in which one token comes back, rounded up so that the
// rate is never exceeded. At least 1 ns, at most 100 days.
func interval(p *centrifuge.QueuePolicy) int64 {
	return int64(math.Ceil(min(max(float64(time.Second)/p.Rate, 1), float64(100*24*time.Hour))))
}

// burst is the bucket's size: at least one token, and no more than fill in a
// hundred years.
func burst(p *centrifuge.QueuePolicy) int64 {
	n := int64(min(max(p.Rate, 1), math.MaxInt32))
	if p.Burst > 0 {
		n = int64(p.Burst)
	}
	return max(min(n, int64(100*365*24*time.Hour)/interval(p)), 1)
}

func limited(p *centrifuge.QueuePolicy) bool { return p.Rate > 0 }

// tokens is how many jobs may go now.
func (b *bucket) tokens(now int64, p *centrifuge.QueuePolicy) int {
	if !limited(p) {
		return math.MaxInt
	}
	missing := max(b.full-now, 0)
	each := interval(p)
	return int(max(burst(p)-(missing+each-1)/each, 0))
}

// next is the moment from which at least one job may go.
func (b *bucket) next(now int64, p *centrifuge.QueuePolicy) int64 {
	if !limited(p) {
		return now
	}
	return b.full - (burst(p)-1)*interval(p)
}

// spend takes n tokens, which are there.
func (b *bucket) spend(n int, now int64, p *centrifuge.QueuePolicy) {
	if limited(p) {
		b.full = max(b.full, now) + int64(n)*interval(p)
	}
}

// convert keeps the number of missing tokens when the policy changes.
func (b *bucket) convert(now int64, from, to *centrifuge.QueuePolicy) {
	if !limited(from) || !limited(to) || b.full <= now {
		b.full = min(b.full, now)
		return
	}
	missing := float64(b.full-now) / float64(interval(from))
	b.full = now + int64(math.Ceil(min(missing, float64(burst(to)))*float64(interval(to))))
}
