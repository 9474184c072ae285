package e2e

import (
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	crashes     = 24
	maxInFlight = 64
)

// mayRepeat is how many deliveries a crash may cost, on average over the crashes.
//
// A delivery may be repeated if it was answered and that is not durable: the
// answer was not read yet, or is in the group being committed, or in the open one
// behind it. All three together last two commits at most, and no endpoint of the
// load answers sooner than after 50 ms. So, as long as two commits take less than
// that, each of the maxInFlight workers has one such answer at most. A commit that
// takes longer is made up for by the others, which take a tenth.
const mayRepeat = maxInFlight

// countdown calls what it was given when it has ticked so often.
type countdown struct {
	left atomic.Int64
	then atomic.Pointer[func()]
}

func (c *countdown) set(n int64, then func()) {
	c.then.Store(&then)
	c.left.Store(n)
}

func (c *countdown) tick() {
	if c.left.Add(-1) == 0 {
		(*c.then.Load())()
	}
}

// Killed again and again under load, at any moment, or the one right after an
// endpoint's answer, or the one right after a Submit's: every job acknowledged is
// delivered, what is delivered twice was in flight or not flushed, and the books
// balance.
func TestSIGKILL(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // reproducible
	var answers countdown
	r := newReceiver(t, seed, loadRoutes...)
	r.answered = func(*http.Request, int) { answers.tick() }
	s := newScene(t, r)
	args := []string{"--max-in-flight", "64", "--commit-interval", "2ms"}

	s.serve(args...)
	l := s.startLoad(seed)
	mayAgain := make(map[string]uint32) // times that a crash excuses
	excused, most := 0, 0
	for i := range crashes {
		d := s.director
		kill := func() { d.Signal(syscall.SIGKILL) }
		switch i % 3 {
		case 0:
			rest(s.ctx, time.Duration(20+random.IntN(800))*time.Millisecond)
			kill()
		case 1:
			answers.set(1+random.Int64N(900), kill)
		case 2:
			l.answers.set(1+random.Int64N(10), kill)
		}
		_ = s.awaitEnd() // it was killed
		lost := s.unrecorded()
		for _, id := range lost {
			mayAgain[id]++
		}
		excused += len(lost)
		most = max(most, len(lost))
		s.serve(args...)
		s.ledger()
	}
	l.stop()
	s.terminate()
	s.checkHistory()

	duplicates := 0
	for job := range r.Jobs() {
		if job.Successes > 1+mayAgain[job.ID] {
			t.Errorf("job %s was delivered %d times, and %d crashes found it unrecorded", job.ID, job.Successes, mayAgain[job.ID])
		}
		duplicates += int(max(job.Successes, 1) - 1)
	}
	t.Logf("%d jobs acknowledged in %d Submits, of which calls were repeated %d times; %d crashes left %d deliveries unrecorded (at most %d); %d duplicates",
		len(l.mu.acknowledged), l.mu.submits, s.retried.Load(), crashes, excused, most, duplicates)
	if excused > crashes*mayRepeat {
		t.Errorf("%d deliveries were unrecorded after %d crashes, more than %d each", excused, crashes, mayRepeat)
	}
	if excused == 0 || s.retried.Load() == 0 {
		t.Error("the crashes interrupted nothing")
	}
}

// Asked to end under load, the Director ends in order and costs no duplicate.
func TestSIGTERM(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	var answers countdown
	r := newReceiver(t, seed, loadRoutes...)
	r.answered = func(*http.Request, int) { answers.tick() }
	s := newScene(t, r)

	// With commits this far apart, the last outcomes are flushed by the shutdown or not
	// at all.
	args := []string{"--max-in-flight", "64", "--commit-interval", "100ms"}
	s.serve(args...)
	l := s.startLoad(seed)
	for range 5 {
		d := s.director
		answers.set(200, func() { d.Signal(syscall.SIGTERM) })
		if err := s.awaitEnd(); err != nil {
			t.Errorf("after SIGTERM: %v\n%s", err, s.director.Log)
		}
		s.serve(args...)
	}
	l.stop()
	s.terminate()
	s.checkHistory()
	if st := r.Stats(); st.Duplicates != 0 {
		t.Errorf("%d duplicates", st.Duplicates)
	}
	t.Logf("%d jobs acknowledged", len(l.mu.acknowledged))
}
