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

	QueueBreakersOpen       int
	DestinationBreakersOpen int
}

// Gate is what may hold a queue or a destination up.
type Gate struct {
	InFlight  int           // requests
	Limit     int           // requests in flight at most, now
	Breaker   Breaker       //
	Failing   float64       // smoothed share of requests that fail, 0 to 1
	Latency   time.Duration // smoothed
	HeldUntil time.Time     // nothing is sent before; zero if nothing holds it for a time
}

// QueueInfo is the state of one queue.
type QueueInfo struct {
	Queue   centrifuge.QueueKey
	Ready   int                    // jobs
	Waiting int                    // jobs
	Policy  centrifuge.QueuePolicy // as [Scheduler.Policy] has it
	Gate
}

// DestinationInfo is the state of one destination as a whole.
type DestinationInfo struct {
	Destination string
	Queues      int
	Policy      centrifuge.QueuePolicy // of the destination alone
	Gate
}

// Stats are the totals. It costs nothing.
func (s *Scheduler) Stats() Totals { return s.totals }

// Queues returns the first selected queues after the key, by destination and
// then by source, at most limit of them, and whether there are more. From the
// zero key on it begins at the first. It looks at every queue.
func (s *Scheduler) Queues(now time.Time, sel Selector, after centrifuge.QueueKey, limit int) ([]QueueInfo, bool) {
	s.observe(now)
	page := pager[*queue]{limit: limit, order: func(a, b *queue) int { return compareKeys(a.key, b.key) }}
	s.selected(sel, func(_ uint32, q *queue) {
		if after == (centrifuge.QueueKey{}) || compareKeys(q.key, after) > 0 {
			page.add(q)
		}
	})
	queues, more := page.done()
	infos := make([]QueueInfo, len(queues))
	for i, q := range queues {
		infos[i] = QueueInfo{
			Queue:   q.key,
			Ready:   int(q.ready.n),
			Waiting: int(q.waiting),
			Policy:  *q.policy,
			Gate:    s.gateInfo(&q.gate, s.options.MaxPerQueue),
		}
		infos[i].Policy.Paused = q.policy.Paused || s.dests[q.dest].policy.Paused
	}
	return infos, more
}

// Destinations returns the first destinations after the name, sorted, at most
// limit of them, and whether there are more. It looks at every destination.
func (s *Scheduler) Destinations(now time.Time, after string, limit int) ([]DestinationInfo, bool) {
	s.observe(now)
	page := pager[*destination]{limit: limit, order: func(a, b *destination) int { return strings.Compare(a.name, b.name) }}
	for _, d := range s.dests {
		if d != nil && (after == "" || d.name > after) {
			page.add(d)
		}
	}
	dests, more := page.done()
	infos := make([]DestinationInfo, len(dests))
	for i, d := range dests {
		infos[i] = DestinationInfo{
			Destination: d.name,
			Queues:      d.queues,
			Policy:      *d.policy,
			Gate:        s.gateInfo(&d.gate, s.options.MaxPerDestination),
		}
	}
	return infos, more
}

func (s *Scheduler) gateInfo(g *gate, ceiling int) Gate {
	info := Gate{
		InFlight: int(g.inFlight),
		Limit:    int(min(g.ceiling(int32(ceiling)), int32(g.health.limit))),
		Breaker:  g.health.breaker,
		Failing:  float64(g.health.failing),
		Latency:  time.Duration(float64(g.health.latency) * float64(time.Second)),
	}
	if held := g.health.notBefore - s.clock.running; held > 0 {
		info.HeldUntil = s.clock.last.Add(time.Duration(held))
	}
	return info
}

// pager finds the first few of many without sorting them all.
type pager[T any] struct {
	limit int
	order func(a, b T) int
	kept  []T
	more  bool
}

func (p *pager[T]) add(v T) {
	if p.kept = append(p.kept, v); len(p.kept) >= 2*p.limit+64 {
		p.trim()
	}
}

func (p *pager[T]) trim() {
	slices.SortFunc(p.kept, p.order)
	if n := max(p.limit, 0); len(p.kept) > n {
		p.kept, p.more = p.kept[:n], true
	}
}

func (p *pager[T]) done() (page []T, more bool) {
	p.trim()
	return p.kept, p.more
}

func compareKeys(a, b centrifuge.QueueKey) int {
	return cmp.Or(strings.Compare(a.Destination, b.Destination), strings.Compare(a.Source, b.Source))
}
