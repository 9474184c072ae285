package director_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/archive/archivetest"
	"centrifuge/director"
	"centrifuge/schedule"
)

// watcher counts what an observer is told.
type watcher struct {
	mu     sync.Mutex
	ended  map[centrifuge.State]int64
	lives  map[centrifuge.ID]centrifuge.Life
	wrong  []string
	events int
}

func newWatcher() *watcher {
	return &watcher{ended: map[centrifuge.State]int64{}, lives: map[centrifuge.ID]centrifuge.Life{}}
}

// observe checks that each event continues its job's life.
func (w *watcher) observe(events []centrifuge.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range events {
		e := &events[i]
		w.events++
		w.ended[e.Step.State]++
		life := w.lives[e.Job.ID]
		if life.State == centrifuge.StateMoved {
			life.State = e.From // goes on elsewhere
		}
		next, err := life.Append(&e.Step)
		if err != nil || life.State != e.From || e.Step.JobID != e.Job.ID || e.Step.Time.IsZero() || e.Job.CreatedAt.IsZero() {
			w.wrong = append(w.wrong, e.Job.ID.String()+" "+e.From.String()+" "+e.Step.State.String())
		}
		w.lives[e.Job.ID] = next
	}
}

func (w *watcher) check(t *testing.T, want map[centrifuge.State]int64) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wrong) > 0 {
		t.Errorf("%d of %d events do not continue their jobs' lives: %v", len(w.wrong), w.events, w.wrong[:min(3, len(w.wrong))])
	}
	for state, n := range want {
		if w.ended[state] != n {
			t.Errorf("told of %d jobs that are %s, want %d", w.ended[state], state, n)
		}
	}
}

// An observer is told of each transition once, in order, over a cycle and a drain:
// what a job brings from another JobDB is not told again.
func TestObserve(t *testing.T) {
	p, dir, w := newPool(t), t.TempDir(), newWatcher()
	bucket := &deaf{Bucket: &archivetest.Memory{}}
	y := newTally(firstFails)
	r := start(t, dir, new(atomic.Uint64), func(o *director.Options) {
		p.serving(y)(o)
		o.Archive, o.Observe = archive.New(bucket), w.observe
		o.ArchiveJobs, o.ShutdownGrace = 10, 100*time.Millisecond
	})
	for destination, policy := range map[string]centrifuge.QueuePolicy{
		"example.com": {Paused: true}, "failing.example": {RetryStatuses: []int{404}},
	} {
		if err := r.SetPolicy(t.Context(), centrifuge.QueueKey{Destination: destination}, policy); err != nil {
			t.Fatal(err)
		}
	}
	submit(t, r, jobs(10, "https://example.com/x")...)
	if n, err := r.Expire(t.Context(), schedule.Selector{Destination: "example.com"}); n != 10 || err != nil {
		t.Fatalf("%d flushed, %v", n, err)
	}
	await(t, "they are archiving", func() bool { return ledger(t, r).Archiving == 10 })
	submit(t, r, append(jobs(20, "https://example.com/x"), jobs(30, "https://failing.example/x")...)...)
	await(t, "some have failed", func() bool { return ledger(t, r).AwaitingRetry == 30 })
	from, to, err := r.Cycle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	await(t, "it is let go of", func() bool { return p.report(from) != nil })
	bucket.hears.Store(true)
	p.drain(t, from, to, r, dir, func(o *director.DrainOptions) { o.Archive, o.Observe = archive.New(bucket), w.observe })
	if err := r.SetPolicy(t.Context(), centrifuge.QueueKey{Destination: "example.com"}, centrifuge.QueuePolicy{RetryStatuses: []int{404}}); err != nil {
		t.Fatal(err)
	}
	await(t, "all have ended", func() bool {
		for _, d := range []string{"example.com", "failing.example"} {
			if _, err := r.Retry(t.Context(), schedule.Selector{Destination: d}); err != nil {
				t.Fatal(err)
			}
		}
		l := ledger(t, r)
		return l.Pending() == 0
	})
	w.check(t, map[centrifuge.State]int64{
		centrifuge.StateAwaitingScheduling: 60, centrifuge.StateArchived: 10, centrifuge.StateMoved: 50, centrifuge.StateSucceeded: 50,
		centrifuge.StateAwaitingRetry: 50, centrifuge.StateExecuting: 100,
	})
}
