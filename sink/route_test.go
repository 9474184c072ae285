package sink

import (
	"math"
	"testing"
	"time"
)

func TestMixIsDrawnByWeight(t *testing.T) {
	b, err := ParseBehaviour("status:200:0.9,500:0.05,429:0.03,hang:0.02")
	if err != nil {
		t.Fatal(err)
	}
	rt := newRoute("/a", b, 1)
	const n = 200_000
	got := make(map[Reply]float64)
	for i := range uint64(n) {
		got[rt.decide(i, 0).reply] += 1.0 / n
	}
	for _, s := range b.Replies {
		if math.Abs(got[s.Reply]-s.Weight) > 0.002 {
			t.Errorf("%v: share %.4f, want %.4f", s.Reply, got[s.Reply], s.Weight)
		}
	}
	if len(got) != len(b.Replies) {
		t.Errorf("drew %v", got)
	}
}

func TestReplyAndLatencyAreIndependent(t *testing.T) {
	b, err := ParseBehaviour("status:200,500;latency:0s-1s")
	if err != nil {
		t.Fatal(err)
	}
	rt := newRoute("/a", b, 1)
	sum, count := make(map[Reply]time.Duration), make(map[Reply]int)
	for i := range uint64(100_000) {
		d := rt.decide(i, 0)
		sum[d.reply] += d.latency
		count[d.reply]++
	}
	for reply, total := range sum {
		if mean := total / time.Duration(count[reply]); (mean - 500*time.Millisecond).Abs() > 5*time.Millisecond {
			t.Errorf("%v: mean latency %v, want 500ms", reply, mean)
		}
	}
}

func TestLatencyDistributions(t *testing.T) {
	ms := func(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
	for _, tt := range []struct {
		l    Latency
		u    float64
		want time.Duration
	}{
		{Latency{}, 0.5, 0},
		{FixedLatency(ms(7)), 0.99, ms(7)},
		{UniformLatency(ms(5), ms(25)), 0, ms(5)},
		{UniformLatency(ms(5), ms(25)), 0.5, ms(15)},
		{LogNormalLatency(ms(10), ms(200)), 0.5, ms(10)},
		{LogNormalLatency(ms(10), ms(200)), 0.99, ms(200)},
		{LogNormalLatency(ms(10), ms(10)), 0.7, ms(10)},
		{LogNormalLatency(1, maxWait), 1 - 0x1p-53, maxWait},
		{LogNormalLatency(ms(10), ms(10)), 0, ms(10)},
	} {
		if got := tt.l.at(tt.u); (got - tt.want).Abs() > tt.want/1000 {
			t.Errorf("%v at %v = %v, want %v", tt.l, tt.u, got, tt.want)
		}
	}
}

func TestLimiterHoldsItsRate(t *testing.T) {
	l := newLimiter(100, 20)
	taken := 0
	for at := time.Duration(0); at < 10*time.Second; at += 700 * time.Microsecond {
		if l.take(at) == 0 {
			taken++
		}
	}
	if taken < 1018 || taken > 1020 {
		t.Errorf("%d taken in 10 s, want 20 at once and 100 a second", taken)
	}
}
