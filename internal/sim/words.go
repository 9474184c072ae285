package sim

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

// words are what operators said, as far as it must be obeyed by now. The witness
// guards them.
type words struct {
	policies map[centrifuge.QueueKey]said
	retries  []retryNow
	flushes  []schedule.Selector
	meters   map[centrifuge.QueueKey]*meter
}

func newWords() words {
	return words{policies: make(map[centrifuge.QueueKey]said), meters: make(map[centrifuge.QueueKey]*meter)}
}

// said is a policy that was set. While a call is under way, and after one whose
// outcome is unknown, nobody can be sure.
type said struct {
	policy centrifuge.QueuePolicy
	sure   bool
	since  time.Time // virtual
}

// retryNow is an order to retry, which may free jobs from the beginning of the
// call to its end.
type retryNow struct {
	sel   schedule.Selector
	over  bool
	until time.Time // virtual, once it is over
}

func (s said) obeyed() bool { return s.sure && time.Since(s.since) > unsettled }

// settled is the scope's policy, and whether it must be obeyed.
func (w *words) settled(scope centrifuge.QueueKey) (centrifuge.QueuePolicy, bool) {
	s, ok := w.policies[scope]
	return s.policy, !ok || s.obeyed()
}

// destination is the policy of a destination as a whole.
func (w *words) destination(name string) (centrifuge.QueuePolicy, bool) {
	return w.settled(centrifuge.QueueKey{Destination: name})
}

// queue is what holds for a queue in the things that the witness checks.
func (w *words) queue(key centrifuge.QueueKey) (centrifuge.QueuePolicy, bool) {
	own, sureOwn := w.settled(key)
	source, sureSource := w.settled(centrifuge.QueueKey{Source: key.Source})
	destination, sureDestination := w.destination(key.Destination)
	own.Paused = own.Paused || source.Paused || destination.Paused
	if own.Rate == 0 {
		own.Rate = source.Rate
	}
	if own.Burst == 0 {
		own.Burst = source.Burst
	}
	if own.Concurrency == 0 {
		own.Concurrency = source.Concurrency
	}
	return own, sureOwn && sureSource && sureDestination
}

// retried reports whether an order may have made the job due before its time.
func (w *words) retried(j *witnessed) bool {
	for _, r := range w.retries {
		if r.sel.Matches(j.job.Queue()) && (!r.over || !r.until.Before(j.retried)) {
			return true
		}
	}
	return false
}

// flushed reports whether the queue was ever ordered to the archive.
func (w *words) flushed(key centrifuge.QueueKey) bool {
	for _, sel := range w.flushes {
		if sel.Matches(key) {
			return true
		}
	}
	return false
}

// round is between two events after which a rate's bucket may be full again: a
// new tenure, a leap of the clock.
type round struct {
	tenure, leaps int
	leapt         time.Time // virtual: when the last leap was
}

// meter is a token bucket of the witness's own.
type meter struct {
	round  round
	rate   float64
	burst  float64
	tokens float64
	at     time.Time // virtual
	before *meter    // that of the round before the leap which this one began with
}

// spend takes a token for an attempt, and reports whether there was one. Attempts
// may be made up to slack after they were allowed: an attempt is allowed when its job
// is picked, and then the job is read. So one that is made soon after a leap may have
// had its token before.
func (w *words) spend(key centrifuge.QueueKey, p *centrifuge.QueuePolicy, now round, slack time.Duration) bool {
	if p.Rate == 0 {
		delete(w.meters, key)
		return true
	}
	burst := max(float64(p.Burst), 1)
	if p.Burst == 0 {
		burst = max(float64(int(p.Rate)), 1)
	}
	m := w.meters[key]
	if m == nil || m.round != now || m.rate != p.Rate || m.burst != burst {
		fresh := &meter{round: now, rate: p.Rate, burst: burst, tokens: burst, at: time.Now()}
		if m != nil && m.round.tenure == now.tenure && m.rate == p.Rate && m.burst == burst {
			fresh.before = m
		}
		m = fresh
		w.meters[key] = m
	}
	if time.Since(now.leapt) > slack {
		m.before = nil
	}
	for before := m.before; before != nil; before = before.before {
		if before.take(slack) {
			return true
		}
	}
	return m.take(slack)
}

// take takes a token, unless there is none.
func (m *meter) take(slack time.Duration) bool {
	m.tokens = min(m.burst, m.tokens+m.rate*time.Since(m.at).Seconds())
	m.at = time.Now()
	if m.tokens < 1-m.rate*slack.Seconds()-0.001 {
		return false
	}
	m.tokens--
	return true
}

// setting takes down that a policy is being set.
func (w *witness) setting(scope centrifuge.QueueKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.words.policies[scope] = said{}
	clear(w.mu.words.meters)
}

// set takes down that a policy is in force.
func (w *witness) set(scope centrifuge.QueueKey, p centrifuge.QueuePolicy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.words.policies[scope] = said{policy: p, sure: true, since: time.Now()}
	clear(w.mu.words.meters)
}

// retrying takes down an order to retry, until over is called.
func (w *witness) retrying(sel schedule.Selector) (over func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.words.retries = append(w.mu.words.retries, retryNow{sel: sel})
	i := len(w.mu.words.retries) - 1
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.mu.words.retries[i].over, w.mu.words.retries[i].until = true, time.Now()
	}
}

// flushing takes down an order to archive.
func (w *witness) flushing(sel schedule.Selector) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.words.flushes = append(w.mu.words.flushes, sel)
}

// scopes are those of which anything was said.
func (w *witness) scopes() []centrifuge.QueueKey {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.SortedFunc(maps.Keys(w.mu.words.policies), func(a, b centrifuge.QueueKey) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Destination, b.Destination))
	})
}
