package centrifuge

import (
	"math/rand/v2"
	"time"
)

// Defaults of a [RetryPolicy].
const (
	DefaultMinBackoff = 5 * time.Second
	DefaultMaxBackoff = 30 * time.Minute
)

// RetryPolicy says when a failed job is tried again: exponential backoff with
// full jitter, which spreads the retries of an outage evenly instead of sending
// them back in waves (AWS Architecture Blog, "Exponential Backoff And Jitter",
// 2015). Zero fields mean the defaults.
type RetryPolicy struct {
	MinBackoff  time.Duration `json:"min_backoff,omitempty"`  // ceiling of the first wait
	MaxBackoff  time.Duration `json:"max_backoff,omitempty"`  // ceiling of every wait
	MaxAttempts uint32        `json:"max_attempts,omitempty"` // 0: as many as fit before the job expires
}

// WithDefaults fills the zero fields, from fallback first and then from the
// package's defaults.
func (p RetryPolicy) WithDefaults(fallback RetryPolicy) RetryPolicy {
	if p.MinBackoff == 0 {
		p.MinBackoff = fallback.MinBackoff
	}
	if p.MaxBackoff == 0 {
		p.MaxBackoff = fallback.MaxBackoff
	}
	if p.MaxAttempts == 0 {
		p.MaxAttempts = fallback.MaxAttempts
	}
	if p.MinBackoff <= 0 {
		p.MinBackoff = DefaultMinBackoff
	}
	if p.MaxBackoff <= 0 {
		p.MaxBackoff = DefaultMaxBackoff
	}
	p.MaxBackoff = max(p.MaxBackoff, p.MinBackoff)
	return p
}

// Ceiling is the longest wait after the given attempt (the first is 1):
// MinBackoff doubled for each attempt after the first, at most MaxBackoff.
func (p RetryPolicy) Ceiling(attempt uint32) time.Duration {
	p = p.WithDefaults(RetryPolicy{})
	wait := p.MinBackoff
	for i := uint32(1); i < attempt && wait < p.MaxBackoff; i++ {
		if wait > p.MaxBackoff/2 {
			return p.MaxBackoff
		}
		wait *= 2
	}
	return min(wait, p.MaxBackoff)
}

// Backoff draws the wait after the given attempt (the first is 1), uniformly
// between 1 ms and [RetryPolicy.Ceiling].
func (p RetryPolicy) Backoff(attempt uint32, random *rand.Rand) time.Duration {
	ceiling := p.Ceiling(attempt)
	if ceiling <= time.Millisecond {
		return ceiling
	}
	return time.Millisecond + time.Duration(random.Int64N(int64(ceiling-time.Millisecond)+1))
}
