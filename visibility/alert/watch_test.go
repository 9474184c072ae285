package alert_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge"
	"centrifuge/visibility"
	"centrifuge/visibility/alert"
)

// world is what a watch sees, and what it did.
type world struct {
	now     time.Time
	facts   alert.Facts
	streaks []visibility.Streak
	rows    []visibility.TopRow
	notices []alert.Notice
	pauses  []centrifuge.QueueKey
	fault   error
	notes   []visibility.Note
	lost    error            // of the journal
	refuses map[string]error // by the endpoint of a notice
	journal alert.Journal
	rules   alert.Rules
	*alert.Watch
}

func (w *world) AddNote(_ context.Context, at time.Time, data []byte) error {
	if w.lost == nil {
		w.notes = append(w.notes, visibility.Note{Day: visibility.DayOf(at), Data: data})
	}
	return w.lost
}

// LatestNotes are those of the latest day alone: the record may have dropped others.
func (w *world) LatestNotes(context.Context, int) (out []visibility.Note, _ error) {
	for _, n := range w.notes {
		if n.Day == w.notes[len(w.notes)-1].Day {
			out = append(out, n)
		}
	}
	return out, w.lost
}

func (w *world) Top(context.Context, visibility.By, visibility.Filter, visibility.Range, visibility.Order, int) ([]visibility.TopRow, error) {
	return w.rows, w.fault
}

func watch(rules string) (*world, error) {
	r, err := alert.ParseRules([]byte(rules))
	if err != nil {
		return nil, err
	}
	w := &world{now: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), rules: r, refuses: make(map[string]error)}
	w.journal = w
	w.restart()
	return w, nil
}

// restart puts another watch in the place of this one.
func (w *world) restart() {
	w.Watch = alert.New(alert.Options{
		Rules: w.rules, History: w, Journal: w.journal,
		Facts: func(context.Context) (alert.Facts, error) { return w.facts, nil },
		Streaks: func(least int64) (out []visibility.Streak) {
			for _, s := range w.streaks {
				if s.Count >= least {
					out = append(out, s)
				}
			}
			return out
		},
		Notify: func(_ context.Context, n alert.Notice) error {
			if err := w.refuses[n.Endpoint]; err != nil {
				return err
			}
			w.notices = append(w.notices, n)
			return nil
		},
		Pause: func(_ context.Context, q centrifuge.QueueKey, _ string) error {
			w.pauses = append(w.pauses, q)
			return nil
		},
		Now: func() time.Time { return w.now },
	})
}

// minutes lets time pass, with a look each minute, and returns the rules that fire.
func (w *world) minutes(t *testing.T, n int) []string {
	t.Helper()
	for range n {
		w.now = w.now.Add(time.Minute)
		if err := w.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all, err := w.Alerts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fire := []string{}
	for _, a := range all {
		if a.Ended.IsZero() {
			fire = append(fire, a.Rule)
		}
	}
	return fire
}

func mustWatch(t *testing.T, rules string) *world {
	t.Helper()
	w, err := watch(rules)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func row(destination string, succeeded, discarded int64) visibility.TopRow {
	return visibility.TopRow{Destination: destination, Counts: visibility.Counts{Succeeded: succeeded, Discarded: discarded}}
}

// An alert begins once, is told of once, outlasts what comes and goes, and ends once.
func TestHysteresis(t *testing.T) {
	w := mustWatch(t, "notify: [{url: 'https://hooks.example.com/x'}, {url: 'http://127.0.0.1/y', format: slack}]")
	expect := func(why string, minutes int, want ...string) {
		t.Helper()
		if got := w.minutes(t, minutes); !slices.Equal(got, want) {
			t.Fatalf("%s: %v fire, want %v", why, got, want)
		}
	}
	w.rows = []visibility.TopRow{row("a", 950, 50), row("small", 1, 9)}
	expect("all is well", 3)
	w.rows[0] = row("a", 890, 110)
	expect("below the bound", 1, "success_rate")
	w.rows[0] = row("a", 915, 85)
	expect("between the bounds", 60, "success_rate")
	w.rows[0] = row("a", 990, 10)
	expect("well, but not for long", 4, "success_rate")
	w.rows[0] = row("a", 800, 200)
	expect("again", 2, "success_rate")
	w.rows[0] = row("a", 990, 10)
	expect("well for some time", 6)
	if len(w.notices) != 4 {
		t.Fatalf("%d notices, want one of the beginning and one of the end for each of two", len(w.notices))
	}
	var told struct{ Rule, State, Destination, Text string }
	if err := json.Unmarshal(w.notices[2].Body, &told); err != nil || told.Rule != "success_rate" || told.State != "ended" || told.Destination != "a" {
		t.Errorf("told %s: %v", w.notices[2].Body, err)
	}
	if !strings.Contains(string(w.notices[1].Body), `"text":":warning: 89.0 %`) {
		t.Errorf("slack was told %s", w.notices[1].Body)
	}
	all, err := w.Alerts(t.Context())
	if err != nil || len(all) != 1 || all[0].Ended.IsZero() {
		t.Errorf("alerts %+v, %v", all, err)
	}
	w.minutes(t, 25*60)
	if all, _ := w.Alerts(t.Context()); len(all) != 0 {
		t.Errorf("a day later: %+v", all)
	}
}

func TestRules(t *testing.T) {
	queue := centrifuge.QueueKey{Source: "s", Destination: "d"}
	for name, tt := range map[string]struct {
		rules   string
		begin   func(*world)
		after   int // minutes
		want    string
		without string // a rule that turns it off
	}{
		"oldest": {begin: func(w *world) { w.facts.Oldest = w.now.Add(-4 * time.Hour) }, after: 1, want: "oldest_waiting", without: "oldest_waiting: {above: 0s}"},
		"ledger": {begin: func(w *world) { w.facts.Off = -1 }, after: 4, want: "ledger", without: "ledger: {for: 0s}"},
		"breaker": {
			begin: func(w *world) { w.facts.Breakers = []alert.Breaker{{Scope: queue}} }, after: 11, want: "breaker_open", without: "breaker_open: {for: 0s}",
		},
		"auth": {
			begin: func(w *world) { w.streaks = []visibility.Streak{{Queue: queue, Code: 401, Count: 30}} }, after: 1, want: "auth_streak", without: "auth_streak: {count: 0}",
		},
		"drain": {begin: func(w *world) {
			w.facts.Queues = []alert.Depth{{Queue: queue, Jobs: 5000}, {Queue: centrifuge.QueueKey{Source: "t", Destination: "d"}, Jobs: 5000, Paused: true}}
			w.rows = []visibility.TopRow{{Source: "s", Destination: "d", Counts: visibility.Counts{Succeeded: 100}}}
		}, after: 16, want: "drain", without: "drain: {longer: 0s}"},
	} {
		t.Run(name, func(t *testing.T) {
			w := mustWatch(t, "")
			tt.begin(w)
			if got := w.minutes(t, tt.after-1); tt.after > 1 && len(got) > 0 {
				t.Errorf("before its time %v fire", got)
			}
			if got := w.minutes(t, 1); len(got) != 1 || got[0] != tt.want {
				t.Errorf("%v fire, want %s", got, tt.want)
			}
			off := mustWatch(t, tt.without)
			tt.begin(off)
			if got := off.minutes(t, 20); len(got) > 0 {
				t.Errorf("%v fire, and it is off", got)
			}
		})
	}
}

// A queue is paused once, and again if it is resumed and refused as often once more.
func TestPause(t *testing.T) {
	queue := centrifuge.QueueKey{Source: "s", Destination: "d"}
	w := mustWatch(t, "auth_streak: {pause: 50}")
	for _, step := range []struct {
		count int64
		want  int
	}{{49, 0}, {50, 1}, {60, 1}, {99, 1}, {100, 2}, {0, 2}, {55, 3}} {
		w.streaks = []visibility.Streak{{Queue: queue, Code: 403, Count: step.count}}
		w.minutes(t, 1)
		if len(w.pauses) != step.want {
			t.Fatalf("with a streak of %d it was paused %d times, want %d", step.count, len(w.pauses), step.want)
		}
	}
	never := mustWatch(t, "")
	never.streaks = []visibility.Streak{{Queue: queue, Code: 403, Count: 1e6}}
	never.minutes(t, 3)
	if len(never.pauses) > 0 {
		t.Error("it was paused, though nothing says so")
	}
}

// An alert about the notices themselves is not sent.
func TestNoLoop(t *testing.T) {
	w := mustWatch(t, "notify: [{url: 'http://127.0.0.1/'}]")
	w.streaks = []visibility.Streak{{Queue: centrifuge.QueueKey{Source: alert.Source, Destination: "127.0.0.1"}, Code: 401, Count: 100}}
	if got := w.minutes(t, 1); len(got) != 1 || len(w.notices) != 0 {
		t.Errorf("%v fire, %d notices", got, len(w.notices))
	}
}

// While the record cannot be read, alerts stay as they are.
func TestBlind(t *testing.T) {
	w := mustWatch(t, "")
	w.rows = []visibility.TopRow{row("a", 1, 999)}
	w.minutes(t, 1)
	w.fault = errors.New("disk")
	for range 30 {
		w.now = w.now.Add(time.Minute)
		if err := w.Look(t.Context()); !errors.Is(err, w.fault) {
			t.Fatal(err)
		}
	}
	if all, _ := w.Alerts(t.Context()); len(all) != 1 || !all[0].Ended.IsZero() {
		t.Errorf("alerts %+v", all)
	}
}

func TestParseRules(t *testing.T) {
	for _, bad := range []string{
		"succes_rate: {below: 1}", "success_rate: {below: 2}", "success_rate: {below: .nan}", "success_rate: {below: 0.99, end_above: 0.5}",
		"success_rate: {window: 1s}", "end_after: -1m", "notify: [{url: 'ftp://x'}]", "notify: [{url: 'http://x', format: pager}]", "- 1",
		"auth_streak: {pause: -1}", "success_rate: {window: 5}",
	} {
		if _, err := alert.ParseRules([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	r, err := alert.ParseRules([]byte("oldest_waiting: {above: 90m}\n"))
	if err != nil || r.OldestWaiting.Above != 90*time.Minute || r.AuthStreak.Count != 25 || r.AuthStreak.Pause != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Of several watches one looks. Another that comes to goes on where it left off: what
// fires is told of once, and so is its end, whoever looks.
func TestOneOfSeveralWatchesLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules, err := alert.ParseRules([]byte("every: 1s\nend_after: 5s\nledger: {for: 1s}\nnotify: [{url: https://example.com/}]"))
		if err != nil {
			t.Fatal(err)
		}
		var told, off atomic.Int64
		shared := &world{}
		off.Store(1)
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		leads, watches := [2]atomic.Bool{}, [2]*alert.Watch{}
		for i := range watches {
			watches[i] = alert.New(alert.Options{
				Rules: rules, Leads: leads[i].Load, History: &world{}, Journal: shared,
				Facts:   func(context.Context) (alert.Facts, error) { return alert.Facts{Off: off.Load()}, nil },
				Streaks: func(int64) []visibility.Streak { return nil },
				Notify: func(context.Context, alert.Notice) error {
					told.Add(1)
					return nil
				},
			})
			ended.Go(func() { watches[i].Run(ctx) })
		}
		// after tells how many alerts each has then, and how many messages there were.
		after := func(why string, one, other int, notices int64) {
			t.Helper()
			time.Sleep(10 * time.Second)
			for i, want := range [2]int{one, other} {
				if got, err := watches[i].Alerts(ctx); err != nil || len(got) != want {
					t.Errorf("%s: watch %d has %+v, %v; want %d", why, i, got, err, want)
				}
			}
			if n := told.Load(); n != notices {
				t.Errorf("%s: %d notices, want %d", why, n, notices)
			}
		}
		change := func(from, to int) {
			leads[from].Store(false)
			leads[to].Store(true)
		}
		after("nobody leads", 0, 0, 0)
		leads[0].Store(true)
		after("one leads", 1, 0, 1)
		change(0, 1)
		after("the other leads", 0, 1, 1)
		off.Store(0)
		after("it is over", 0, 1, 2)
		change(1, 0)
		after("one leads again", 1, 0, 2)
		off.Store(1)
		after("it begins anew", 2, 0, 3)
		cancel()
		ended.Wait()
	})
}
