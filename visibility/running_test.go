package visibility_test

import (
	"testing"
	"time"

	"centrifuge/visibility"
)

// The hour under way is told to the job, whatever comes late, whenever the process
// restarts, and whichever hour it is.
func TestHourUnderWay(t *testing.T) { onEach(t, testHourUnderWay) }

func testHourUnderWay(t *testing.T, at place) {
	b, w := newBench(t, at, start), newWorld(11, start)
	record := func(n int, over time.Duration) {
		b.Record(w.events(n, over))
		b.now = w.now
		b.flush()
	}
	late := func(by time.Duration) {
		now := w.now
		w.now = w.now.Add(-by)
		b.Record(w.events(5, time.Second))
		w.now = now
		b.flush()
	}
	restart := func() {
		b.flush()
		b.close()
		b.open()
	}
	for i := range 40 {
		record(40, 7*time.Minute)
		switch i % 7 {
		case 1:
			late(3 * time.Minute)
			if i > 8 {
				restart() // the late minute is not sealed yet
			}
		case 3:
			restart()
		case 5:
			late(time.Duration(i) * 2 * time.Minute)
		}
		b.check(w, visibility.Filter{}, wide, time.Hour)
		b.check(w, visibility.Filter{Source: "s1"}, wide, 24*time.Hour)
		b.check(w, visibility.Filter{Among: []string{"s1", "s2"}}, visibility.Range{From: w.now.Add(-30 * time.Hour).Truncate(time.Hour), To: w.now.Add(-9 * time.Minute).Truncate(time.Minute)}, 24*time.Hour)
	}
}
