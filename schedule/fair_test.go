package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

// serve picks n jobs one after the other and counts them by queue.
func serve(t *testing.T, s *schedule.Scheduler, n int) map[centrifuge.QueueKey]int {
	t.Helper()
	served := map[centrifuge.QueueKey]int{}
	for i := range n {
		ticket, ids, ok := s.Pick(start, nil)
		if !ok {
			t.Fatalf("pick %d: nothing", i)
		}
		served[ticket.Queue] += len(ids)
		s.Done(start, ticket, schedule.Feedback{Result: schedule.Healthy})
	}
	return served
}

func fill(s *schedule.Scheduler, q centrifuge.QueueKey, n int) {
	for i := range n {
		s.Ready(start, q, id(i), start.Add(ttl))
	}
}

func TestTurnsFollowWeights(t *testing.T) {
	s := newScheduler(schedule.Options{})
	weights := map[centrifuge.QueueKey]float64{
		key("a", "x"): 1, key("b", "x"): 2.5, key("c", "x"): 0.5, // x has half of all turns
		key("a", "y"): 1, key("b", "y"): 1,
	}
	for q, w := range weights {
		s.SetPolicy(start, q, centrifuge.QueuePolicy{Weight: w})
		fill(s, q, 10_000)
	}
	s.SetPolicy(start, key("", "y"), centrifuge.QueuePolicy{Weight: 3})
	served := serve(t, s, 8000)
	for q, want := range map[centrifuge.QueueKey]int{
		key("a", "x"): 500, key("b", "x"): 1250, key("c", "x"): 250,
		key("a", "y"): 3000, key("b", "y"): 3000,
	} {
		if got := served[q]; got < want-2 || got > want+2 {
			t.Errorf("%v had %d turns, want %d", q, got, want)
		}
	}
}

// Batches count by their jobs, so that they do not buy a greater share.
func TestBatchesDoNotBuyTurns(t *testing.T) {
	s := newScheduler(schedule.Options{})
	s.SetPolicy(start, key("a", "x"), centrifuge.QueuePolicy{BatchSize: 20})
	fill(s, key("a", "x"), 10_000)
	fill(s, key("b", "x"), 10_000)
	served := serve(t, s, 2100)
	if a, b := served[key("a", "x")], served[key("b", "x")]; a-b > 20 || b-a > 20 {
		t.Errorf("%d and %d jobs served, want as many of each", a, b)
	}
}

// A queue that comes late is served soon, however many others are waiting.
func TestLatecomerIsServedSoon(t *testing.T) {
	s := newScheduler(schedule.Options{})
	for i := range 1000 {
		fill(s, key(fmt.Sprint(i), "x"), 10)
	}
	serve(t, s, 4321)
	fill(s, key("late", "x"), 1)
	if served := serve(t, s, 700); served[key("late", "x")] != 1 {
		t.Error("a late queue was not among the next 700 of a thousand")
	}
}

// Queues that come and go for ever must not keep one that stays from its turn.
func TestNewcomersDoNotStarveOthers(t *testing.T) {
	s := newScheduler(schedule.Options{})
	fill(s, key("stays", "x"), 100)
	turns := 0
	for i := range 2000 {
		fill(s, key(fmt.Sprint("new", i), "x"), 1)
		fill(s, key(fmt.Sprint("new", i), "y"), 1)
		for q, n := range serve(t, s, 2) {
			if q.Source == "stays" {
				turns += n
			}
		}
	}
	if turns < 50 {
		t.Errorf("the queue that stayed had %d of 4000 turns, want at least 50", turns)
	}
}

// Greedy destinations share the room and leave some of it.
func TestGreedyDestinationsLeaveRoom(t *testing.T) {
	for _, greedy := range []int{1, 3, 9} {
		s := newScheduler(schedule.Options{MaxInFlight: 1000, MaxPerDestination: 1000, MaxPerQueue: 1000, InitialLimit: 1000})
		for d := range greedy {
			fill(s, key("a", fmt.Sprint("greedy", d)), 2000)
		}
		held := 0
		for {
			if _, _, ok := s.Pick(start, nil); !ok {
				break
			}
			held++
		}
		free := 1000 - held
		if want := 1000 / (greedy + 1); free < want-greedy || free > want+greedy {
			t.Errorf("%d greedy destinations leave %d of 1000, want about %d", greedy, free, want)
		}
		fill(s, key("b", "modest"), 10)
		for i := range 10 {
			if ticket, _, ok := s.Pick(start, nil); !ok || ticket.Queue.Destination != "modest" {
				t.Fatalf("%d greedy destinations: pick %d of the modest one: got %v %v", greedy, i, ticket.Queue, ok)
			}
		}
	}
}

// What a greedy destination gives back it may have again.
func TestGreedyDestinationGoesOn(t *testing.T) {
	s := newScheduler(schedule.Options{MaxInFlight: 10})
	fill(s, key("a", "x"), 100)
	var tickets []schedule.Ticket
	for {
		ticket, _, ok := s.Pick(start, nil)
		if !ok {
			break
		}
		tickets = append(tickets, ticket)
	}
	if len(tickets) != 5 {
		t.Fatalf("%d in flight, want half of 10", len(tickets))
	}
	for i := range tickets {
		s.Done(start, tickets[i], schedule.Feedback{})
		if _, _, ok := s.Pick(start, nil); !ok {
			t.Fatalf("nothing to pick after %d were done", i+1)
		}
	}
	s = newScheduler(schedule.Options{MaxInFlight: 10})
	fill(s, key("a", "x"), 100)
	for i := range tickets {
		tickets[i], _, _ = s.Pick(start, nil)
	}
	fill(s, key("a", "y"), 3)
	for _, want := range []bool{true, true, true, false} {
		if ticket, _, ok := s.Pick(start, nil); ok != want {
			t.Fatalf("Pick: got %v %v, want the three jobs of y", ticket.Queue, ok)
		}
	}
	for _, ticket := range tickets[:3] {
		s.Done(start, ticket, schedule.Feedback{})
	}
	if _, _, ok := s.Pick(start, nil); !ok {
		t.Error("nothing to pick with 2 in flight and 5 free")
	}
}

// One of several queues leaves a fifth of the destination to the others; a queue
// alone has it all.
func TestGreedyQueueLeavesRoom(t *testing.T) {
	s := newScheduler(schedule.Options{MaxInFlight: 1000, MaxPerDestination: 100, MaxPerQueue: 100, InitialLimit: 100})
	fill(s, key("greedy", "x"), 200)
	fill(s, key("greedy", "y"), 200)
	fill(s, key("modest", "x"), 1)
	held := map[string]int{}
	for {
		ticket, _, ok := s.Pick(start, nil)
		if !ok {
			break
		}
		if ticket.Queue.Source == "greedy" {
			held[ticket.Queue.Destination]++
		}
	}
	if held["x"] < 75 || held["x"] > 82 || held["y"] != 100 {
		t.Errorf("held %v, want about 80 beside another queue and 100 alone", held)
	}
}

// Customer A sends 50,000 jobs to an endpoint rated at 1,000 a second while B
// and C send a handful to others; nobody waits for A.
func TestRateOfOneDelaysNoOther(t *testing.T) {
	w := newWorld(t, schedule.Options{})
	w.endpoint = func(centrifuge.QueueKey) (schedule.Feedback, bool) {
		return answer(schedule.Healthy, 20*time.Millisecond)
	}
	w.s.SetPolicy(w.now, key("A", "rated"), centrifuge.QueuePolicy{Rate: 1000, Burst: 100})
	var sentA []time.Time
	submitted := map[centrifuge.ID]time.Time{}
	w.sent = func(q centrifuge.QueueKey, job centrifuge.ID) {
		if q.Source == "A" {
			sentA = append(sentA, w.now)
		} else if wait := w.now.Sub(submitted[job]); wait > 0 {
			t.Errorf("a job of %v waited %v", q, wait)
		}
	}
	w.submit(key("A", "rated"), 50_000)
	for i := range 500 {
		for _, q := range []centrifuge.QueueKey{key("B", "other"), key("C", "rated")} {
			if i%10 == 0 {
				w.submit(q, 1)
				submitted[id(w.made)] = w.now
			}
		}
		w.run(100 * time.Millisecond)
	}
	if most := mostIn(sentA, start, time.Second); most > 1100 {
		t.Errorf("%d jobs of A in a second, want at most 1100", most)
	}
	if len(sentA) < 49_900 {
		t.Errorf("%d jobs of A sent in 50 s, want 1000 a second", len(sentA))
	}
}

// A destination that hangs, with a third of the traffic, costs the others nothing.
func TestHangingDestinationDelaysNoOther(t *testing.T) {
	w := newWorld(t, schedule.Options{MaxInFlight: 128})
	w.endpoint = func(q centrifuge.QueueKey) (schedule.Feedback, bool) {
		if q.Destination == "hangs" {
			return answer(schedule.Failed, 10*time.Second)
		}
		return answer(schedule.Healthy, 20*time.Millisecond)
	}
	submitted := map[centrifuge.ID]time.Time{}
	w.sent = func(q centrifuge.QueueKey, job centrifuge.ID) {
		if wait := w.now.Sub(submitted[job]); q.Destination != "hangs" && wait > 0 {
			t.Errorf("a job of %v waited %v", q, wait)
		}
	}
	for i := range 60_000 {
		q := key(fmt.Sprint(i%30), []string{"hangs", "y", "z"}[i%3])
		w.submit(q, 1)
		submitted[id(w.made)] = w.now
		w.run(2 * time.Millisecond)
	}
}
