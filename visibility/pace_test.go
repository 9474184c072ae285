package visibility_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge"
	"centrifuge/visibility"
	"centrifuge/visibility/sqlite"
)

// The more queues a flush was of, the later is the next one; it comes all the same.
func TestManyQueuesAreStoredLessOften(t *testing.T) {
	for _, test := range []struct {
		queues int
		wait   time.Duration
	}{{100, 2 * time.Second}, {9_000, 6 * time.Second}, {60_000, 20 * time.Second}} {
		t.Run(fmt.Sprint(test.queues), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testPace(t, test.queues, test.wait) })
		})
	}
}

func testPace(t *testing.T, queues int, wait time.Duration) {
	dir := t.TempDir()
	backend, err := sqlite.Open(filepath.Join(dir, "record"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := visibility.OpenStore(t.Context(), visibility.StoreOptions{Backend: backend})
	if err != nil {
		t.Fatal(err)
	}
	r, err := visibility.NewRecorder(t.Context(), visibility.RecorderOptions{Store: store, Alive: filepath.Join(dir, "alive")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	accept := func(queue int) {
		job := &centrifuge.Job{Source: fmt.Sprint("s", queue), Destination: "d"}
		r.Record([]centrifuge.Event{{Job: job, Step: centrifuge.Transition{State: centrifuge.StateAwaitingScheduling, Time: time.Now()}}})
	}
	stored := func() int64 {
		synctest.Wait()
		s, err := store.Summary(t.Context(), visibility.Filter{}, visibility.Last(time.Now(), time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return s.Accepted
	}
	for i := range queues {
		accept(i)
	}
	time.Sleep(2 * time.Second)
	if n := stored(); n != int64(queues) {
		t.Fatalf("%d jobs stored after the first interval, want %d", n, queues)
	}
	accept(0)
	time.Sleep(wait - time.Millisecond)
	if n := stored(); n != int64(queues) {
		t.Errorf("%d jobs stored before %v were over, want %d", n, wait, queues)
	}
	time.Sleep(time.Millisecond)
	if n := stored(); n != int64(queues)+1 {
		t.Errorf("%d jobs stored after %v, want %d", n, wait, queues+1)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
