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
		if !ok && !m.s.Leaving() {
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
