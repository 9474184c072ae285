package schedule

import (
	"math/rand/v2"
	"time"
)

// Result is what an attempt says of the endpoint's health.
type Result uint8

// The results of an attempt.
const (
	Neutral Result = iota // nothing was learned: nothing was sent, or we are shutting down
	Healthy               // a definite answer, be it a 2xx or a refusal such as 400
	Failed                // 429, a timeout, 5xx, or a failure of the network
)

// Breaker is the state of an outage controller.
type Breaker uint8

// The states of a breaker.
const (
	Closed  Breaker = iota // requests pass
	Open                   // jobs are held; none of their attempts is used up
	Probing                // one request is on its way to find out
	Ramping                // the probe succeeded; the limit grows again from 1
)

// String is the state's name as metrics and pages show it; a breaker that probes
// and one that ramps are both half open.
func (b Breaker) String() string {
	switch b {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case Probing, Ramping:
		return "half_open"
	default:
		return "unknown"
	}
}

const (
	smoothing   = 1.0 / 8 // weight of one result in the share of failures
	troubledAt  = 0.75    // share of failures that means an outage
	recoveredAt = 0.5     // share of failures that means its end
	healthyAt   = 0.125   // share of failures up to which the limit is remembered as good

	// A run of failures opens the breaker when it is this many times as long as
	// those that a success usually ends: where 15 % of requests succeed, one run in
	// a thousand is. It is bounded by longestRun times the shortest that does.
	unusual    = 8
	longestRun = 10

	usualWindow = 60 * time.Second // over which the normal rate is measured
	slowestPace = time.Second      // between requests during an outage, at most

	// How long after its last failure an unhealthy controller is remembered when
	// nothing is sent any more.
	grudge = 10 * time.Minute
)

// controller watches one endpoint, a queue's or a destination's, and says how
// much may be sent to it.
//
// Its limit on concurrency doubles each round from a small one until the first
// failure, grows by one a round from there, and falls once a round in proportion
// to the share that failed before: by half when all do, by one when few do (the
// idea of DCTCP, RFC 8257), so that an endpoint that refuses one job in twenty is
// not throttled to a trickle. While three of four attempts fail, requests
// are spaced at the rate at which new jobs come: what would be sent if all were
// well. A run of failures opens the breaker, if runs as long are not usual: an
// endpoint that lets one request in seven succeed is sent few, not none.
//
// An endpoint that fails half of the time is not spaced: to deliver everything it
// needs two requests a job, and backoff spreads those.
type controller struct {
	notBefore int64   // running clock: Retry-After, the next probe, or the pace
	failedAt  int64   // running clock: the last failure
	counted   int64   // running clock: the last change of usual
	usual     float32 // jobs that came in the usualWindow before counted, decaying
	limit     float32 // of requests in flight
	threshold float32 // the limit grows exponentially below it
	good      float32 // the last limit at which all was well
	failing   float32 // smoothed share of failures
	latency   float32 // smoothed, in seconds
	spell     float32 // smoothed failures between two successes
	round     uint32  // counts decreases
	run       uint16  // consecutive failures
	openings  uint8   // of the breaker since all was well
	breaker   Breaker
	inTrouble bool
}

// outage holds the settings that all controllers share.
type outage struct {
	initial    float32
	failureRun uint16
	probeMin   time.Duration
	probeMax   time.Duration
	random     *rand.Rand
}

func (o *outage) fresh() controller {
	return controller{limit: o.initial, threshold: 1 << 20, good: o.initial}
}

// arrive notes a new job.
func (c *controller) arrive(now int64) {
	since := now - c.counted
	c.counted = now
	c.usual = c.usual*max(1-float32(since)/float32(usualWindow), 0) + 1
}

// begin notes a request that is being sent. It reports whether it is a probe.
func (c *controller) begin(now int64) (probe bool) {
	switch {
	case c.breaker == Open:
		c.breaker = Probing
		return true
	case c.inTrouble:
		pace := slowestPace
		if c.usual > 1 {
			pace = min(pace, time.Duration(float64(usualWindow)/float64(c.usual)))
		}
		c.notBefore = max(c.notBefore, now+int64(pace))
	}
	return false
}

// neutral ends a request that taught nothing.
func (c *controller) neutral(now int64, m mark, o *outage) {
	if m.probe && c.breaker == Probing {
		c.breaker = Open
		c.notBefore = max(c.notBefore, now+int64(o.probeMin))
	}
}

// succeed ends a request that got a definite answer. used says that at least
// half of the limit was in use, and ceiling bounds the limit.
func (c *controller) succeed(probe, used bool, ceiling int32) {
	c.failing -= c.failing * smoothing
	c.spell += (float32(c.run) - c.spell) / 4
	c.run = 0
	switch {
	case probe && c.breaker == Probing:
		c.breaker = Ramping
		c.failing = min(c.failing, troubledAt)
		c.limit = 1
		return
	case c.breaker == Open || c.breaker == Probing:
		return // an answer to what was sent before it opened
	}
	if c.inTrouble && c.failing < recoveredAt {
		c.inTrouble = false
	}
	if !c.inTrouble && c.breaker == Ramping {
		c.breaker = Closed
		c.openings = 0
	}
	if used {
		if !c.inTrouble && c.limit < c.threshold {
			c.limit++
		} else {
			c.limit += 1 / c.limit
		}
		c.limit = max(min(c.limit, float32(ceiling)), 1)
	}
	if c.failing < healthyAt {
		c.good = c.limit
	}
}

// fail ends a request that failed; wide says that the run of failures is wide enough to open the
// breaker.
func (c *controller) fail(now int64, m mark, wide bool, o *outage) {
	before := c.failing
	c.failing += (1 - c.failing) * smoothing
	c.failedAt = now
	if c.run < 1<<16-1 {
		c.run++
	}
	switch {
	case m.probe && c.breaker == Probing:
		c.open(now, o)
		return
	case c.breaker == Open || c.breaker == Probing:
		return
	}
	if !c.inTrouble && c.failing > troubledAt {
		c.suffer()
	}
	if m.round == c.round {
		c.round++
		c.limit = max(min(c.limit*(1-before/2), c.limit-1), 1)
		if !c.inTrouble {
			c.threshold = c.limit
		}
	}
	if wide && c.run >= c.fatal(o) {
		c.open(now, o)
	}
}

// fatal is how many failures without a success between them open the breaker.
func (c *controller) fatal(o *outage) uint16 {
	shortest := float32(o.failureRun)
	return uint16(min(max(unusual*c.spell, shortest), longestRun*shortest, 1<<16-1))
}

// suffer is the beginning of an outage.
func (c *controller) suffer() {
	c.inTrouble = true
	c.threshold = max(c.good/2, 1)
}

// open holds everything until a probe, after a wait that doubles each time, of
// which half is random so that breakers do not probe in step.
func (c *controller) open(now int64, o *outage) {
	if !c.inTrouble {
		c.suffer()
	}
	c.breaker = Open
	c.limit = 1
	c.round++
	wait := o.probeMax
	if c.openings < 32 && o.probeMin<<c.openings>>c.openings == o.probeMin {
		wait = min(wait, o.probeMin<<c.openings)
		c.openings++
	}
	wait = wait/2 + time.Duration(o.random.Int64N(int64(wait/2)+1))
	c.notBefore = max(c.notBefore, now+int64(wait))
}

// holding is 1 while the breaker holds jobs, else 0.
func (c *controller) holding() int {
	if c.breaker == Open || c.breaker == Probing {
		return 1
	}
	return 0
}

// time adds a request's latency to the smoothed one.
func (c *controller) time(latency time.Duration) {
	seconds := float32(latency.Seconds())
	if c.latency == 0 {
		c.latency = seconds
		return
	}
	c.latency += (seconds - c.latency) * smoothing
}

// forgettable is the moment from which a controller made anew would do as well.
func (c *controller) forgettable(o *outage) int64 {
	at := c.notBefore
	if c.inTrouble || c.breaker != Closed || c.limit < o.initial {
		at = max(at, c.failedAt+int64(grudge))
	}
	return at
}
