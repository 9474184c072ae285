package visibility_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/visibility"
)

// faulty fails writes on demand: before they do anything, or after they have, which
// is what an unknown outcome looks like.
type faulty struct {
	visibility.Backend
	before, after error
}

func (f *faulty) Write(ctx context.Context, d visibility.Day, w *visibility.Write) error {
	if f.before != nil {
		return f.before
	}
	return errors.Join(f.Backend.Write(ctx, d, w), f.after)
}

// breakable puts a faulty backend below the bench's store.
func (b *bench) breakable() *faulty {
	b.t.Helper()
	f := &faulty{Backend: b.options.Backend}
	var err error
	o := b.options
	o.Backend = f
	if b.store, err = visibility.OpenStore(b.t.Context(), o); err != nil {
		b.t.Fatal(err)
	}
	b.record.Store = b.store
	if err := os.Remove(b.record.Alive); err != nil { // the bench's first recorder did not crash
		b.t.Fatal(err)
	}
	if b.Recorder, err = visibility.NewRecorder(b.t.Context(), b.record); err != nil {
		b.t.Fatal(err)
	}
	return f
}

func (b *bench) gaps(r visibility.Range) []visibility.Gap {
	b.t.Helper()
	gaps, err := b.store.Gaps(b.t.Context(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	return gaps
}

func (b *bench) summary(r visibility.Range) visibility.Summary {
	b.t.Helper()
	s, err := b.store.Summary(b.t.Context(), visibility.Filter{}, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

var wide = visibility.Range{From: start.Add(-48 * time.Hour), To: start.Add(48 * time.Hour)}

// While the store refuses, counting goes on; when it is back everything is there
// once, whether the failed writes had happened or not.
func TestStoreFailsForAWhile(t *testing.T) { onEach(t, testStoreFailsForAWhile) }

func testStoreFailsForAWhile(t *testing.T, at place) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("written: %v", after), func(t *testing.T) {
			b, w := newBench(t, at, start), newWorld(5, start)
			f := b.breakable()
			b.Record(w.events(50, time.Minute))
			b.now = w.now
			b.flush()
			fault := errors.New("disk full")
			if after {
				f.after = fault
			} else {
				f.before = fault
			}
			for range 5 {
				b.Record(w.events(50, 40*time.Second))
				b.now = w.now
				if err := b.Flush(t.Context()); !errors.Is(err, fault) {
					t.Fatal(err)
				}
			}
			f.before, f.after = nil, nil
			b.flush()
			b.check(w, visibility.Filter{}, wide, time.Hour)
			if gaps := b.gaps(wide); len(gaps) > 0 {
				t.Errorf("nothing is missing, and yet: %v", gaps)
			}
		})
	}
}

// What does not fit the memory while the store refuses is given up by the minute,
// the oldest first, and marked as missing.
func TestStoreFailsForLong(t *testing.T) { onEach(t, testStoreFailsForLong) }

func testStoreFailsForLong(t *testing.T, at place) {
	b, w := newBench(t, at, start), newWorld(6, start)
	b.record.MaxCells = 100
	f := b.breakable()
	f.before = errors.New("disk full")
	for range 20 {
		b.Record(w.events(100, time.Minute))
		b.now = w.now
		if err := b.Flush(t.Context()); err == nil {
			t.Fatal("no error")
		}
	}
	f.before = nil
	b.flush()
	gaps := b.gaps(wide)
	if len(gaps) == 0 {
		t.Fatal("something was given up, and nothing is marked")
	}
	points, err := b.store.Series(t.Context(), visibility.Filter{}, visibility.Range{From: start, To: w.now.Add(time.Minute)}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for _, p := range points {
		want := w.sum(visibility.Filter{}, visibility.Range{From: p.Start, To: p.Start.Add(time.Minute)})
		switch {
		case p.Missing && p.Accepted > want.Accepted:
			t.Errorf("at %v more was counted than there was", p.Start)
		case !p.Missing && p.Counts != want.Counts:
			t.Errorf("at %v\n got %+v\nwant %+v", p.Start, p.Counts, want.Counts)
		case !p.Missing && want.Accepted > 0:
			whole++
		}
	}
	if whole == 0 {
		t.Error("nothing was kept")
	}
}

// After the death of the process, what was flushed is exact, and the time of which
// something may be lost is marked, no more.
func TestCrashBetweenFlushes(t *testing.T) { onEach(t, testCrashBetweenFlushes) }

func testCrashBetweenFlushes(t *testing.T, at place) {
	b, w := newBench(t, at, start), newWorld(7, start)
	b.Record(w.events(200, 10*time.Minute))
	b.now = w.now
	b.flush()
	flushed := b.now
	counted := w.sum(visibility.Filter{}, wide)
	b.Record(w.events(50, time.Second)) // never flushed
	b.close()
	b.now = w.now.Add(3 * time.Hour) // it is down for a while
	b.open()
	if got := b.summary(wide); got.Counts != counted.Counts || !got.Missing {
		t.Errorf("got %+v\nwant %+v, something missing", got, counted.Counts)
	}
	gaps := b.gaps(wide)
	if len(gaps) != 1 || gaps[0].From.After(flushed) || gaps[0].To.Before(flushed.Add(2*time.Second)) || gaps[0].To.Sub(gaps[0].From) > 2*time.Minute {
		t.Errorf("gaps %v, the last flush was at %v", gaps, flushed)
	}
}

// An orderly end leaves no gap.
func TestOrderlyEnd(t *testing.T) { onEach(t, testOrderlyEnd) }

func testOrderlyEnd(t *testing.T, at place) {
	b, w := newBench(t, at, start), newWorld(8, start)
	b.Record(w.events(200, 10*time.Minute))
	b.now = w.now
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx); err != nil {
		t.Fatal(err)
	}
	b.close()
	b.open()
	b.check(w, visibility.Filter{}, wide, time.Hour)
	if gaps := b.gaps(wide); len(gaps) > 0 {
		t.Errorf("gaps %v", gaps)
	}
}

// A file that somebody takes away or damages costs its day, which is marked, and
// nothing else: neither other days nor what comes after.
func TestDamagedDays(t *testing.T) {
	damage := map[string]func(string) error{
		"removed":   os.Remove,
		"emptied":   func(p string) error { return os.Truncate(p, 0) },
		"cut short": func(p string) error { return os.Truncate(p, 9000) },
		"noise":     func(p string) error { return os.WriteFile(p, []byte("noise noise noise noise"), 0o600) },
	}
	for name, harm := range damage {
		t.Run(name, func(t *testing.T) {
			b, w := newBench(t, inFolder, start), newWorld(9, start)
			b.Record(w.events(200, 10*time.Minute))
			b.now = w.now
			b.flush()
			first := visibility.Range{From: start, To: start.Truncate(24 * time.Hour).Add(24 * time.Hour)}
			w.now, b.now = first.To, first.To
			b.Record(w.events(200, 10*time.Minute))
			b.now = w.now
			b.flush()
			b.close()
			if err := harm(filepath.Join(b.folder, "visibility", visibility.DayOf(start).String()+".db")); err != nil {
				t.Fatal(err)
			}
			b.open()
			second := visibility.Range{From: first.To, To: first.To.Add(24 * time.Hour)}
			b.check(w, visibility.Filter{}, second, time.Minute)
			if got := b.summary(first); got.Accepted != 0 {
				t.Errorf("the damaged day tells of %d jobs", got.Accepted)
			}
			if gaps := b.gaps(first); name != "removed" && len(gaps) == 0 {
				t.Error("the damaged day is not marked")
			}
			b.Record(w.events(200, 10*time.Minute))
			b.now = w.now
			b.flush()
			b.check(w, visibility.Filter{}, second, time.Minute)
		})
	}
}

// A file that is taken away while it is written to is noticed, marked, and begun
// anew.
func TestFileTakenAway(t *testing.T) {
	b, w := newBench(t, inFolder, start), newWorld(10, start)
	b.Record(w.events(200, 10*time.Minute))
	b.now = w.now
	b.flush()
	lost := w.facts
	files, err := filepath.Glob(filepath.Join(b.folder, "visibility", "*.db*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	b.Record(w.events(200, 5*time.Minute))
	b.now = w.now
	b.flush()
	w.facts = w.facts[len(lost):]
	b.check(w, visibility.Filter{}, wide, time.Hour)
	if gaps := b.gaps(wide); len(gaps) != 1 || gaps[0].To.Before(b.now.Truncate(time.Minute)) {
		t.Errorf("gaps %v", gaps)
	}
}

// Damage that is found while a day is read, or sealed, costs that day alone: it is
// set aside, and queries and sealing go on.
func TestDamageFoundLater(t *testing.T) { onEach(t, testDamageFoundLater) }

func testDamageFoundLater(t *testing.T, at place) {
	for _, sealed := range []bool{false, true} {
		t.Run(fmt.Sprintf("sealed: %v", sealed), func(t *testing.T) {
			b, w := newBench(t, at, start), newWorld(15, start)
			b.Record(w.events(200, 10*time.Minute))
			b.now = w.now
			if sealed {
				b.flush()
			} else if err := b.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			day := visibility.DayOf(start)
			var noise visibility.Write
			err := b.options.Backend.Scan(t.Context(), day, 2<<48, 64<<48, func(key uint64, _ []byte) error {
				noise.Put = append(noise.Put, visibility.Entry{Key: key, Data: []byte{1, 255, 255, 255, 255, 255, 255}})
				return nil
			})
			if err == nil {
				err = b.options.Backend.Write(t.Context(), day, &noise)
			}
			if err != nil {
				t.Fatal(err)
			}
			if sealed {
				if _, err := b.store.Summary(t.Context(), visibility.Filter{}, wide); !errors.Is(err, visibility.ErrCorrupt) {
					t.Errorf("noise was read: %v", err)
				}
			} else if err := b.Tidy(t.Context()); !errors.Is(err, visibility.ErrCorrupt) {
				t.Errorf("noise was sealed: %v", err)
			}
			lost := len(w.facts)
			b.now = b.now.Add(2 * time.Minute)
			w.now = b.now
			b.flush()
			b.Record(w.events(200, 10*time.Minute))
			b.now = w.now
			b.flush()
			w.facts = w.facts[lost:]
			b.check(w, visibility.Filter{}, wide, time.Hour)
			if gaps := b.gaps(wide); len(gaps) != 1 {
				t.Errorf("gaps %v", gaps)
			}
		})
	}
}

// The clock may jump: each event is counted in the minute that it tells, and days
// that a wrong clock makes look old are dropped one an hour at most.
func TestClockJumps(t *testing.T) { onEach(t, testClockJumps) }

func testClockJumps(t *testing.T, at place) {
	b, w := newBench(t, at, start), newWorld(11, start)
	for _, jump := range []time.Duration{0, 3 * time.Hour, -2 * time.Hour, 50 * time.Hour, -51 * time.Hour, time.Hour, -30 * time.Minute} {
		w.now = w.now.Add(jump)
		b.now = w.now
		b.Record(w.events(200, 10*time.Minute))
		b.now = w.now
		b.flush()
		b.check(w, visibility.Filter{}, visibility.Range{From: wide.From, To: wide.To.Add(48 * time.Hour)}, time.Hour)
	}
	days := func() int {
		days, err := b.options.Backend.Days(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(days)
	}
	before := days()
	b.now = b.now.Add(400 * 24 * time.Hour)
	b.flush()
	b.flush()
	if got := days(); got != before-1 {
		t.Errorf("%d of %d days are left", got, before)
	}
}

// ofDay makes events of the day after so many, all of a source that only it has.
func (w *world) ofDay(day int) []centrifuge.Event {
	w.now, w.jobs = start.Add(time.Duration(day)*24*time.Hour), nil
	known, source := len(w.facts), fmt.Sprintf("source of day %d", day)
	events := w.events(50, 5*time.Minute)
	for i := range events {
		job := *events[i].Job
		job.Source = source
		events[i].Job = &job
	}
	for i := range w.facts[known:] {
		w.facts[known+i].queue.Source = source
	}
	return events
}

// Days go when the retention is over, and the names that only they had.
func TestRetention(t *testing.T) { onEach(t, testRetention) }

func testRetention(t *testing.T, at place) {
	b, w := newBench(t, at, start), newWorld(12, start)
	b.close()
	b.options.Retention = 3 * 24 * time.Hour
	b.options.MaxQueues = 60
	b.open()
	for day := range 12 {
		b.Record(w.ofDay(day))
		b.now = w.now
		b.flush()
		r := visibility.Range{From: w.now.Add(-time.Hour), To: w.now.Add(time.Minute)}
		b.check(w, visibility.Filter{}, r, time.Minute)
	}
	days, err := b.options.Backend.Days(t.Context())
	if err != nil || len(days) != 4 {
		t.Errorf("days %v, %v; want today and the three before", days, err)
	}
	if got := b.summary(visibility.Range{From: start, To: start.Add(time.Hour)}); got.Accepted != 0 {
		t.Error("the first day is still there")
	}
}

// Beyond the bound queues are counted together, and every job still is.
func TestCardinality(t *testing.T) { onEach(t, testCardinality) }

func testCardinality(t *testing.T, at place) {
	b, w := newBench(t, at, start), newWorld(13, start)
	b.close()
	b.options.MaxQueues = 20
	b.open()
	w.queues = 40
	for range 10 {
		b.Record(w.events(400, 10*time.Minute))
		b.now = w.now
		b.flush()
	}
	want := w.sum(visibility.Filter{}, wide)
	if got := b.summary(wide); got.Counts != want.Counts {
		t.Errorf("got %+v\nwant %+v", got.Counts, want.Counts)
	}
	for _, by := range []visibility.By{visibility.ByQueue, visibility.ByDestination, visibility.BySource} {
		rows, err := b.store.Top(t.Context(), by, visibility.Filter{}, wide, visibility.OrderVolume, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var all visibility.Counts
		others := 0
		for _, row := range rows {
			addCounts(&all, &row.Counts)
			if row.Source == visibility.Other || row.Destination == visibility.Other {
				others++
			}
		}
		if len(rows) > 21 || others != 1 || all != want.Counts {
			t.Errorf("%d rows by %v, %d of them for others: %+v", len(rows), by, others, all)
		}
	}
}

// A queue with more codes than are told apart has all its attempts counted.
func TestManyCodes(t *testing.T) { onEach(t, testManyCodes) }

func testManyCodes(t *testing.T, at place) {
	b, w := newBench(t, at, start), newWorld(14, start)
	var events []centrifuge.Event
	job := &centrifuge.Job{Source: "s", Destination: "d", CreatedAt: start}
	for status := 1; status < 1200; status++ {
		events = append(events, centrifuge.Event{Job: job, From: centrifuge.StateExecuting, Step: centrifuge.Transition{
			State: centrifuge.StateDiscarded, StatusCode: status, Time: start, Seq: 1, Attempt: 1,
		}})
	}
	b.Record(events)
	b.flush()
	codes, err := b.store.Breakdown(t.Context(), visibility.Filter{}, visibility.Range{From: start, To: w.now.Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	all := int64(0)
	for _, c := range codes {
		all += c.Count
	}
	if all != 1199 || len(codes) > 50 || codes[0].Code.Error != visibility.ErrorOther {
		t.Errorf("%d attempts with %d codes, most with %v", all, len(codes), codes[0].Code)
	}
}
