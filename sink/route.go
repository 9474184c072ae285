package sink

import (
	"hash/fnv"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// route is the running state of one prefix.
type route struct {
	behaviour Behaviour
	weights   float64 // the sum of the mix's weights
	limit     *limiter
	draws     draws

	requests atomic.Uint64
	inFlight atomic.Int64
	peak     atomic.Int64

	mu struct {
		sync.Mutex
		replies map[Reply]uint64
	}
}

func newRoute(prefix string, b Behaviour, seed uint64) *route {
	// Routes draw independently of each other and of their order in the options.
	h := fnv.New64a()
	h.Write([]byte(prefix))
	rt := &route{behaviour: b, draws: draws(seed ^ h.Sum64())}
	for _, s := range b.Replies {
		rt.weights += s.Weight
	}
	if b.Rate > 0 {
		rt.limit = newLimiter(b.Rate, b.burst())
	}
	rt.mu.replies = make(map[Reply]uint64, 1)
	return rt
}

// enter counts a request in and returns its number on this route, from 0.
func (rt *route) enter() uint64 {
	now := rt.inFlight.Add(1)
	for {
		peak := rt.peak.Load()
		if now <= peak || rt.peak.CompareAndSwap(peak, now) {
			break
		}
	}
	return rt.requests.Add(1) - 1
}

func (rt *route) leave() { rt.inFlight.Add(-1) }

func (rt *route) count(r Reply) {
	rt.mu.Lock()
	rt.mu.replies[r]++
	rt.mu.Unlock()
}

// decide settles the fate of the route's n-th request, which arrived when the
// sink had been running for at.
func (rt *route) decide(n uint64, at time.Duration) decision {
	b := &rt.behaviour
	d := decision{form: b.RetryAfter.Form}
	if o, ok := b.outage(at); ok {
		d.reply = o.Reply
	} else if wait := rt.overLimit(at); wait > 0 {
		d.reply, d.retryAfter = http.StatusTooManyRequests, wait
	} else {
		d.reply = rt.draw(rt.draws.at(n, drawReply))
		d.latency = b.Latency.at(rt.draws.at(n, drawLatency))
	}
	if b.RetryAfter.Delay > 0 && (d.reply == http.StatusTooManyRequests || d.reply == http.StatusServiceUnavailable) {
		d.retryAfter = b.RetryAfter.Delay
	}
	return d
}

func (b *Behaviour) outage(at time.Duration) (Outage, bool) {
	for _, o := range b.Outages {
		if at >= o.Start && at < o.Start+o.Length {
			return o, true
		}
	}
	return Outage{}, false
}

func (rt *route) overLimit(at time.Duration) time.Duration {
	if rt.limit == nil {
		return 0
	}
	return rt.limit.take(at)
}

func (rt *route) draw(u float64) Reply {
	if len(rt.behaviour.Replies) == 0 {
		return http.StatusOK
	}
	u *= rt.weights
	for _, s := range rt.behaviour.Replies {
		if u < s.Weight {
			return s.Reply
		}
		u -= s.Weight
	}
	// Rounding may leave u a hair above the last weight.
	return rt.behaviour.Replies[len(rt.behaviour.Replies)-1].Reply
}
