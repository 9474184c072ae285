package schedule_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

func TestPolicyMerges(t *testing.T) {
	s := newScheduler(schedule.Options{})
	if got := s.Policy(key("a", "x")); !reflect.DeepEqual(got, centrifuge.QueuePolicy{}) {
		t.Errorf("with nothing said: got %+v, want the zero policy", got)
	}
	s.SetPolicy(start, key("a", "x"), centrifuge.QueuePolicy{Rate: 3, Retry: centrifuge.RetryPolicy{MaxAttempts: 4}})
	s.SetPolicy(start, key("a", ""), centrifuge.QueuePolicy{Rate: 9, Weight: 2, Retry: centrifuge.RetryPolicy{MaxAttempts: 5, MinBackoff: time.Second}})
	s.SetPolicy(start, key("", "x"), centrifuge.QueuePolicy{
		Paused: true, Rate: 100, Weight: 7, Concurrency: 8, BatchSize: 6, RetryStatuses: []int{404},
		Retry: centrifuge.RetryPolicy{MinBackoff: time.Minute, MaxBackoff: time.Hour},
	})
	for q, want := range map[centrifuge.QueueKey]centrifuge.QueuePolicy{
		key("a", "x"): {
			Paused: true, Rate: 3, Weight: 2, BatchSize: 6, RetryStatuses: []int{404},
			Retry: centrifuge.RetryPolicy{MaxAttempts: 4, MinBackoff: time.Second, MaxBackoff: time.Hour},
		},
		key("a", "y"): {Rate: 9, Weight: 2, Retry: centrifuge.RetryPolicy{MaxAttempts: 5, MinBackoff: time.Second}},
		key("b", "x"): {
			Paused: true, BatchSize: 6, RetryStatuses: []int{404},
			Retry: centrifuge.RetryPolicy{MinBackoff: time.Minute, MaxBackoff: time.Hour},
		},
		key("b", "y"): {},
	} {
		if got := s.Policy(q); !reflect.DeepEqual(got, want) {
			t.Errorf("policy of %v: got %+v, want %+v", q, got, want)
		}
		s.Ready(start, q, id(1), start.Add(ttl))
		infos, _ := s.Queues(start, schedule.Selector(q), centrifuge.QueueKey{}, 1)
		if len(infos) != 1 || !reflect.DeepEqual(infos[0].Policy, want) {
			t.Errorf("listing of %v: got %+v, want the policy %+v", q, infos, want)
		}
	}
}

// Each scope pauses its queues at once, those that exist and those to come, and
// lets them go at once.
func TestPauseOfEachScope(t *testing.T) {
	for _, scope := range []centrifuge.QueueKey{key("a", "x"), key("a", ""), key("", "x")} {
		for _, exists := range []bool{true, false} {
			s := newScheduler(schedule.Options{})
			for _, other := range []centrifuge.QueueKey{key("a", "x"), key("a", ""), key("", "x")} {
				s.SetPolicy(start, other, centrifuge.QueuePolicy{Weight: 2})
			}
			put := func() { s.Ready(start, key("a", "x"), id(1), start.Add(ttl)) }
			if exists {
				put()
			}
			s.SetPolicy(start, scope, centrifuge.QueuePolicy{Paused: true})
			if !exists {
				put()
			}
			s.Ready(start, key("b", "y"), id(2), start.Add(ttl))
			if ticket, _, ok := s.Pick(start, nil); !ok || ticket.Queue != key("b", "y") {
				t.Errorf("%v paused: Pick: got %v %v, want b, y", scope, ticket.Queue, ok)
			}
			if _, ids, ok := s.Pick(start, nil); ok {
				t.Errorf("%v paused: Pick: got %v", scope, ids)
			}
			s.SetPolicy(start, scope, centrifuge.QueuePolicy{})
			if _, _, ok := s.Pick(start, nil); !ok {
				t.Errorf("%v resumed: Pick has nothing", scope)
			}
		}
	}
}

func TestRateOfADestinationGovernsItsQueues(t *testing.T) {
	s := newScheduler(schedule.Options{MaxPerDestination: 1000, InitialLimit: 1000})
	s.SetPolicy(start, key("", "x"), centrifuge.QueuePolicy{Rate: 10, Burst: 4})
	fill(s, key("a", "x"), 100)
	fill(s, key("b", "x"), 100)
	sent := 0
	for now := start; now.Sub(start) < 2*time.Second; now = now.Add(10 * time.Millisecond) {
		for {
			if _, _, ok := s.Pick(now, nil); !ok {
				break
			}
			sent++
		}
	}
	if sent != 4+19 {
		t.Errorf("%d jobs in two seconds, want a burst of 4 and 19 more", sent)
	}
}

func TestNewRateDoesNotFillTheBucket(t *testing.T) {
	s := newScheduler(schedule.Options{})
	fill(s, key("a", "x"), 100)
	for i, scope := range []centrifuge.QueueKey{key("a", "x"), key("", "x")} {
		now := start.Add(time.Duration(i) * time.Hour)
		s.SetPolicy(now, scope, centrifuge.QueuePolicy{Rate: 1, Burst: 5})
		if sent := failAll(s, now, never, 100); sent != 5 {
			t.Fatalf("%v: %d sent of a full bucket, want 5", scope, sent)
		}
		s.SetPolicy(now, scope, centrifuge.QueuePolicy{Rate: 2, Burst: 5})
		if sent := failAll(s, now, never, 100); sent != 0 {
			t.Errorf("%v: %d sent after a new rate, want none", scope, sent)
		}
		now = now.Add(time.Second)
		if sent := failAll(s, now, never, 100); sent != 2 {
			t.Errorf("%v: %d sent a second after a new rate of 2, want 2", scope, sent)
		}
		s.SetPolicy(now, scope, centrifuge.QueuePolicy{})
	}
}

func TestBatchIsBoundByTokens(t *testing.T) {
	s := newScheduler(schedule.Options{})
	s.SetPolicy(start, key("a", "x"), centrifuge.QueuePolicy{Rate: 1, Burst: 3, BatchSize: 10})
	fill(s, key("a", "x"), 5)
	if _, ids, _ := s.Pick(start, nil); len(ids) != 3 {
		t.Errorf("the first batch has %d jobs, want the 3 that have a token", len(ids))
	}
	if next, ok := s.Next(start); !ok || next.Sub(start) != time.Second {
		t.Errorf("Next: got %v %v, want the next token in a second", next.Sub(start), ok)
	}
	if _, ids, _ := s.Pick(start.Add(time.Second), nil); len(ids) != 1 {
		t.Errorf("the second batch has %d jobs, want 1", len(ids))
	}
}

func TestNonsenseIsReadAsNothing(t *testing.T) {
	s := newScheduler(schedule.Options{})
	fill(s, key("a", "x"), 3)
	s.SetPolicy(start, key("a", "x"), centrifuge.QueuePolicy{Rate: math.NaN(), Burst: -1, Weight: math.NaN(), Concurrency: -2, BatchSize: -3})
	s.SetPolicy(start, key("", ""), centrifuge.QueuePolicy{Paused: true})
	if served := serve(t, s, 3); served[key("a", "x")] != 3 {
		t.Errorf("served %v, want all", served)
	}
	if got := s.Policy(key("a", "x")); !reflect.DeepEqual(got, centrifuge.QueuePolicy{}) {
		t.Errorf("policy: got %+v, want none", got)
	}
}
