package sink

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Behaviour is what a sink does to the requests of one route. The zero value
// answers 200 at once.
type Behaviour struct {
	// Replies is the mix of replies, drawn by weight. Empty: always 200.
	Replies []Share
	// Latency is the wait before a reply of the mix. Replies of an outage or
	// of the rate limit do not wait.
	Latency Latency
	// Rate is how many requests a second the route takes; those above it are
	// answered 429. 0: no limit. At most a million.
	Rate float64
	// Burst is how many requests the route takes at once after a quiet time.
	// 0: what Rate allows in a second, at least 1.
	Burst int
	// RetryAfter is how 429 and 503 tell the client when to come back.
	RetryAfter RetryAfter
	// Outages are the windows in which every request meets the same reply.
	// Where they overlap, the first listed holds.
	Outages []Outage
}

// Share is one reply of a mix. A reply of weight w is drawn with probability w
// over the sum of the mix's weights.
type Share struct {
	Reply  Reply
	Weight float64
}

// Outage is a window, on the clock that starts when the sink is made or reset,
// from Start (inclusive) for Length.
type Outage struct {
	Start  time.Duration
	Length time.Duration
	Reply  Reply
}

// RetryAfter says how a 429 or 503 carries the header of that name.
type RetryAfter struct {
	// Form is how the time is written.
	Form RetryAfterForm
	// Delay is put on every 429 and 503. 0: only the 429s of the rate limit
	// carry the header, with the time until the limit lets a request through.
	// Whole seconds are written, rounded up.
	Delay time.Duration
}

// RetryAfterForm is a way to write Retry-After.
type RetryAfterForm int

// The forms of Retry-After.
const (
	RetryAfterSeconds RetryAfterForm = iota // a number of seconds
	RetryAfterDate                          // an HTTP date
	RetryAfterNone                          // no header
)

var retryAfterNames = [...]string{"seconds", "date", "none"}

// String is the form's name in a route's spec.
func (f RetryAfterForm) String() string {
	if f < 0 || int(f) >= len(retryAfterNames) {
		return fmt.Sprintf("RetryAfterForm(%d)", int(f))
	}
	return retryAfterNames[f]
}

// Route is the behaviour of the paths below a prefix: "/a" holds for "/a" and
// "/a/b" and not for "/ab"; "/" holds for all.
type Route struct {
	Prefix    string
	Behaviour Behaviour
}

const (
	maxRate   = 1e6
	maxWeight = 1e9
	// maxWait bounds every duration of a behaviour, far beyond any client's
	// patience and far from overflow.
	maxWait = 24 * time.Hour
)

func (r Route) validate() error {
	if err := validatePrefix(r.Prefix); err != nil {
		return fmt.Errorf("route %q: prefix: %w", r.Prefix, err)
	}
	if err := r.Behaviour.validate(); err != nil {
		return fmt.Errorf("route %q: %w", r.Prefix, err)
	}
	return nil
}

func validatePrefix(p string) error {
	switch {
	case !strings.HasPrefix(p, "/"):
		return fmt.Errorf("must begin with a slash")
	case p != "/" && strings.HasSuffix(p, "/"):
		return fmt.Errorf("must not end with a slash")
	case strings.ContainsRune(p, '='):
		return fmt.Errorf("must not contain an equals sign")
	case p+"/" == controlPrefix || strings.HasPrefix(p, controlPrefix):
		return fmt.Errorf("is the sink's own")
	}
	return nil
}

func (b Behaviour) validate() error {
	for _, s := range b.Replies {
		if !s.Reply.valid() {
			return fmt.Errorf("status: %d is neither a status of 0 to 999 nor a misbehaviour", int(s.Reply))
		}
		if !(s.Weight > 0 && s.Weight <= maxWeight) {
			return fmt.Errorf("status: weight %v of %v is not above 0 and at most %g", s.Weight, s.Reply, float64(maxWeight))
		}
	}
	if err := b.Latency.validate(); err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	if !(b.Rate >= 0 && b.Rate <= maxRate) || (b.Rate > 0 && b.Rate < 1/maxWait.Seconds()) {
		return fmt.Errorf("rate: %v is not between one a day and %g a second", b.Rate, float64(maxRate))
	}
	if b.Burst < 0 || b.Burst > maxRate {
		return fmt.Errorf("burst: %d is not between 1 and %g", b.Burst, float64(maxRate))
	}
	if b.Burst > 0 && b.Rate == 0 {
		return fmt.Errorf("burst: means nothing without a rate")
	}
	if b.Burst > 0 && float64(b.Burst)/b.Rate > maxWait.Seconds() {
		return fmt.Errorf("burst: %d at a rate of %v take more than %v to come back", b.Burst, b.Rate, maxWait)
	}
	if f := b.RetryAfter.Form; f < RetryAfterSeconds || f > RetryAfterNone {
		return fmt.Errorf("retry-after: unknown form %v", f)
	}
	if err := validateWait(b.RetryAfter.Delay); err != nil {
		return fmt.Errorf("retry-after: %w", err)
	}
	for _, o := range b.Outages {
		if err := o.validate(); err != nil {
			return fmt.Errorf("outage: %w", err)
		}
	}
	return nil
}

func (o Outage) validate() error {
	if err := validateWait(o.Start); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if err := validateWait(o.Length); err != nil {
		return fmt.Errorf("length: %w", err)
	}
	if o.Length == 0 {
		return fmt.Errorf("length: must be above 0")
	}
	if !o.Reply.valid() {
		return fmt.Errorf("%d is neither a status of 0 to 999 nor a misbehaviour", int(o.Reply))
	}
	return nil
}

func validateWait(d time.Duration) error {
	if d < 0 || d > maxWait {
		return fmt.Errorf("%v is not between 0 and %v", d, maxWait)
	}
	return nil
}

// burst is Burst with its default filled in.
func (b Behaviour) burst() int {
	if b.Burst > 0 {
		return b.Burst
	}
	return int(math.Ceil(b.Rate))
}
