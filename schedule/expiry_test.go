package schedule_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

// Ready jobs of a queue that is held up come out soon after their time, in
// whatever order their times are.
func TestReadyJobsOfHeldQueuesExpire(t *testing.T) {
	s := newScheduler(schedule.Options{})
	s.SetPolicy(start, key("a", "x"), centrifuge.QueuePolicy{Paused: true})
	random := rand.New(rand.NewPCG(5, 6))
	expireAt := map[centrifuge.ID]time.Time{}
	for i := range 3000 {
		at := start.Add(time.Duration(random.Int64N(int64(10 * time.Minute))))
		expireAt[id(i)] = at
		s.Ready(start, key("a", "x"), id(i), at)
	}
	now := start
	for {
		next, ok := s.Next(now)
		if !ok {
			break
		}
		now = later(now, next)
		for _, e := range s.Expired(now, nil) {
			if late := now.Sub(expireAt[e.ID]); late < 0 || late > 1100*time.Millisecond || e.Flushed {
				t.Fatalf("a job came out %v after its expiry (flushed: %v), want 0 to 1.1s", late, e.Flushed)
			}
			delete(expireAt, e.ID)
		}
		if _, ids, ok := s.Pick(now, nil); ok {
			t.Fatalf("Pick from a paused queue: %v", ids)
		}
	}
	if len(expireAt) > 0 {
		t.Errorf("%d jobs never came out", len(expireAt))
	}
}

func TestRetryAfterExpiryOnlyWaitsForIt(t *testing.T) {
	s := newScheduler(schedule.Options{})
	s.Wait(start, key("a", "x"), id(1), start.Add(time.Minute), start.Add(time.Hour))
	s.Wait(start, key("a", "x"), id(2), start.Add(time.Minute), start.Add(time.Minute))
	s.Ready(start, key("a", "x"), id(3), start.Add(-time.Minute))
	now := start
	if got := s.Expired(now, nil); len(got) != 1 || got[0].ID != id(3) {
		t.Fatalf("Expired at once: got %v, want job 3", got)
	}
	if _, ids, ok := s.Pick(start.Add(59*time.Second), nil); ok {
		t.Fatalf("Pick: got %v, want nothing", ids)
	}
	if got := s.Expired(start.Add(time.Minute+tick), nil); len(got) != 2 {
		t.Fatalf("Expired after a minute: got %v, want jobs 1 and 2", got)
	}
}

func TestExpiredKeepsToItsRoom(t *testing.T) {
	s := newScheduler(schedule.Options{})
	fill(s, key("a", "x"), 100)
	if n := s.ExpireNow(start, schedule.Selector{}); n != 100 {
		t.Fatalf("ExpireNow: got %d, want 100", n)
	}
	if next, ok := s.Next(start); ok && !next.After(start) || !s.Leaving() {
		t.Errorf("with flushed jobs: Next is %v %v and Leaving %v; want later, and some leaving", next, ok, s.Leaving())
	}
	dst := make([]schedule.Expired, 3, 10)
	if got := s.Expired(start, dst); len(got) != 10 || cap(got) != 10 {
		t.Errorf("Expired into room for 7: got %d of capacity %d, want 10 of 10", len(got), cap(got))
	}
	if got := s.Expired(start, make([]schedule.Expired, 3)); len(got) != 3 {
		t.Errorf("Expired into no room: got %d, want the 3 that were there", len(got))
	}
	if got := s.Expired(start, nil); len(got) != 93 || s.Leaving() {
		t.Errorf("Expired into nil: got %d, want 93 and none leaving", len(got))
	}
}

// Jobs whose time has run out ask for nobody's attention more than once, however
// long it takes until Expired is called.
func TestNextLeavesOutWhatAwaitsExpired(t *testing.T) {
	s := newScheduler(schedule.Options{})
	s.Wait(start, key("a", "x"), id(1), start.Add(time.Minute), start.Add(time.Hour))
	s.Wait(start, key("a", "x"), id(2), start.Add(2*time.Hour), start.Add(time.Hour))
	now := start.Add(time.Minute + time.Second)
	if next, ok := s.Next(now); !ok || !next.After(now) || !s.Leaving() {
		t.Errorf("after one has expired: Next is %v %v at %v, Leaving %v; want a later time, and one leaving", next, ok, now, s.Leaving())
	}
	if got := s.Expired(now, nil); len(got) != 1 || got[0].ID != id(1) || s.Leaving() {
		t.Errorf("Expired: got %v, want job 1 and no other", got)
	}
}

// The bound of a call: what falls due at once comes out bit by bit, and Next says
// that there is more.
func TestManyDueAtOnceAreSpread(t *testing.T) {
	const n = 100_000
	s := newScheduler(schedule.Options{})
	s.SetPolicy(start, key("a", "x"), centrifuge.QueuePolicy{Paused: true})
	due := start.Add(time.Minute)
	for i := range n {
		s.Wait(start, key("a", "x"), id(i), start.Add(time.Hour), due)
	}
	now := due.Add(tick)
	calls := 0
	for ; s.Stats().Waiting > 0; calls++ {
		before := s.Stats()
		if next, ok := s.Next(now); s.Stats().Waiting > 0 && (!ok || next.After(now)) {
			t.Fatalf("Next with %d waiting: got %v %v, want now", s.Stats().Waiting, next, ok)
		}
		if moved := before.Waiting - s.Stats().Waiting; moved > 512 {
			t.Fatalf("Next moved %d jobs, want at most 512", moved)
		}
		before = s.Stats()
		s.Pick(now, nil)
		if moved := before.Waiting - s.Stats().Waiting; moved > 512 {
			t.Fatalf("one call moved %d jobs, want at most 512", moved)
		}
	}
	if most := 2*n/512 + 10; calls > most {
		t.Errorf("it took %d calls, want at most %d", calls, most)
	}
	now = start.Add(time.Hour + 2*time.Second)
	for calls = 0; s.Stats().Ready > 0; calls++ {
		before := s.Stats()
		s.Pick(now, nil)
		if moved := before.Ready - s.Stats().Ready; moved > 512 {
			t.Fatalf("one call took out %d expired jobs, want at most 512", moved)
		}
	}
	if got := s.Expired(now, nil); len(got) != n {
		t.Errorf("Expired: got %d, want %d", len(got), n)
	}
}

func TestClockJumpsForward(t *testing.T) {
	s := newScheduler(schedule.Options{})
	for i := range 1000 {
		retryAt := start.Add(time.Duration(i) * 10 * time.Second)
		s.Wait(start, key("a", "x"), id(i), start.Add(100*time.Hour), retryAt)
	}
	now := start.Add(9 * time.Hour)
	served := map[centrifuge.ID]bool{}
	for {
		ticket, ids, ok := s.Pick(now, nil)
		if !ok {
			if next, more := s.Next(now); more && !next.After(now) {
				continue
			}
			break
		}
		served[ids[0]] = true
		s.Done(now, ticket, schedule.Feedback{})
	}
	if len(served) != 1000 {
		t.Errorf("%d jobs after a jump over them all, want 1000", len(served))
	}
}

// A clock that is set back fires nothing twice, and what is put in then comes at
// its time by that clock.
func TestClockIsSetBack(t *testing.T) {
	s := newScheduler(schedule.Options{})
	s.Wait(start, key("a", "x"), id(1), start.Add(9*time.Hour), start.Add(time.Minute))
	s.Wait(start, key("a", "x"), id(2), start.Add(9*time.Hour), start.Add(2*time.Hour))
	now := start.Add(time.Hour)
	ticket, ids, ok := s.Pick(now, nil)
	if !ok || ids[0] != id(1) {
		t.Fatalf("Pick after an hour: got %v %v, want job 1", ids, ok)
	}
	now = start
	s.Done(now, ticket, schedule.Feedback{Result: schedule.Failed})
	s.Wait(now, key("a", "x"), id(1), start.Add(9*time.Hour), now.Add(10*time.Second))
	for _, want := range []struct {
		after time.Duration
		id    centrifuge.ID
	}{{10 * time.Second, id(1)}, {2 * time.Hour, id(2)}} {
		if _, ids, ok := s.Pick(start.Add(want.after-time.Millisecond), nil); ok {
			t.Fatalf("Pick before %v: got %v, want nothing", want.after, ids)
		}
		ticket, ids, ok := s.Pick(start.Add(want.after+tick), nil)
		if !ok || ids[0] != want.id {
			t.Fatalf("Pick at %v: got %v %v, want %v", want.after, ids, ok, want.id)
		}
		s.Done(start.Add(want.after+tick), ticket, schedule.Feedback{Result: schedule.Healthy})
	}
}
