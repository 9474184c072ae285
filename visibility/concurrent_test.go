package visibility_test

import (
	"sync"
	"testing"
	"time"

	"centrifuge/visibility"
)

// While several Directors' commits are recorded, flushed and sealed, queries see
// numbers that only grow, and none is lost.
func TestConcurrentUse(t *testing.T) { onEach(t, testConcurrentUse) }

func testConcurrentUse(t *testing.T, at place) {
	b := newBench(t, at, start.Add(time.Hour))
	worlds := []*world{newWorld(21, start), newWorld(22, start), newWorld(23, start)}
	var recording, working sync.WaitGroup
	for _, w := range worlds {
		recording.Go(func() {
			for range 60 {
				b.Record(w.events(50, 45*time.Second))
			}
		})
	}
	done := make(chan struct{})
	working.Go(func() {
		for {
			if err := b.Flush(t.Context()); err != nil {
				t.Error(err)
			}
			if err := b.Tidy(t.Context()); err != nil {
				t.Error(err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	working.Go(func() {
		accepted := int64(0)
		for {
			s, err := b.store.Summary(t.Context(), visibility.Filter{}, wide)
			if err != nil {
				t.Error(err)
				return
			}
			rows, err := b.store.Top(t.Context(), visibility.ByQueue, visibility.Filter{}, wide, visibility.OrderVolume, 1000)
			if err != nil {
				t.Error(err)
				return
			}
			later := int64(0)
			for i := range rows {
				later += rows[i].Accepted
			}
			if s.Accepted < accepted || later < s.Accepted {
				t.Errorf("%d jobs after %d, and then %d", s.Accepted, accepted, later)
			}
			accepted = later
			select {
			case <-done:
				return
			default:
			}
		}
	})
	recording.Wait()
	close(done)
	working.Wait()
	b.flush()
	all := &world{}
	for _, w := range worlds {
		all.facts = append(all.facts, w.facts...)
	}
	b.check(all, visibility.Filter{}, wide, time.Hour)
}
