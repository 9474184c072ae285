package schedule_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"centrifuge"
	"centrifuge/schedule"
)

const tick = 50 * time.Millisecond

// model is what the scheduler must agree with: every job in a map, every rule
// written down plainly.
type model struct {
	s       *schedule.Scheduler
	options schedule.Options
	now     time.Time
	latest  time.Time // the latest time the scheduler has seen
	standby bool      // the clock was set back by less than the wheel follows

	jobs     map[centrifuge.ID]*modelJob
	made     int
	flying   []flight
	policies map[centrifuge.QueueKey]centrifuge.QueuePolicy
	passed   map[centrifuge.QueueKey][]passage // by scope, since its policy was set
}

type modelJob struct {
	key      centrifuge.QueueKey
	expireAt time.Time
	retryAt  time.Time
	came     bool // its retry time
	flushed  bool
}

type flight struct {
	ticket schedule.Ticket
	jobs   []*modelJob
	ids    []centrifuge.ID
}

type passage struct {
	at time.Time
	n  int
}

var (
	modelSources      = []string{"a", "b", "c"}
	modelDestinations = []string{"x", "y", "z"}
)

func TestSchedulerAgainstModel(t *testing.T) { rapid.Check(t, checkModel) }

func checkModel(t *rapid.T) {
	o := schedule.Options{
		MaxInFlight:       rapid.IntRange(1, 12).Draw(t, "max in flight"),
		MaxPerDestination: rapid.IntRange(1, 8).Draw(t, "max per destination"),
		MaxPerQueue:       rapid.IntRange(1, 8).Draw(t, "max per queue"),
		InitialLimit:      rapid.IntRange(1, 4).Draw(t, "initial limit"),
		FailureRun:        rapid.IntRange(2, 5).Draw(t, "failure run"),
	}
	m := &model{
		s: newScheduler(o), options: o, now: start, latest: start,
		jobs:     map[centrifuge.ID]*modelJob{},
		policies: map[centrifuge.QueueKey]centrifuge.QueuePolicy{},
		passed:   map[centrifuge.QueueKey][]passage{},
	}
	t.Repeat(map[string]func(*rapid.T){
		"ready":     m.ready,
		"wait":      m.wait,
		"wait more": m.wait,
		"pick":      m.pick,
		"pick all":  m.pickAll,
		"done":      m.done,
		"done all":  m.doneAll,
		"expired":   m.expired,
		"pass":      m.pass,
		"set back":  m.setBack,
		"policy":    m.policy,
		"retry":     m.retry,
		"flush":     m.flush,
		"":          m.check,
	})
	m.drain(t)
}

func drawKey(t *rapid.T) centrifuge.QueueKey {
	return key(rapid.SampledFrom(modelSources).Draw(t, "source"), rapid.SampledFrom(modelDestinations).Draw(t, "destination"))
}

// drawSpan draws a duration of any order of magnitude up to a day.
func drawSpan(t *rapid.T, name string) time.Duration {
	top := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour, 24 * time.Hour}).Draw(t, name+" up to")
	return time.Duration(rapid.Int64Range(1, int64(top)).Draw(t, name))
}

func (m *model) add(k centrifuge.QueueKey, expireAt, retryAt time.Time) centrifuge.ID {
	m.made++
	j := &modelJob{key: k, expireAt: expireAt, retryAt: retryAt}
	m.jobs[id(m.made)] = j
	m.see()
	return id(m.made)
}

// see notes which jobs' retry time has come.
func (m *model) see() {
	for _, j := range m.jobs {
		if !j.came && !m.now.Before(j.retryAt) {
			j.came = true
		}
	}
}

func (m *model) ready(t *rapid.T) {
	k, expireAt := drawKey(t), m.now.Add(drawSpan(t, "ttl"))
	m.s.Ready(m.now, k, m.add(k, expireAt, m.now), expireAt)
}

func (m *model) wait(t *rapid.T) {
	k, expireAt := drawKey(t), m.now.Add(drawSpan(t, "ttl"))
	retryAt := m.now.Add(drawSpan(t, "backoff"))
	m.s.Wait(m.now, k, m.add(k, expireAt, retryAt), expireAt, retryAt)
}

func (m *model) pick(t *rapid.T) { m.tryPick(t) }

func (m *model) pickAll(t *rapid.T) {
	for m.tryPick(t) {
	}
}

func (m *model) tryPick(t *rapid.T) bool {
	ticket, ids, ok := m.s.Pick(m.now, nil)
	if !ok {
		m.checkIdle(t)
		return false
	}
	f := flight{ticket: ticket, ids: ids}
	if len(ids) == 0 {
		t.Fatal("Pick returned a ticket without a job")
	}
	for _, id := range ids {
		j := m.jobs[id]
		switch {
		case j == nil:
			t.Fatalf("Pick returned %v, which is not there", id)
		case j.flushed:
			t.Fatalf("Pick returned %v, which was flushed", id)
		case j.key != ticket.Queue:
			t.Fatalf("Pick returned a job of %v with a ticket of %v", j.key, ticket.Queue)
		case !j.came:
			t.Fatalf("Pick returned %v %v before its retry time", id, j.retryAt.Sub(m.now))
		case !m.now.Before(j.expireAt):
			t.Fatalf("Pick returned %v %v after its expiry", id, m.now.Sub(j.expireAt))
		}
		f.jobs = append(f.jobs, j)
		delete(m.jobs, id)
	}
	m.flying = append(m.flying, f)
	m.checkLimits(t, ticket.Queue, len(ids))
	return true
}

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
	if next, ok := m.s.Next(m.now); ok && !next.After(m.now) && m.s.Stats().Leaving == 0 {
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

func (m *model) done(t *rapid.T) {
	if len(m.flying) == 0 {
		t.Skip("nothing in flight")
	}
	i := rapid.IntRange(0, len(m.flying)-1).Draw(t, "flight")
	f := m.flying[i]
	m.flying = slices.Delete(m.flying, i, i+1)
	feedback := schedule.Feedback{
		Result:  rapid.SampledFrom([]schedule.Result{schedule.Neutral, schedule.Healthy, schedule.Failed}).Draw(t, "result"),
		Latency: drawSpan(t, "latency"),
	}
	if feedback.Result == schedule.Failed && rapid.Bool().Draw(t, "asks for time") {
		feedback.RetryAfter = drawSpan(t, "retry after")
	}
	m.s.Done(m.now, f.ticket, feedback)
	if feedback.Result == schedule.Healthy {
		return
	}
	for i, j := range f.jobs { // back they go
		retryAt := m.now.Add(drawSpan(t, "backoff"))
		m.jobs[f.ids[i]] = &modelJob{key: j.key, expireAt: j.expireAt, retryAt: retryAt}
		m.s.Wait(m.now, j.key, f.ids[i], j.expireAt, retryAt)
	}
	m.see()
}

func (m *model) doneAll(*rapid.T) {
	for _, f := range m.flying {
		m.s.Done(m.now, f.ticket, schedule.Feedback{Result: schedule.Healthy, Latency: time.Millisecond})
	}
	m.flying = nil
}

func (m *model) expired(t *rapid.T) {
	room := rapid.IntRange(0, 5).Draw(t, "room")
	got := m.s.Expired(m.now, make([]schedule.Expired, 0, room))
	if room > 0 && len(got) > room {
		t.Fatalf("Expired returned %d, want at most %d", len(got), room)
	}
	m.take(t, got)
}

func (m *model) take(t *rapid.T, expired []schedule.Expired) {
	for _, e := range expired {
		j := m.jobs[e.ID]
		switch {
		case j == nil:
			t.Fatalf("Expired returned %v, which is not there", e.ID)
		case j.key != e.Queue:
			t.Fatalf("Expired returned a job of %v as one of %v", j.key, e.Queue)
		case j.flushed != e.Flushed && m.latest.Before(j.expireAt):
			t.Fatalf("Expired returned %v with flushed %v, want %v", e.ID, e.Flushed, j.flushed)
		case !j.flushed && m.latest.Before(j.expireAt):
			t.Fatalf("Expired returned %v %v before its time", e.ID, j.expireAt.Sub(m.latest))
		}
		delete(m.jobs, e.ID)
	}
}

func (m *model) pass(t *rapid.T) {
	to := m.now.Add(drawSpan(t, "pass"))
	if next, ok := m.s.Next(m.now); ok && rapid.Bool().Draw(t, "to next") {
		to = later(m.now, next)
	}
	m.now = to
	m.latest = later(m.latest, m.now)
	m.standby = m.standby && m.now.Before(m.latest)
	m.see()
}

func (m *model) setBack(t *rapid.T) {
	back := min(drawSpan(t, "back"), 3*time.Hour)
	if m.now.Add(-back).Before(start.Add(-12 * time.Hour)) {
		t.Skip("far enough back")
	}
	m.now = m.now.Add(-back)
	m.standby = true
	if back > 1100*time.Millisecond {
		m.standby = false
	}
	m.unrule() // rates are promised for a clock that does not go back
}

func (m *model) policy(t *rapid.T) {
	scope := drawKey(t)
	switch rapid.IntRange(0, 2).Draw(t, "scope") {
	case 0:
		scope.Source = ""
	case 1:
		scope.Destination = ""
	}
	p := centrifuge.QueuePolicy{
		Paused:      rapid.IntRange(0, 3).Draw(t, "paused") == 0,
		Rate:        rapid.SampledFrom([]float64{0, 0, 0.3, 1, 7}).Draw(t, "rate"),
		Burst:       rapid.IntRange(0, 3).Draw(t, "burst"),
		Weight:      rapid.SampledFrom([]float64{0, 0.5, 3}).Draw(t, "weight"),
		Concurrency: rapid.IntRange(0, 4).Draw(t, "concurrency"),
		BatchSize:   rapid.IntRange(0, 3).Draw(t, "batch size"),
	}
	m.s.SetPolicy(m.now, scope, p)
	m.policies[scope] = p
	// What passed under the old policy is forgotten by the model, but not by the
	// scheduler, which may then be stricter than the model for as long as a bucket
	// takes to fill.
	m.settle()
}

// settle makes the buckets of scheduler and model agree: both full, both empty of
// history.
func (m *model) settle() {
	clear(m.passed)
	m.now = m.now.Add(time.Minute)
	m.latest = later(m.latest, m.now)
	m.standby = m.standby && m.now.Before(m.latest)
	m.see()
}

func (m *model) retry(t *rapid.T) {
	k := drawKey(t)
	sel := rapid.SampledFrom([]schedule.Selector{{}, {Source: k.Source}, {Destination: k.Destination}, schedule.Selector(k)}).Draw(t, "selector")
	waiting := m.waiting(sel)
	if n := m.s.RetryNow(m.now, sel); n != waiting {
		t.Fatalf("RetryNow: got %d, want %d", n, waiting)
	}
	for _, j := range m.jobs {
		if sel.Matches(j.key) {
			j.came = true
			j.retryAt = m.now
		}
	}
}

func (m *model) waiting(sel schedule.Selector) (n int) {
	infos, _ := m.s.Queues(m.now, sel, centrifuge.QueueKey{}, math.MaxInt32)
	for _, q := range infos {
		n += q.Waiting
	}
	return n
}

func (m *model) flush(t *rapid.T) {
	sel := schedule.Selector(drawKey(t))
	if n, most := m.s.ExpireNow(m.now, sel), m.held(sel); n > most {
		t.Fatalf("ExpireNow: got %d, want at most %d", n, most)
	}
	for _, j := range m.jobs {
		if sel.Matches(j.key) {
			j.flushed = true
		}
	}
}

func (m *model) held(sel schedule.Selector) (n int) {
	for _, j := range m.jobs {
		if sel.Matches(j.key) {
			n++
		}
	}
	return n
}

// check holds the totals against the model after every step.
func (m *model) check(t *rapid.T) {
	got := m.s.Stats()
	if n := got.Ready + got.Waiting + got.Leaving; n != len(m.jobs) {
		t.Fatalf("the scheduler holds %d jobs (%+v), want %d", n, got, len(m.jobs))
	}
	if got.InFlight != len(m.flying) {
		t.Fatalf("%d requests in flight, want %d", got.InFlight, len(m.flying))
	}
}

// drain lets everything go: every job must come out, once, and the scheduler
// forget everything.
func (m *model) drain(t *rapid.T) {
	m.unrule()
	for range 1_000_000 {
		m.doneAll(t)
		for m.tryPick(t) {
		}
		m.take(t, m.s.Expired(m.now, nil))
		next, ok := m.s.Next(m.now)
		if !ok {
			break
		}
		m.now = later(m.now.Add(time.Millisecond), next)
		m.latest = later(m.latest, m.now)
		m.standby = m.standby && m.now.Before(m.latest)
		m.see()
	}
	if len(m.jobs) > 0 {
		t.Fatalf("%d jobs never came out: %v", len(m.jobs), describe(m.jobs))
	}
	if got := m.s.Stats(); got != (schedule.Totals{}) {
		t.Fatalf("the empty scheduler remembers %+v", got)
	}
}

// unrule removes all policies.
func (m *model) unrule() {
	for scope := range m.policies {
		m.s.SetPolicy(m.now, scope, centrifuge.QueuePolicy{})
	}
	clear(m.policies)
	clear(m.passed)
}

func describe(jobs map[centrifuge.ID]*modelJob) (s []string) {
	for id, j := range jobs {
		s = append(s, fmt.Sprintf("%v %+v", id, *j))
	}
	return s
}
