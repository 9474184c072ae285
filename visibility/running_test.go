package visibility_test

import (
	"context"
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

// counted counts the entries that are read.
type counted struct {
	visibility.Backend
	read int
}

func (c *counted) Scan(ctx context.Context, d visibility.Day, from, to uint64, f func(key uint64, data []byte) error) error {
	return c.Backend.Scan(ctx, d, from, to, func(key uint64, data []byte) error {
		c.read++
		return f(key, data)
	})
}

// A query over a day or more does not read the minutes of the hour under way, nor does
// the first after a restart.
func TestHourUnderWayIsNotRead(t *testing.T) {
	b, w := newBench(t, inFolder, start.Truncate(time.Hour)), newWorld(3, start.Truncate(time.Hour))
	reopen := b.reopen
	c := &counted{}
	b.reopen = func() visibility.Backend {
		c.Backend = reopen()
		return c
	}
	b.close()
	b.open()
	for range 50 {
		b.Record(w.events(20, time.Minute))
		b.now = w.now
		b.flush()
	}
	for _, when := range []string{"before", "after"} {
		c.read = 0
		if _, err := b.store.Volumes(t.Context(), visibility.ByQueue, visibility.Filter{}, wide); err != nil {
			t.Fatal(err)
		}
		if c.read > 10 {
			t.Errorf("%s a restart %d entries were read", when, c.read)
		}
		b.check(w, visibility.Filter{}, wide, 24*time.Hour)
		b.close()
		b.open()
		b.flush()
	}
}
