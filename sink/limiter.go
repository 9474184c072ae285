package sink

import (
	"sync/atomic"
	"time"
)

// limiter is a token bucket kept as one number, the time at which the bucket is
// full again (the generic cell rate algorithm), so that requests need no lock.
type limiter struct {
	interval time.Duration // between two tokens
	depth    time.Duration // the time an empty bucket takes to fill
	full     atomic.Int64
}

func newLimiter(rate float64, burst int) *limiter {
	interval := max(1, time.Duration(float64(time.Second)/rate))
	return &limiter{interval: interval, depth: interval * time.Duration(burst)}
}

// take takes a token at the given time and returns 0, or takes none and returns
// how long it is until there is one. The times need not be in order.
func (l *limiter) take(at time.Duration) time.Duration {
	for {
		full := l.full.Load()
		next := max(time.Duration(full), at) + l.interval
		if wait := next - l.depth - at; wait > 0 {
			return wait
		}
		if l.full.CompareAndSwap(full, int64(next)) {
			return 0
		}
	}
}
