package schedule_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"centrifuge"
	"centrifuge/schedule"
)

// effective is the queue's policy, merged plainly.
func (m *model) effective(k centrifuge.QueueKey) centrifuge.QueuePolicy {
	p, of, whole := m.policies[k], m.policies[key(k.Source, "")], m.policies[key("", k.Destination)]
	if p.Rate == 0 {
		p.Rate = of.Rate
	}
	if p.Burst == 0 {
		p.Burst = of.Burst
	}
	if p.Concurrency == 0 {
		p.Concurrency = of.Concurrency
	}
	if p.BatchSize == 0 {
		p.BatchSize = of.BatchSize
	}
	if p.BatchSize == 0 {
		p.BatchSize = whole.BatchSize
	}
	p.Paused = p.Paused || of.Paused || whole.Paused
	return p
}

func (m *model) inFlight(in func(centrifuge.QueueKey) bool) (n int) {
	for _, f := range m.flying {
		if in(f.ticket.Queue) {
			n++
		}
	}
	return n
}

func (m *model) inQueue(k centrifuge.QueueKey) int {
	return m.inFlight(func(other centrifuge.QueueKey) bool { return other == k })
}

func (m *model) inDestination(d string) int {
	return m.inFlight(func(k centrifuge.QueueKey) bool { return k.Destination == d })
}

// checkLimits holds a pick that was just made against every limit.
func (m *model) checkLimits(t *rapid.T, k centrifuge.QueueKey, jobs int) {
	p, whole := m.effective(k), m.policies[key("", k.Destination)]
	if p.Paused {
		t.Fatalf("Pick from %v, which is paused", k)
	}
	if jobs > max(p.BatchSize, 1) {
		t.Fatalf("Pick of %d jobs of %v, whose batches are %d", jobs, k, p.BatchSize)
	}
	if n := len(m.flying); n > m.options.MaxInFlight {
		t.Fatalf("%d in flight, want at most %d", n, m.options.MaxInFlight)
	}
	if n, most := m.inQueue(k), or(p.Concurrency, m.options.MaxPerQueue); n > most {
		t.Fatalf("%d in flight of %v, want at most %d", n, k, most)
	}
	n := m.inDestination(k.Destination)
	if most := or(whole.Concurrency, m.options.MaxPerDestination); n > most {
		t.Fatalf("%d in flight to %v, want at most %d", n, k.Destination, most)
	}
	if free := m.options.MaxInFlight - (len(m.flying) - 1); n-1 >= free {
		t.Fatalf("%d in flight to %v with %d free, want no more than are free", n-1, k.Destination, free)
	}
	m.checkRate(t, k, p, jobs)
	m.checkRate(t, key("", k.Destination), whole, jobs)
}

func or(a, b int) int {
	if a > 0 {
		return a
	}
	return b
}

// checkRate holds every window that ends now against rate and burst.
func (m *model) checkRate(t *rapid.T, scope centrifuge.QueueKey, p centrifuge.QueuePolicy, jobs int) {
	m.passed[scope] = append(m.passed[scope], passage{m.now, jobs})
	if p.Rate == 0 {
		return
	}
	total := 0
	for _, was := range slices.Backward(m.passed[scope]) {
		total += was.n
		if most := float64(bucketSize(p)) + p.Rate*m.now.Sub(was.at).Seconds(); float64(total) > most+1e-6 {
			t.Fatalf("%d jobs of %v in %v, want at most %.3f", total, scope, m.now.Sub(was.at), most)
		}
	}
}

func bucketSize(p centrifuge.QueuePolicy) int {
	return or(p.Burst, max(int(p.Rate), 1))
}

// hasToken reports whether the bucket surely has a token, whatever the rounding.
func (m *model) hasToken(scope centrifuge.QueueKey, p centrifuge.QueuePolicy) bool {
	if p.Rate == 0 {
		return true
	}
	tokens, last := float64(bucketSize(p)), time.Time{}
	for i, was := range m.passed[scope] {
		if i > 0 {
			tokens = min(tokens+was.at.Sub(last).Seconds()*p.Rate, float64(bucketSize(p)))
		}
		tokens -= float64(was.n)
		last = was.at
	}
	if len(m.passed[scope]) > 0 {
		tokens += m.now.Sub(last).Seconds() * p.Rate
	}
	return tokens >= 1+1e-3
}

// checkIdle asks why Pick returned nothing: each queue that has a job that may be
// sent must have a reason not to send it.
func (m *model) checkIdle(t *rapid.T) {
	if m.standby {
		return
	}
	if next, ok := m.s.Next(m.now); ok && !next.After(m.now) {
		t.Fatalf("Pick returned nothing and Next says now")
	}
	free := m.options.MaxInFlight - len(m.flying)
	if free == 0 {
		return
	}
	able := map[centrifuge.QueueKey]bool{}
	for _, j := range m.jobs {
		if !j.flushed && m.now.Sub(j.retryAt) >= tick && j.expireAt.Sub(m.latest) > 2*tick {
			able[j.key] = true
		}
	}
	infos, _ := m.s.Queues(m.now, schedule.Selector{}, centrifuge.QueueKey{}, 100)
	dests, _ := m.s.Destinations(m.now, "", 100)
	for _, q := range infos {
		if !able[q.Queue] {
			continue
		}
		d := dests[slices.IndexFunc(dests, func(d schedule.DestinationInfo) bool { return d.Destination == q.Queue.Destination })]
		whole := m.policies[key("", d.Destination)]
		p := m.effective(q.Queue)
		probing := func(g schedule.Gate) bool { return g.Breaker != schedule.Closed }
		switch {
		case p.Paused:
		case q.InFlight >= q.Limit, d.InFlight >= d.Limit, probing(q.Gate), probing(d.Gate):
		case q.HeldUntil.After(m.now), d.HeldUntil.After(m.now):
		case !m.hasToken(q.Queue, p), !m.hasToken(key("", d.Destination), whole):
		case d.InFlight >= free:
		case d.Queues > 1 && q.InFlight >= 4*(d.Limit-d.InFlight):
		default:
			t.Fatalf("Pick returned nothing though %+v of %+v may send", q, d)
		}
	}
}
