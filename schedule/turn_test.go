package schedule

import (
	"testing"
	"time"

	"centrifuge"
)

// The sum of weights by which virtual time advances is that of the active
// children, whatever becomes of their policies.
func TestWeightsOfTheActiveAddUp(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := New(Options{}, now)
	for i, source := range []string{"a", "b", "c"} {
		s.Ready(now, centrifuge.QueueKey{Source: source, Destination: "x"}, numbered(i), now.Add(time.Hour))
	}
	s.SetPolicy(now, centrifuge.QueueKey{Source: "a", Destination: "x"}, centrifuge.QueuePolicy{Weight: 5})
	s.SetPolicy(now, centrifuge.QueueKey{Source: "b"}, centrifuge.QueuePolicy{Weight: 0.5})
	s.SetPolicy(now, centrifuge.QueueKey{Source: "c"}, centrifuge.QueuePolicy{Paused: true, Weight: 9})
	s.SetPolicy(now, centrifuge.QueueKey{Destination: "x"}, centrifuge.QueuePolicy{Weight: 3})
	if got := s.dests[0].turns.weight; got != 5.5 {
		t.Errorf("weight of the queues: got %v, want 5.5", got)
	}
	if got := s.root.weight; got != 3 {
		t.Errorf("weight of the destinations: got %v, want 3", got)
	}
}
