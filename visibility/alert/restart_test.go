package alert_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/visibility"
	"centrifuge/visibility/sqlite"
)

const twoTargets = "notify: [{url: 'http://one/'}, {url: 'http://two/'}]"

// told is what each target was told, in order: endpoint, rule, what it is about, state.
func (w *world) told(t *testing.T) []string {
	t.Helper()
	out := []string{}
	for _, n := range w.notices {
		var m struct{ Rule, Destination, State string }
		if err := json.Unmarshal(n.Body, &m); err != nil {
			t.Fatal(err)
		}
		out = append(out, n.Endpoint+" "+m.Rule+" "+m.Destination+" "+m.State)
	}
	w.notices = nil
	return out
}

func (w *world) expect(t *testing.T, why string, want ...string) {
	t.Helper()
	if got := w.told(t); !slices.Equal(got, want) {
		t.Errorf("%s: told was %q, want %q", why, got, want)
	}
}

// What fires is told once however often the process restarts, and its end once, in
// which process that may be. The record on a disk is the journal here.
func TestRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	open := func() *visibility.Store {
		backend, err := sqlite.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		store, err := visibility.OpenStore(t.Context(), visibility.StoreOptions{Backend: backend})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	w := mustWatch(t, twoTargets)
	store := open()
	restart := func() {
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		store = open()
		w.journal = store
		w.restart()
	}
	t.Cleanup(func() { store.Close() })
	restart()
	w.minutes(t, 3)
	w.expect(t, "all is well")

	w.rows = []visibility.TopRow{row("a", 1, 999), row("b", 1, 999)}
	w.minutes(t, 3)
	began, err := w.Alerts(t.Context())
	if err != nil || len(began) != 2 {
		t.Fatalf("%+v, %v", began, err)
	}
	w.expect(t, "begun", "http://one/ success_rate a firing", "http://two/ success_rate a firing", "http://one/ success_rate b firing", "http://two/ success_rate b firing")
	for range 3 {
		restart()
		if got := w.minutes(t, 2); len(got) != 2 {
			t.Errorf("after a restart %v fire", got)
		}
	}
	w.expect(t, "restarts while they fire")
	if again, err := w.Alerts(t.Context()); err != nil || !again[0].Since.Equal(began[0].Since) {
		t.Errorf("after a restart %+v, %v; before %+v", again, err, began)
	}

	// One ends here, the other while nobody looks.
	w.rows = w.rows[:1]
	w.minutes(t, 6)
	w.expect(t, "one is over", "http://one/ success_rate b ended", "http://two/ success_rate b ended")
	w.rows = nil
	w.now = w.now.Add(time.Hour)
	restart()
	if got := w.minutes(t, 4); len(got) != 1 {
		t.Errorf("before it has been over for long enough %v fire", got)
	}
	w.minutes(t, 3)
	w.expect(t, "the other is over", "http://one/ success_rate a ended", "http://two/ success_rate a ended")
	restart()
	w.minutes(t, 10)
	w.expect(t, "nothing fires")
	if all, err := w.Alerts(t.Context()); err != nil || len(all) != 2 || all[0].Destination != "a" || all[0].Ended.IsZero() || all[1].Destination != "b" {
		t.Errorf("what ended lately is %+v, %v", all, err)
	}
	w.rows = []visibility.TopRow{row("a", 1, 999)}
	w.minutes(t, 1)
	w.expect(t, "one begins anew", "http://one/ success_rate a firing", "http://two/ success_rate a firing")
}

// A target that cannot be told is told later, in order, and the other not again. What
// nobody was told of is told by the next process.
func TestToldLater(t *testing.T) {
	w := mustWatch(t, twoTargets)
	fault := errors.New("no Director")
	look := func() {
		t.Helper()
		w.now = w.now.Add(time.Minute)
		if err := w.Look(t.Context()); !errors.Is(err, fault) {
			t.Errorf("got %v", err)
		}
	}
	w.refuses["http://two/"] = fault
	w.rows = []visibility.TopRow{row("a", 1, 999)}
	look()
	w.rows = nil
	for range 6 {
		look()
	}
	w.expect(t, "one of two", "http://one/ success_rate a firing", "http://one/ success_rate a ended")
	delete(w.refuses, "http://two/")
	w.minutes(t, 2)
	w.expect(t, "the other", "http://two/ success_rate a firing", "http://two/ success_rate a ended")
	w.restart()
	w.minutes(t, 2)
	w.expect(t, "a restart after all was told")

	w.refuses["http://two/"] = fault
	w.rows = []visibility.TopRow{row("b", 1, 999)}
	look()
	w.expect(t, "one of two", "http://one/ success_rate b firing")
	delete(w.refuses, "http://two/")
	w.restart()
	w.minutes(t, 2)
	w.expect(t, "a restart before all was told", "http://one/ success_rate b firing", "http://two/ success_rate b firing")
}

// While the journal cannot be written, what was told is kept in mind, and not told
// again. While it cannot be read, nothing is told.
func TestJournalIsAway(t *testing.T) {
	w := mustWatch(t, twoTargets)
	w.minutes(t, 1)
	fault := errors.New("disk full")
	w.rows = []visibility.TopRow{row("a", 1, 999)}
	w.lost = fault
	for range 3 {
		w.now = w.now.Add(time.Minute)
		if err := w.Look(t.Context()); !errors.Is(err, fault) {
			t.Errorf("got %v", err)
		}
	}
	w.expect(t, "told once", "http://one/ success_rate a firing", "http://two/ success_rate a firing")
	w.lost = nil
	w.minutes(t, 1)
	w.restart()
	w.minutes(t, 2)
	w.expect(t, "kept later")

	w.lost = fault
	w.restart()
	w.now = w.now.Add(time.Minute)
	if err := w.Look(t.Context()); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
	w.expect(t, "nothing is known")
	w.lost = nil
	if got := w.minutes(t, 2); len(got) != 1 {
		t.Errorf("%v fire", got)
	}
	w.expect(t, "it is known again")
	w.notes = append(w.notes, visibility.Note{Day: visibility.DayOf(w.now), Data: []byte("{")})
	w.restart()
	w.minutes(t, 1)
	w.expect(t, "one note is damaged")
}

// An alert that fires for weeks is noted each day, so that days may be dropped.
func TestFiresForWeeks(t *testing.T) {
	w := mustWatch(t, twoTargets)
	w.rows = []visibility.TopRow{row("a", 1, 999)}
	for range 40 {
		w.minutes(t, 2)
		w.now = w.now.Add(24 * time.Hour)
	}
	if len(w.notes) != 40 {
		t.Errorf("%d notes of 40 days", len(w.notes))
	}
	w.told(t)
	w.restart()
	w.minutes(t, 1)
	w.expect(t, "a restart after weeks")
}

// Streaks of refusals begin anew with the process: an alert about one goes on until
// something of the queue is delivered.
func TestRefusedBeforeTheRestart(t *testing.T) {
	queue := centrifuge.QueueKey{Source: "s", Destination: "d"}
	w := mustWatch(t, twoTargets)
	w.streaks = []visibility.Streak{{Queue: queue, Code: 401, Count: 30}}
	w.minutes(t, 1)
	w.told(t)
	w.streaks = nil
	w.restart()
	w.minutes(t, 30)
	w.expect(t, "nothing was delivered since")
	w.rows = []visibility.TopRow{{Source: "s", Destination: "d", Counts: visibility.Counts{Succeeded: 1}}}
	w.minutes(t, 6)
	w.expect(t, "something was", "http://one/ auth_streak d ended", "http://two/ auth_streak d ended")
}
