package schedule_test

import (
	"testing"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

// One of three keeps to a third of what policies say, of those that were said before
// and after, and goes by the whole again when it is alone.
func TestShareOfPolicies(t *testing.T) {
	for name, scope := range map[string]centrifuge.QueueKey{"queue": key("a", "x"), "source": key("a", ""), "destination": key("", "x")} {
		for _, before := range []bool{true, false} {
			s := newScheduler(schedule.Options{MaxPerDestination: 1000, MaxPerQueue: 1000, InitialLimit: 1000})
			policy := centrifuge.QueuePolicy{Rate: 9, Burst: 6}
			if before {
				s.SetPolicy(start, scope, policy)
			}
			fill(s, key("a", "x"), 1000)
			s.Share(start, 3)
			if !before {
				s.SetPolicy(start, scope, policy)
			}
			if sent := failAll(s, start, never, 100); sent != 2 {
				t.Errorf("%s: %d sent of a burst of 6 shared by three, want 2", name, sent)
			}
			now := start.Add(time.Second)
			if sent := failAll(s, now, never, 100); sent != 2 {
				t.Errorf("%s: %d sent after a second, want the burst of 2", name, sent)
			}
			s.Share(now, 1)
			if sent := failAll(s, now, never, 100); sent != 4 {
				t.Errorf("%s: %d sent at once by the one that is left, want the 4 that were the others'", name, sent)
			}
			if sent := failAll(s, now.Add(time.Second), never, 100); sent != 6 {
				t.Errorf("%s: %d sent by the one that is left, want the burst of 6", name, sent)
			}
		}
	}
}

func TestShareOfConcurrency(t *testing.T) {
	for said, want := range map[int]int{10: 3, 3: 1, 2: 1} {
		s := newScheduler(schedule.Options{MaxPerDestination: 1000, MaxPerQueue: 1000, InitialLimit: 1000})
		s.SetPolicy(start, key("a", "x"), centrifuge.QueuePolicy{Concurrency: said})
		s.Share(start, 3)
		fill(s, key("a", "x"), 100)
		got := 0
		for _, _, ok := s.Pick(start, nil); ok; _, _, ok = s.Pick(start, nil) {
			got++
		}
		infos, _ := s.Queues(start, schedule.Selector{}, centrifuge.QueueKey{}, 1)
		if got != want || infos[0].Limit != want || infos[0].Policy.Concurrency != said {
			t.Errorf("of %d for three: %d under way, told as %+v; want %d", said, got, infos[0], want)
		}
	}
}

// A rate that is below the number of those who share it is not lost.
func TestShareOfALowRate(t *testing.T) {
	s := newScheduler(schedule.Options{})
	s.SetPolicy(start, key("a", "x"), centrifuge.QueuePolicy{Rate: 1})
	s.Share(start, 4)
	fill(s, key("a", "x"), 100)
	sent := 0
	for now := start; now.Sub(start) < 40*time.Second; now = now.Add(100 * time.Millisecond) {
		sent += failAll(s, now, never, 100)
	}
	if sent != 10 {
		t.Errorf("%d sent in 40 s of a rate of 1 shared by four, want 10", sent)
	}
}
