package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

func TestRetryNow(t *testing.T) {
	for _, c := range []struct {
		sel  schedule.Selector
		want int
	}{
		{schedule.Selector{}, 4000},
		{schedule.Selector{Source: "a"}, 2000},
		{schedule.Selector{Destination: "y"}, 2000},
		{schedule.Selector{Source: "b", Destination: "x"}, 1000},
		{schedule.Selector{Source: "nobody"}, 0},
		{schedule.Selector{Source: "nobody", Destination: "x"}, 0},
	} {
		s := newScheduler(schedule.Options{})
		n := 0
		for i := range 1000 {
			for _, q := range []centrifuge.QueueKey{key("a", "x"), key("a", "y"), key("b", "x"), key("b", "y")} {
				n++
				s.Wait(start, q, id(n), start.Add(24*time.Hour), start.Add(time.Duration(i)*37*time.Second+time.Second))
			}
		}
		if got := s.RetryNow(start, c.sel); got != c.want {
			t.Errorf("RetryNow %v: got %d, want %d", c.sel, got, c.want)
		}
		if got := s.Stats(); got.Ready != c.want || got.Waiting != 4000-c.want {
			t.Errorf("after RetryNow %v: %+v, want %d ready of 4000", c.sel, got, c.want)
		}
		if c.want == 0 {
			continue
		}
		for q, n := range serve(t, s, c.want) {
			if !c.sel.Matches(q) || n%1000 != 0 {
				t.Errorf("RetryNow %v: %d jobs of %v came", c.sel, n, q)
			}
		}
	}
}

func TestExpireNow(t *testing.T) {
	s := newScheduler(schedule.Options{})
	fill(s, key("a", "x"), 10)
	fill(s, key("b", "x"), 10)
	for i := range 10 {
		s.Wait(start, key("a", "x"), id(100+i), start.Add(ttl), start.Add(time.Hour))
	}
	ticket, _, _ := s.Pick(start, nil)
	left := 20
	if ticket.Queue.Source == "a" {
		left-- // what is in flight is not flushed
	}
	if got := s.ExpireNow(start, schedule.Selector{Source: "a"}); got != left {
		t.Fatalf("ExpireNow: got %d, want %d", got, left)
	}
	if got := s.ExpireNow(start, schedule.Selector{Source: "a"}); got != 0 {
		t.Fatalf("ExpireNow again: got %d, want 0", got)
	}
	expired := s.Expired(start, nil)
	if len(expired) != left {
		t.Fatalf("Expired: got %d, want %d", len(expired), left)
	}
	for _, e := range expired {
		if !e.Flushed || e.Queue != key("a", "x") {
			t.Errorf("Expired: got %+v, want a flushed job of a, x", e)
		}
	}
	s.Done(start, ticket, schedule.Feedback{Result: schedule.Healthy})
	if served := serve(t, s, s.Stats().Ready); served[key("a", "x")] != 0 {
		t.Errorf("served %v after the flush, want none of a", served)
	}
}

func TestRetryAfterHoldsTheQueue(t *testing.T) {
	s := newScheduler(schedule.Options{MaxRetryAfter: time.Minute})
	fill(s, key("a", "x"), 10)
	fill(s, key("b", "x"), 10)
	for range 2 {
		ticket, _, _ := s.Pick(start, nil)
		f := schedule.Feedback{Result: schedule.Healthy, RetryAfter: time.Hour} // means nothing here
		if ticket.Queue.Source == "a" {
			f = schedule.Feedback{Result: schedule.Failed, RetryAfter: time.Hour}
		}
		s.Done(start, ticket, f)
	}
	if served := serve(t, s, 9); served[key("b", "x")] != 9 {
		t.Fatalf("served %v, want 9 of b", served)
	}
	infos, _ := s.Queues(start, schedule.Selector{Source: "a"}, centrifuge.QueueKey{}, 1)
	if got := infos[0].HeldUntil.Sub(start); got != time.Minute {
		t.Errorf("held for %v, want the minute that is allowed", got)
	}
	if _, ids, ok := s.Pick(start.Add(time.Minute-1), nil); ok {
		t.Errorf("Pick during the hold: %v", ids)
	}
	if _, _, ok := s.Pick(start.Add(time.Minute), nil); !ok {
		t.Error("Pick after the hold: nothing")
	}
}

// failAll lets requests fail until nothing may be sent any more.
func failAll(s *schedule.Scheduler, now time.Time, fails func(centrifuge.QueueKey) bool, most int) (sent int) {
	for ; sent < most; sent++ {
		ticket, _, ok := s.Pick(now, nil)
		if !ok {
			break
		}
		r := schedule.Healthy
		if fails(ticket.Queue) {
			r = schedule.Failed
		}
		s.Done(now, ticket, schedule.Feedback{Result: r})
	}
	return sent
}

func always(centrifuge.QueueKey) bool { return true }
func never(centrifuge.QueueKey) bool  { return false }

func TestRetryNowEndsTheWaitOfABreaker(t *testing.T) {
	s := newScheduler(schedule.Options{FailureRun: 4})
	fill(s, key("a", "x"), 100)
	now := start
	for s.Stats().QueueBreakersOpen == 0 {
		failAll(s, now, always, 1)
		now = now.Add(time.Second)
	}
	now = now.Add(-time.Second)
	s.RetryNow(now, schedule.Selector{Source: "a", Destination: "x"})
	if sent := failAll(s, now, always, 10); sent != 1 {
		t.Errorf("%d requests after RetryNow, want one probe", sent)
	}
}

func TestProbeIsOneJob(t *testing.T) {
	s := newScheduler(schedule.Options{FailureRun: 1})
	s.SetPolicy(start, key("", "x"), centrifuge.QueuePolicy{BatchSize: 10})
	fill(s, key("a", "x"), 100)
	failAll(s, start, always, 1)
	if _, ids, ok := s.Pick(start.Add(time.Minute), nil); !ok || len(ids) != 1 {
		t.Errorf("the probe has %d jobs, want 1", len(ids))
	}
	if _, ids, ok := s.Pick(start.Add(time.Hour), nil); ok {
		t.Errorf("Pick beside the probe: %v", ids)
	}
}

// A run of failures of one queue does not open the destination's breaker though
// others are there and silent.
func TestSilentQueuesDoNotCount(t *testing.T) {
	s := newScheduler(schedule.Options{FailureRun: 4})
	for _, source := range []string{"b", "c"} {
		s.Wait(start, key(source, "x"), id(1), start.Add(ttl), start.Add(time.Hour))
	}
	fill(s, key("a", "x"), 100)
	failAll(s, start, always, 100)
	if got := s.Stats(); got.QueueBreakersOpen != 1 || got.DestinationBreakersOpen != 0 {
		t.Errorf("got %+v, want the breaker of the queue alone open", got)
	}
}

// What a queue in trouble reports is not held against its destination.
func TestDestinationLearnsLittleFromAQueueInTrouble(t *testing.T) {
	s := newScheduler(schedule.Options{FailureRun: 1000})
	s.SetPolicy(start, key("good", "x"), centrifuge.QueuePolicy{Weight: 2})
	fill(s, key("good", "x"), 40)
	fill(s, key("bad", "x"), 1000)
	bad := func(q centrifuge.QueueKey) bool { return q.Source == "bad" }
	for i := range 500 {
		failAll(s, start.Add(time.Duration(i)*time.Second), bad, 3)
	}
	if dests, _ := s.Destinations(start, "", 1); dests[0].Failing > 0.5 {
		t.Errorf("the destination's share of failures is %.2f, want at most 0.5", dests[0].Failing)
	}
}

// The breaker of a destination opens when several queues fail, and not for one.
func TestBreakerOfADestination(t *testing.T) {
	for _, c := range []struct {
		queues, failing int
		opens           bool
	}{{1, 1, false}, {2, 1, false}, {2, 2, true}, {5, 1, false}, {5, 5, true}} {
		s := newScheduler(schedule.Options{})
		for i := range c.queues {
			fill(s, key(fmt.Sprint(i), "x"), 1000)
		}
		fails := func(q centrifuge.QueueKey) bool { return q.Source < fmt.Sprint(c.failing) }
		opened := false
		for i := range 600 {
			failAll(s, start.Add(time.Duration(i)*100*time.Millisecond), fails, 20)
			opened = opened || s.Stats().DestinationBreakersOpen > 0
		}
		if opened != c.opens {
			t.Errorf("%d of %d queues fail: the destination's breaker opened: %v, want %v", c.failing, c.queues, opened, c.opens)
		}
	}
}

// One customer's dead endpoint, with most of the traffic, leaves the other
// customers of the destination their speed.
func TestDeadEndpointOfOneSourceDelaysNoOther(t *testing.T) {
	w := newWorld(t, schedule.Options{})
	w.endpoint = func(q centrifuge.QueueKey) (schedule.Feedback, bool) {
		if q.Source == "dead" {
			return answer(schedule.Failed, 5*time.Millisecond)
		}
		return answer(schedule.Healthy, 50*time.Millisecond)
	}
	delivered := 0
	w.gone = func(centrifuge.QueueKey) { delivered++ }
	for i := range 6000 {
		w.submit(key("dead", "x"), 3)
		w.submit(key(fmt.Sprint(i%4), "x"), 1)
		w.run(20 * time.Millisecond)
	}
	if delivered < 5900 {
		t.Errorf("%d of 6000 jobs of healthy customers delivered in time, want nearly all", delivered)
	}
}
