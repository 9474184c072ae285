package schedule

import (
	"math/rand/v2"
	"testing"
	"time"
)

func testOutage() *outage {
	return &outage{
		initial: 8, failureRun: 10, probeMin: time.Second, probeMax: time.Minute,
		random: rand.New(rand.NewPCG(1, 2)),
	}
}

const ceiling = 256

// rounds lets n rounds of as many successes as the limit allows pass.
func rounds(c *controller, n int, used bool) {
	for range n {
		for range int(c.limit) {
			c.succeed(false, used, ceiling)
		}
	}
}

func TestLimitDoublesUntilTheFirstFailureAndThenGrowsByOne(t *testing.T) {
	o := testOutage()
	c := o.fresh()
	rounds(&c, 2, true)
	if c.limit != 32 {
		t.Fatalf("limit after two rounds: got %v, want 32", c.limit)
	}
	c.fail(0, mark{round: c.round}, true, o)
	fallen := c.limit
	if fallen >= 32 || fallen < 16 {
		t.Fatalf("limit after one failure: got %v, want below 32 and at least half", fallen)
	}
	rounds(&c, 3, true)
	if grown := c.limit - fallen; grown < 2.5 || grown > 3.5 {
		t.Errorf("limit grew by %v in three rounds after a failure, want about 3", grown)
	}
	rounds(&c, 1000, true)
	if c.limit != ceiling {
		t.Errorf("limit in the end: got %v, want the ceiling %d", c.limit, ceiling)
	}
}

// An endpoint that fails one request in a hundred, whatever it is sent, is not
// overloaded; half of the ceiling at least must be usable.
func TestFewFailuresKeepTheLimitHigh(t *testing.T) {
	o := testOutage()
	c := o.fresh()
	sum, n := 0.0, 0
	for i := range 100_000 {
		if i%100 == 0 {
			c.fail(0, mark{round: c.round}, true, o)
		} else {
			c.succeed(false, true, 128)
		}
		sum, n = sum+float64(c.limit), n+1
	}
	if mean := sum / float64(n); mean < 64 {
		t.Errorf("limit with one failure in a hundred: got %.0f on average, want 64 at least", mean)
	}
}

// Where a success comes after every six failures, on average, the breaker does not
// hold the jobs; when none comes any more, it does.
func TestBreakerKnowsUsualRunsOfFailures(t *testing.T) {
	o := testOutage()
	c := o.fresh()
	held := 0
	for range 20_000 {
		switch {
		case c.breaker == Open:
			held++
			m := mark{probe: c.begin(c.notBefore), round: c.round}
			if o.random.Float64() < 0.15 {
				c.succeed(m.probe, true, ceiling)
			} else {
				c.fail(c.notBefore, m, true, o)
			}
		case o.random.Float64() < 0.15:
			c.succeed(false, true, ceiling)
		default:
			c.fail(c.notBefore, mark{round: c.round}, true, o)
		}
	}
	if held > 400 {
		t.Errorf("%d of 20,000 requests to an endpoint that lets 15 %% succeed were probes, want at most one in fifty", held)
	}
	for n := 0; c.breaker != Open; n++ {
		if n > 10*int(o.failureRun) {
			t.Fatalf("still %v after %d failures", c.breaker, n)
		}
		c.fail(c.notBefore, mark{round: c.round}, true, o)
	}
}

func TestLimitDoesNotGrowUnused(t *testing.T) {
	c := testOutage().fresh()
	rounds(&c, 10, false)
	if c.limit != 8 {
		t.Errorf("limit after ten rounds of little use: got %v, want 8", c.limit)
	}
}

func TestLimitFallsOncePerRound(t *testing.T) {
	o := testOutage()
	o.failureRun = 1000
	c := o.fresh()
	c.limit = 100
	begun := mark{round: c.round}
	c.fail(0, begun, true, o)
	fallen := c.limit
	for range 50 { // all begun before the first failed
		c.fail(0, begun, true, o)
	}
	if c.limit != fallen {
		t.Errorf("limit after more failures of the same round: got %v, want %v", c.limit, fallen)
	}
	c.fail(0, mark{round: c.round}, true, o)
	if c.limit > fallen*0.55 {
		t.Errorf("limit after a failure of the next round: got %v, want about half of %v", c.limit, fallen)
	}
	for range 20 {
		c.fail(0, mark{round: c.round}, true, o)
	}
	if c.limit != 1 {
		t.Errorf("limit in the end: got %v, want 1", c.limit)
	}
}

// TestBreaker follows a breaker through its states.
func TestBreaker(t *testing.T) {
	o := testOutage()
	c := o.fresh()
	rounds(&c, 4, true)
	good := c.limit
	now := int64(time.Hour)
	for i := range o.failureRun {
		if c.breaker != Closed {
			t.Fatalf("open after %d failures, want %d", i, o.failureRun)
		}
		c.fail(now, mark{round: c.round}, true, o)
	}
	for n, most := 0, time.Second; n < 10; n, most = n+1, min(2*most, time.Minute) {
		wait := time.Duration(c.notBefore - now)
		if c.breaker != Open || wait < most/2 || wait > most {
			t.Fatalf("opening %d: %v for %v, want open for %v to %v", n, c.breaker, wait, most/2, most)
		}
		now = c.notBefore
		if !c.begin(now) || c.breaker != Probing {
			t.Fatalf("opening %d: a request through an open breaker is no probe", n)
		}
		c.succeed(false, true, ceiling) // an old request's
		c.fail(now, mark{}, true, o)    // and another's
		if c.breaker != Probing {
			t.Fatalf("opening %d: %v after old requests ended, want probing", n, c.breaker)
		}
		c.fail(now, mark{probe: true}, true, o)
	}
	now = c.notBefore
	c.begin(now)
	c.succeed(true, true, ceiling)
	if c.breaker != Ramping || c.limit != 1 {
		t.Fatalf("after a good probe: %v with limit %v, want ramping with 1", c.breaker, c.limit)
	}
	for n := 0; c.breaker == Ramping; n++ {
		if n > 20 {
			t.Fatal("still ramping after 20 successes")
		}
		c.succeed(false, true, ceiling)
	}
	if c.breaker != Closed || c.openings != 0 {
		t.Fatalf("after the ramp: %v with %d openings, want closed with none", c.breaker, c.openings)
	}
	for n := 0; c.limit < good/2; n++ {
		before := c.limit
		c.succeed(false, true, ceiling)
		if n > 0 && c.limit != before+1 {
			t.Fatalf("limit grew from %v to %v below half of the good one, want one for each success", before, c.limit)
		}
	}
	before := c.limit
	c.succeed(false, true, ceiling)
	if c.limit-before > 0.1 {
		t.Errorf("limit grew by %v beyond half of the good one, want little", c.limit-before)
	}
}

// While it ramps, it takes a whole run of failures to open it again, and then for
// longer: an endpoint that fails half of the time would not get through a ramp that
// fewer end.
func TestBreakerReopensForLongerWhileItRamps(t *testing.T) {
	o := testOutage()
	c := controller{limit: 1, threshold: 1, good: 8, breaker: Ramping, inTrouble: true, openings: 3}
	for range o.failureRun {
		if c.breaker != Ramping {
			t.Fatal("open too soon")
		}
		c.fail(0, mark{round: c.round}, true, o)
	}
	if wait := time.Duration(c.notBefore); c.breaker != Open || wait < 4*time.Second {
		t.Errorf("%v for %v, want open for at least 4s, since it is the fourth time", c.breaker, wait)
	}
}

func TestLimitGrowsSlowlyInTrouble(t *testing.T) {
	c := controller{limit: 4, threshold: 100, inTrouble: true, failing: 0.9}
	for range 4 {
		c.succeed(false, true, ceiling)
	}
	if c.limit < 4.5 || c.limit > 5 {
		t.Errorf("limit after a round in trouble: got %v, want about 5", c.limit)
	}
}

func TestNarrowRunDoesNotOpen(t *testing.T) {
	o := testOutage()
	c := o.fresh()
	for range 100 {
		c.fail(0, mark{round: c.round}, false, o)
	}
	if c.breaker != Closed {
		t.Errorf("%v after failures that speak for one queue only, want closed", c.breaker)
	}
	c.fail(0, mark{round: c.round}, true, o)
	if c.breaker != Open {
		t.Errorf("%v once they speak for more, want open", c.breaker)
	}
}

func TestProbeThatTaughtNothingIsRepeated(t *testing.T) {
	o := testOutage()
	c := controller{limit: 1, breaker: Open, inTrouble: true, openings: 5}
	c.begin(0)
	c.neutral(0, mark{probe: true}, o)
	if c.breaker != Open || c.notBefore != int64(o.probeMin) {
		t.Errorf("%v until %v, want open until %v", c.breaker, time.Duration(c.notBefore), o.probeMin)
	}
}

// While most requests fail, those that are sent keep to the rate at which jobs
// came last, also when none have come for a while.
func TestPaceOfTrouble(t *testing.T) {
	o := testOutage()
	c := o.fresh()
	now := int64(0)
	for range 6000 { // 20 a second for five minutes
		c.arrive(now)
		now += int64(50 * time.Millisecond)
	}
	c.suffer()
	for range 100 {
		c.begin(now)
		pace := time.Duration(c.notBefore - now)
		if pace < 49*time.Millisecond || pace > 51*time.Millisecond {
			t.Fatalf("requests of a troubled queue are %v apart, want 50ms", pace)
		}
		now += int64(time.Minute)
	}
	quiet := o.fresh()
	quiet.arrive(0)
	quiet.suffer()
	quiet.begin(0)
	if pace := time.Duration(quiet.notBefore); pace != slowestPace {
		t.Errorf("requests of an unknown queue in trouble are %v apart, want %v", pace, slowestPace)
	}
}

func TestUnhealthyControllerIsRemembered(t *testing.T) {
	o := testOutage()
	c := o.fresh()
	if at := c.forgettable(o); at != 0 {
		t.Errorf("a fresh controller may be forgotten at %v, want at once", time.Duration(at))
	}
	c.fail(int64(time.Minute), mark{round: c.round}, true, o)
	if at := time.Duration(c.forgettable(o)); at != time.Minute+grudge {
		t.Errorf("one that failed may be forgotten at %v, want %v", at, time.Minute+grudge)
	}
	rounds(&c, 50, true)
	if at := c.forgettable(o); at != 0 {
		t.Errorf("one that has recovered may be forgotten at %v, want at once", time.Duration(at))
	}
}

func TestLatencyIsSmoothed(t *testing.T) {
	var c controller
	c.time(time.Second)
	if c.latency != 1 {
		t.Errorf("latency after one request: got %v, want 1", c.latency)
	}
	for range 100 {
		c.time(2 * time.Second)
	}
	if c.latency < 1.99 || c.latency > 2 {
		t.Errorf("latency after many of 2s: got %v, want about 2", c.latency)
	}
}

func TestBreakerNames(t *testing.T) {
	for b, want := range map[Breaker]string{
		Closed: "closed", Open: "open", Probing: "half_open", Ramping: "half_open", Ramping + 1: "unknown",
	} {
		if got := b.String(); got != want {
			t.Errorf("breaker %d: got %q, want %q", b, got, want)
		}
	}
}
