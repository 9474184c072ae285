package schedule_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

func TestQueuesArePaged(t *testing.T) {
	s := newScheduler(schedule.Options{})
	var want []centrifuge.QueueKey
	for d := range 3 {
		for src := range 500 {
			want = append(want, key(fmt.Sprintf("s%04d", src), fmt.Sprint("d", d)))
		}
	}
	for i := range want { // in some other order
		fill(s, want[i*7%len(want)], 1)
	}
	for _, limit := range []int{1, 7, 200, 1499, 1500, 5000} {
		var got []centrifuge.QueueKey
		for more := true; more; {
			var after centrifuge.QueueKey
			if len(got) > 0 {
				after = got[len(got)-1]
			}
			var page []schedule.QueueInfo
			if page, more = s.Queues(start, schedule.Selector{}, after, limit); len(page) > limit {
				t.Fatalf("a page of %d, want at most %d", len(page), limit)
			}
			for _, q := range page {
				got = append(got, q.Queue)
			}
			if limit == 1 && len(got) == 20 {
				break // as good as all
			}
		}
		if !slices.Equal(got, want[:len(got)]) || (limit > 1 && len(got) != len(want)) {
			t.Errorf("pages of %d: got %d queues, want %d in order", limit, len(got), len(want))
		}
	}
	if page, more := s.Queues(start, schedule.Selector{Source: "s0003"}, key("s0003", "d0"), 10); len(page) != 2 || more {
		t.Errorf("the rest of one source: got %d queues, more %v, want 2 and no more", len(page), more)
	}
}

func TestQueueInfo(t *testing.T) {
	s := newScheduler(schedule.Options{InitialLimit: 5})
	s.SetPolicy(start, key("a", "x"), centrifuge.QueuePolicy{Concurrency: 3})
	fill(s, key("a", "x"), 10)
	s.Wait(start, key("a", "x"), id(99), start.Add(ttl), start.Add(time.Hour))
	for range 3 {
		ticket, _, _ := s.Pick(start, nil)
		if ticket.Queue != key("a", "x") {
			t.Fatalf("Pick: got %v", ticket.Queue)
		}
	}
	infos, more := s.Queues(start, schedule.Selector{}, centrifuge.QueueKey{}, 10)
	if len(infos) != 1 || more {
		t.Fatalf("Queues: got %d, more %v, want 1", len(infos), more)
	}
	if q := infos[0]; q.Ready != 7 || q.Waiting != 1 || q.InFlight != 3 || q.Limit != 3 || q.Breaker != schedule.Closed || !q.HeldUntil.IsZero() {
		t.Errorf("Queues: got %+v, want 7 ready, 1 waiting, 3 of 3 in flight", q)
	}
	dests, more := s.Destinations(start, "", 10)
	if len(dests) != 1 || more || dests[0].Destination != "x" || dests[0].Queues != 1 || dests[0].InFlight != 3 || dests[0].Limit != 5 {
		t.Errorf("Destinations: got %+v, more %v, want x with 3 of 5 in flight", dests, more)
	}
	want := schedule.Totals{Queues: 1, Destinations: 1, Ready: 7, Waiting: 1, InFlight: 3}
	if got := s.Stats(); got != want {
		t.Errorf("Stats: got %+v, want %+v", got, want)
	}
}

// What is empty, idle and healthy is forgotten within seconds; what is not
// healthy, and what has spent its tokens, later.
func TestQueuesAreForgotten(t *testing.T) {
	for _, c := range []struct {
		name        string
		policy      centrifuge.QueuePolicy
		result      schedule.Result
		from, until time.Duration
	}{
		{"healthy", centrifuge.QueuePolicy{}, schedule.Healthy, 9 * time.Second, 12 * time.Second},
		{"spent", centrifuge.QueuePolicy{Rate: 0.01}, schedule.Healthy, 100 * time.Second, 102 * time.Second},
		{"failed", centrifuge.QueuePolicy{}, schedule.Failed, 9 * time.Minute, 11 * time.Minute},
	} {
		s := newScheduler(schedule.Options{})
		s.SetPolicy(start, key("a", "x"), c.policy)
		fill(s, key("a", "x"), 1)
		ticket, _, _ := s.Pick(start, nil)
		s.Done(start, ticket, schedule.Feedback{Result: c.result})
		now, wakes := start, 0
		for ; s.Stats() != (schedule.Totals{}); wakes++ {
			next, ok := s.Next(now)
			if !ok || wakes > 10 {
				t.Fatalf("%s: %+v remembered for ever", c.name, s.Stats())
			}
			now = next
			s.Pick(now, nil)
		}
		if after := now.Sub(start); after < c.from || after > c.until {
			t.Errorf("%s: forgotten after %v, want %v to %v", c.name, after, c.from, c.until)
		}
	}
}
