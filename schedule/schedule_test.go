package schedule_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

// start is a moment in the middle of a second, so that rounding shows.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.UTC)

const ttl = centrifuge.DefaultTTL

func id(n int) (id centrifuge.ID) {
	binary.BigEndian.PutUint64(id[12:], uint64(n))
	return id
}

func key(source, destination string) centrifuge.QueueKey {
	return centrifuge.QueueKey{Source: source, Destination: destination}
}

func newScheduler(o schedule.Options) *schedule.Scheduler {
	o.Random = rand.New(rand.NewPCG(1, 2))
	return schedule.New(o, start)
}

func TestReadyJobIsPickedOnce(t *testing.T) {
	s := newScheduler(schedule.Options{})
	s.Ready(start, key("a", "x"), id(1), start.Add(ttl))
	ticket, ids, ok := s.Pick(start, nil)
	if !ok || len(ids) != 1 || ids[0] != id(1) || ticket.Queue != key("a", "x") {
		t.Fatalf("Pick: got %v %v %v, want job 1 of a, x", ticket.Queue, ids, ok)
	}
	if _, ids, ok := s.Pick(start, nil); ok {
		t.Fatalf("Pick again: got %v, want nothing", ids)
	}
	s.Done(start, ticket, schedule.Feedback{Result: schedule.Healthy})
	if got := s.Stats(); got.InFlight != 0 || got.Ready != 0 || got.Queues != 1 {
		t.Fatalf("Stats: got %+v, want one empty queue", got)
	}
}

func TestWaitingJobIsPickedWhenDue(t *testing.T) {
	for _, wait := range []time.Duration{time.Nanosecond, 49 * time.Millisecond, time.Second, 61 * time.Minute, 5 * time.Hour} {
		s := newScheduler(schedule.Options{})
		due := start.Add(wait)
		s.Wait(start, key("a", "x"), id(1), start.Add(24*time.Hour), due)
		now := start
		for range 20 {
			next, ok := s.Next(now)
			if !ok {
				t.Fatalf("wait %v: Next has nothing", wait)
			}
			now = later(now, next)
			if _, _, ok := s.Pick(now, nil); ok {
				break
			}
		}
		if late := now.Sub(due); late < 0 || late > 50*time.Millisecond || s.Stats().InFlight != 1 {
			t.Errorf("wait %v: picked %v after it was due, want 0 to 50ms", wait, late)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
