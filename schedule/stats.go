package schedule

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"centrifuge"
)

// Totals are sums over the whole Scheduler.
type Totals struct {
	Queues       int // that exist: with jobs, or not forgotten yet
	Destinations int
	Ready        int // jobs that may be sent
	Waiting      int // jobs in the retry wheel
	Leaving      int // jobs that Expired has yet to take
	InFlight     int // requests
	BreakersOpen int // of queues and destinations
}

// GateStats is what may hold a queue or a destination up.
type GateStats struct {
	InFlight  int           // requests
	Limit     int           // requests in flight at most, now
	Paused    bool          // by its own policy or, for a queue, its source's or destination's
	Rate      float64       // jobs a second by policy; 0 is unlimited
	Weight    float64       // by policy
	Breaker   Breaker       //
	Failing   float64       // smoothed share of requests that fail, 0 to 1
	Latency   time.Duration // smoothed
	HeldUntil time.Time     // nothing is sent before; zero if nothing holds it for a time
}

// QueueStats is the state of one queue.
type QueueStats struct {
	Key     centrifuge.QueueKey
	Ready   int // jobs
	Waiting int // jobs
	GateStats
}

// DestinationStats is the state of one destination as a whole.
type DestinationStats struct {
	Destination string
	Queues      int
	GateStats
}

// Stats are the totals. It costs nothing.
func (s *Scheduler) Stats() Totals { return s.totals }

// Queues returns the first selected queues after the key, sorted by destination
// and then by source, at most limit of them; from the zero key on it begins at
// the first. It looks at every queue.
func (s *Scheduler) Queues(now time.Time, sel Selector, after centrifuge.QueueKey, limit int) []QueueStats {
	s.observe(now)
	order := func(a, b *queue) int { return compareKeys(a.key, b.key) }
	var page []*queue
	s.selected(sel, func(_ uint32, q *queue) {
		if after != (centrifuge.QueueKey{}) && compareKeys(q.key, after) <= 0 {
			return
		}
		if page = append(page, q); len(page) >= 2*limit+64 {
			page = firstOf(page, order, limit)
		}
	})
	page = firstOf(page, order, limit)
	stats := make([]QueueStats, len(page))
	for i, q := range page {
		stats[i] = QueueStats{
			Key:       q.key,
			Ready:     int(q.ready.n),
			Waiting:   int(q.waiting),
			GateStats: s.gateStats(&q.gate, s.options.MaxPerQueue),
		}
		stats[i].Paused = stats[i].Paused || s.dests[q.dest].policy.Paused
	}
	return stats
}

// Destinations returns the first destinations after the name, sorted, at most
// limit of them. It looks at every destination.
func (s *Scheduler) Destinations(now time.Time, after string, limit int) []DestinationStats {
	s.observe(now)
	order := func(a, b *destination) int { return strings.Compare(a.name, b.name) }
	var page []*destination
	for _, d := range s.dests {
		if d == nil || (after != "" && d.name <= after) {
			continue
		}
		if page = append(page, d); len(page) >= 2*limit+64 {
			page = firstOf(page, order, limit)
		}
	}
	page = firstOf(page, order, limit)
	stats := make([]DestinationStats, len(page))
	for i, d := range page {
		stats[i] = DestinationStats{
			Destination: d.name,
			Queues:      d.queues,
			GateStats:   s.gateStats(&d.gate, s.options.MaxPerDestination),
		}
	}
	return stats
}

func firstOf[T any](page []T, order func(a, b T) int, limit int) []T {
	slices.SortFunc(page, order)
	return page[:min(max(limit, 0), len(page))]
}

func compareKeys(a, b centrifuge.QueueKey) int {
	return cmp.Or(strings.Compare(a.Destination, b.Destination), strings.Compare(a.Source, b.Source))
}

func (s *Scheduler) gateStats(g *gate, ceiling int) GateStats {
	stats := GateStats{
		InFlight: int(g.inFlight),
		Limit:    int(min(g.ceiling(int32(ceiling)), int32(g.health.limit))),
		Paused:   g.policy.Paused,
		Rate:     g.policy.Rate,
		Weight:   weight(g.policy),
		Breaker:  g.health.breaker,
		Failing:  float64(g.health.failing),
		Latency:  time.Duration(float64(g.health.latency) * float64(time.Second)),
	}
	if held := g.health.notBefore - s.clock.running; held > 0 {
		stats.HeldUntil = s.clock.last.Add(time.Duration(held))
	}
	return stats
}
