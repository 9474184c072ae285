package sink

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Latency is a distribution of waits. The zero value does not wait.
type Latency struct {
	shape     shape
	low, high time.Duration
}

type shape int

const (
	fixed     shape = iota // low
	uniform                // low to high
	logNormal              // low is the median, high the 99th percentile
)

// FixedLatency always waits d.
func FixedLatency(d time.Duration) Latency { return Latency{fixed, d, d} }

// UniformLatency waits between low and high, each wait as likely as the next.
func UniformLatency(low, high time.Duration) Latency { return Latency{uniform, low, high} }

// LogNormalLatency waits as real servers do: half of the requests less than p50,
// one in a hundred more than p99.
func LogNormalLatency(p50, p99 time.Duration) Latency { return Latency{logNormal, p50, p99} }

// String is the latency as a route's spec writes it.
func (l Latency) String() string {
	switch l.shape {
	case uniform:
		return l.low.String() + "-" + l.high.String()
	case logNormal:
		return "p50=" + l.low.String() + ",p99=" + l.high.String()
	default:
		return l.low.String()
	}
}

func (l Latency) validate() error {
	if err := validateWait(l.low); err != nil {
		return err
	}
	if err := validateWait(l.high); err != nil {
		return err
	}
	if l.high < l.low {
		return fmt.Errorf("%v is above %v", l.low, l.high)
	}
	if l.shape == logNormal && l.low == 0 {
		return fmt.Errorf("p50 must be above 0")
	}
	return nil
}

// z99 is the 99th percentile of the standard normal distribution.
const z99 = 2.3263478740408408

// at is the wait below which the share u of all waits lie, for u in [0, 1).
func (l Latency) at(u float64) time.Duration {
	switch l.shape {
	case uniform:
		return l.low + time.Duration(u*float64(l.high-l.low))
	case logNormal:
		sigma := math.Log(float64(l.high)/float64(l.low)) / z99
		z := math.Sqrt2 * math.Erfinv(2*max(u, 0x1p-53)-1) // finite at 0 too
		if d := float64(l.low) * math.Exp(sigma*z); d < float64(maxWait) {
			return time.Duration(d)
		}
		return maxWait
	default:
		return l.low
	}
}

// sleep waits d and reports whether it did so before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
