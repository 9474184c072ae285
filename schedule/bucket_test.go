package schedule

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"centrifuge"
)

// Whatever is asked of a bucket and when, no window lets more through than burst
// and rate allow, and a bucket left alone is full again when it should be.
func TestBucketIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &centrifuge.QueuePolicy{
			Rate:  rapid.OneOf(rapid.Float64Range(0.001, 5000), rapid.Float64Range(1e6, 1e9)).Draw(t, "rate"),
			Burst: rapid.IntRange(1, 20).Draw(t, "burst"),
		}
		size := float64(burst(p))
		type spent struct{ at, n int64 }
		var b bucket
		var log []spent
		now := rapid.Int64Range(0, int64(time.Hour)).Draw(t, "start")
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, int64(2*float64(time.Second)/p.Rate)).Draw(t, "pause")
			had := b.tokens(now, p)
			if had > int(size) {
				t.Fatalf("%d tokens in a bucket of %v", had, size)
			}
			if (had > 0) != (b.next(now, p) <= now) {
				t.Fatalf("%d tokens, but next is %d at %d", had, b.next(now, p), now)
			}
			if had == 0 {
				if next := b.next(now, p); b.tokens(next, p) != 1 || b.tokens(next-1, p) != 0 {
					t.Fatalf("tokens at next: %d, just before: %d, want 1 and 0", b.tokens(next, p), b.tokens(next-1, p))
				}
				continue
			}
			n := rapid.IntRange(1, had).Draw(t, "n")
			b.spend(n, now, p)
			log = append(log, spent{now, int64(n)})
			total := int64(0)
			for _, s := range slices.Backward(log) {
				total += s.n
				if most := size + p.Rate*time.Duration(now-s.at).Seconds(); float64(total) > most+1e-9 {
					t.Fatalf("%d in %v, want at most %v", total, time.Duration(now-s.at), most)
				}
			}
		}
		full := now + int64(size*float64(interval(p)))
		if got := b.tokens(full, p); got != int(size) {
			t.Fatalf("%d tokens after a long pause, want %v", got, size)
		}
	})
}

func TestBucketSize(t *testing.T) {
	for _, c := range []struct {
		policy centrifuge.QueuePolicy
		want   int64
	}{
		{centrifuge.QueuePolicy{Rate: 0.2}, 1},
		{centrifuge.QueuePolicy{Rate: 7.9}, 7},
		{centrifuge.QueuePolicy{Rate: 1000}, 1000},
		{centrifuge.QueuePolicy{Rate: 1000, Burst: 3}, 3},
		{centrifuge.QueuePolicy{Rate: math.Inf(1)}, math.MaxInt32},
		{centrifuge.QueuePolicy{Rate: 1e-9, Burst: math.MaxInt}, 365},
	} {
		if got := burst(&c.policy); got != c.want {
			t.Errorf("burst of %+v: got %d, want %d", c.policy, got, c.want)
		}
		var b bucket
		b.spend(b.tokens(0, &c.policy), 0, &c.policy)
		if got := b.tokens(0, &c.policy); got != 0 || b.full < 0 {
			t.Errorf("%+v: %d tokens left in a spent bucket, full at %d", c.policy, got, b.full)
		}
	}
}

func TestBucketKeepsItsDebtWhenThePolicyChanges(t *testing.T) {
	slow := &centrifuge.QueuePolicy{Rate: 1, Burst: 10}
	fast := &centrifuge.QueuePolicy{Rate: 100, Burst: 10}
	free := &centrifuge.QueuePolicy{}
	var b bucket
	b.spend(10, 0, slow)
	b.convert(0, slow, fast)
	if got := b.tokens(0, fast); got != 0 {
		t.Errorf("tokens after the change: got %d, want 0", got)
	}
	if got := b.tokens(int64(50*time.Millisecond), fast); got != 5 {
		t.Errorf("tokens 50 ms later: got %d, want 5", got)
	}
	b.convert(0, fast, free)
	b.convert(0, free, slow)
	if got := b.tokens(0, slow); got != 10 {
		t.Errorf("tokens of a rate after none: got %d, want a full bucket of 10", got)
	}
}
