package visibility_test

import (
	"fmt"
	"testing"
	"time"

	"centrifuge/visibility"
)

var start = time.Date(2026, 3, 1, 22, 17, 0, 0, time.UTC)

// Over hours and past midnight, with flushes at odd moments and restarts between
// them, every number equals that of a plain recount: by queue, source, destination
// and in all, over ranges that begin and end anywhere.
func TestEveryNumberIsExact(t *testing.T) { onEach(t, testEveryNumberIsExact) }

func testEveryNumberIsExact(t *testing.T, at place) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			b, w := newBench(t, at, start), newWorld(seed, start)
			for range 120 {
				b.Record(w.events(1+w.random.IntN(60), time.Duration(w.random.Int64N(int64(3*time.Minute)))))
				b.now = w.now
				if w.random.IntN(3) > 0 {
					b.flush()
				}
				if w.random.IntN(20) == 0 {
					b.flush()
					b.close()
					b.open()
				}
			}
			b.flush()
			whole := visibility.Range{From: start, To: w.now.Truncate(time.Minute).Add(time.Minute)}
			for range 12 {
				r := whole
				switch w.random.IntN(3) {
				case 0: // whole days, which are read as such
					r.From, r.To = r.From.Truncate(24*time.Hour), r.To.Truncate(24*time.Hour).Add(24*time.Hour)
				case 1:
					r.From = start.Add(time.Duration(w.random.Int64N(200)) * time.Minute)
					r.To = r.From.Add(time.Duration(1+w.random.Int64N(200)) * time.Minute)
				}
				f := visibility.Filter{}
				if w.random.IntN(2) == 0 {
					f.Source = fmt.Sprintf("s%d", w.random.IntN(9))
				}
				if w.random.IntN(2) == 0 {
					f.Destination = fmt.Sprintf("d%d", w.random.IntN(9))
				}
				if w.random.IntN(3) == 0 {
					f.Among = []string{"s1", "s2", "s2", "nobody"}
				}
				step := []time.Duration{time.Minute, 7 * time.Minute, time.Hour, 24 * time.Hour}[w.random.IntN(4)]
				b.check(w, f, r, step)
			}
		})
	}
}
