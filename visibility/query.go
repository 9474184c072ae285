package visibility

import (
	"time"

	"centrifuge"
)

// Other stands for the queues, sources and destinations beyond the bound of how
// many are told apart, wherever a name is expected.
const Other = "(other)"

// Range is the time from From up to and without To, both cut to whole minutes.
type Range struct{ From, To time.Time }

// Last is the range of the minutes that touch the last d before now, the minute of
// now included. A day or more begins with a whole hour, a week or more with a whole
// day (UTC): so much is stored in one piece, and a page's first point is whole.
func Last(now time.Time, d time.Duration) Range {
	to := now.UTC().Truncate(time.Minute).Add(time.Minute)
	from := to.Add(-max(d, time.Minute).Truncate(time.Minute))
	switch {
	case d >= 7*24*time.Hour:
		from = from.Truncate(24 * time.Hour)
	case d >= 24*time.Hour:
		from = from.Truncate(time.Hour)
	}
	return Range{From: from, To: to}
}

// Filter selects queues. Empty fields select all.
type Filter struct {
	Source      string
	Destination string

	// Among, if not nil, leaves only these sources: what somebody who may see no
	// others is shown. An empty slice leaves nothing.
	Among []string
}

// Counts are sums over a span of time. Attempts are counted in the minute that
// their outcome was logged in, jobs in that of their acceptance or their end.
type Counts struct {
	Accepted  int64 // jobs made durable
	Succeeded int64 // attempts that delivered; each ends its job
	Retried   int64 // attempts that failed for now
	Discarded int64 // attempts that failed for ever; each ends its job
	Archived  int64 // jobs safe in the archive: Expired + Flushed + Spent
	Moved     int64 // jobs that went on in another JobDB

	FirstAttempt int64 // of Succeeded, those at the first attempt

	Expired int64 // archived because their time ran out
	Flushed int64 // archived because an operator said so
	Spent   int64 // archived because their attempts were used up

	AcceptedBytes  int64 // payloads of Accepted
	DeliveredBytes int64 // payloads of Succeeded
}

// Attempts is how many attempts came to an end.
func (c *Counts) Attempts() int64 { return c.Succeeded + c.Retried + c.Discarded }

// Ended is how many jobs came to an end.
func (c *Counts) Ended() int64 { return c.Succeeded + c.Discarded + c.Archived }

// FirstAttemptShare is the share, from 0 to 1, of ended jobs that the first attempt
// delivered. It is false while no job has ended.
func (c *Counts) FirstAttemptShare() (float64, bool) { return share(c.FirstAttempt, c.Ended()) }

// SuccessShare is the share, from 0 to 1, of ended jobs that were delivered. It is
// false while no job has ended.
func (c *Counts) SuccessShare() (float64, bool) { return share(c.Succeeded, c.Ended()) }

func share(part, whole int64) (float64, bool) {
	if whole == 0 {
		return 0, false
	}
	return float64(part) / float64(whole), true
}

// Quantiles are those of durations; each is at most 2 % off. All are zero if Count
// is.
type Quantiles struct {
	Count         int64
	P50, P95, P99 time.Duration
}

// Point is one step of a series.
type Point struct {
	Start time.Time // UTC; the point's counts are from here up to the next step, within the range
	Counts
	Latency Quantiles // of attempts, from dialling to the end of the answer
	Delay   Quantiles // of delivered jobs, from acceptance to delivery
	Missing bool      // some of this step was not recorded: the counts are too low
}

// Summary is a whole range in one.
type Summary struct {
	Counts
	Latency Quantiles
	Delay   Quantiles
	Missing bool // as in Point
}

// CodeCount is how many attempts ended with an outcome and a code.
type CodeCount struct {
	Outcome centrifuge.Outcome
	Code    Code
	Count   int64
}

// AttemptCount is how many jobs were delivered by the attempt with a number.
type AttemptCount struct {
	Attempt   int // the first is 1; MaxAttemptShown stands for that one and all after it
	Succeeded int64
}

// MaxAttemptShown is the highest attempt number that is told apart.
const MaxAttemptShown = 32

// By is what the rows of a Top are about.
type By int

// What Top can rank.
const (
	ByQueue By = iota
	ByDestination
	BySource
)

// Order is by what Top ranks, the greatest first.
type Order int

// The orders of Top.
const (
	OrderVolume   Order = iota // attempts
	OrderFailures              // attempts that failed, for now or for ever, and archived jobs
	OrderShare                 // ended jobs that were not delivered, as a share of those ended
	OrderName                  // destination and source, ascending
)

// TopRow is a queue, a destination or a source, with what became of its jobs.
type TopRow struct {
	Source      string // empty in the row of a destination
	Destination string // empty in the row of a source
	Counts
	Latency Quantiles
	Delay   Quantiles
	Spark   []int64 // attempts in equal parts of the range, oldest first; SparkPoints at most
}

// SparkPoints is how many values a sparkline has at most.
const SparkPoints = 30

// Gap is a time of which something was not recorded, and why.
type Gap struct {
	From, To time.Time // whole minutes, To excluded
	Why      string
}

// Sample is one attempt, as it was made and answered. What looks like a secret in
// its headers is redacted.
type Sample struct {
	JobID       centrifuge.ID
	Source      string
	Destination string
	Time        time.Time // of the outcome, millisecond precision, UTC
	Attempt     uint32
	Code        Code
	Duration    time.Duration

	Method          string
	Endpoint        string // with secrets in the query redacted
	RequestHeaders  []centrifuge.Header
	ResponseHeaders []centrifuge.Header
	Body            string // the start of the answer's body, or what the error said
}
