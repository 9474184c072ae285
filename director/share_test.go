package director_test

import (
	"sync/atomic"
	"testing"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/schedule"
)

// A Director keeps to its part of what policies say, in the JobDB that it has and in
// the next, and tells of them as they were said.
func TestShareOutlivesTheJobDB(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	r := start(t, dir, new(atomic.Uint64), p.serving(newTally(func(*centrifuge.Job, uint32) delivery.Result { return status(200) })))
	scope := centrifuge.QueueKey{Destination: "example.com"}
	if err := r.SetPolicy(t.Context(), scope, centrifuge.QueuePolicy{Paused: true, Concurrency: 6}); err != nil {
		t.Fatal(err)
	}
	limits := func(want int) {
		t.Helper()
		if _, err := r.Submit(t.Context(), director.Submission{Jobs: jobs(1, "https://example.com/x")}); err != nil {
			t.Fatal(err)
		}
		infos, _, err := r.Destinations("", 1)
		if err != nil || len(infos) != 1 || infos[0].Limit != want || infos[0].Policy.Concurrency != 6 {
			t.Errorf("the destination stands as %+v, %v; want a limit of %d", infos, err, want)
		}
	}
	limits(6)
	r.Share(3)
	limits(2)
	if _, _, err := r.Cycle(t.Context()); err != nil {
		t.Fatal(err)
	}
	limits(2)
	r.Share(1)
	limits(6)
	if queues, _, err := r.Queues(schedule.Selector{}, centrifuge.QueueKey{}, 1); err != nil || len(queues) != 1 || !queues[0].Policy.Paused {
		t.Errorf("the queue stands as %+v, %v", queues, err)
	}
}
