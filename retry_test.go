package centrifuge_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"centrifuge"
)

func TestCeiling(t *testing.T) {
	want := []time.Duration{
		5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second,
		160 * time.Second, 320 * time.Second, 640 * time.Second, 1280 * time.Second, 30 * time.Minute, 30 * time.Minute,
	}
	for i, want := range want {
		if got := (centrifuge.RetryPolicy{}).Ceiling(uint32(i + 1)); got != want {
			t.Errorf("ceiling after attempt %d = %v, want %v", i+1, got, want)
		}
	}
	if got := (centrifuge.RetryPolicy{}).Ceiling(1 << 31); got != 30*time.Minute {
		t.Errorf("ceiling after very many attempts = %v", got)
	}
}

// The wait is never above its ceiling, never below a millisecond, and jitter is
// full: over many draws it comes near both ends.
func TestBackoff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := centrifuge.RetryPolicy{
			MinBackoff: time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "min")),
			MaxBackoff: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "max")),
		}
		attempt := rapid.Uint32Range(1, 5000).Draw(t, "attempt")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		ceiling := p.Ceiling(attempt)
		low, high := ceiling, time.Duration(0)
		for range 200 {
			wait := p.Backoff(attempt, random)
			low, high = min(low, wait), max(high, wait)
		}
		if high > ceiling || low < min(time.Millisecond, ceiling) {
			t.Fatalf("waits from %v to %v, ceiling %v", low, high, ceiling)
		}
		if ceiling > time.Second && (low > ceiling/8 || high < ceiling*7/8) {
			t.Fatalf("200 waits lie between %v and %v; full jitter reaches from 0 to %v", low, high, ceiling)
		}
	})
}

func TestRetryPolicyDefaults(t *testing.T) {
	job := centrifuge.RetryPolicy{MinBackoff: time.Second}
	queue := centrifuge.RetryPolicy{MinBackoff: time.Minute, MaxBackoff: time.Hour, MaxAttempts: 7}
	got := job.WithDefaults(queue)
	want := centrifuge.RetryPolicy{MinBackoff: time.Second, MaxBackoff: time.Hour, MaxAttempts: 7}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = centrifuge.RetryPolicy{MinBackoff: 2 * time.Hour}.WithDefaults(centrifuge.RetryPolicy{})
	if got.MaxBackoff != 2*time.Hour {
		t.Errorf("a least wait above the default bound: bound is %v", got.MaxBackoff)
	}
}
