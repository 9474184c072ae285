package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a time that tests set.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func open(t *testing.T, dir string, c *clock) *Log {
	t.Helper()
	l, err := Open(Options{Dir: dir, Keep: 48 * time.Hour, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func end(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func act(t *testing.T, l *Log, e Entry, jobs int64, outcome error) {
	t.Helper()
	a, err := l.Begin(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.End(jobs, outcome); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, l *Log, f Filter, before string, limit int) Page {
	t.Helper()
	page, err := l.List(f, before, limit)
	if err != nil || len(page.Problems) > 0 {
		t.Fatalf("list: %v, %v", err, page.Problems)
	}
	return page
}

func TestActionsAreToldAsTheyWere(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 23, 59, 59, 500e6, time.UTC)}
	l := open(t, t.TempDir(), c)
	act(t, l, Entry{Who: "ops", Role: "operator", Address: "10.0.0.1", Action: "queue.retry", Source: "shop", Detail: "now"}, 7, nil)
	act(t, l, Entry{Who: "eve", Action: "queue.expire", Destination: "crm"}, 0, errors.New("refused"))
	late, err := l.Begin(Entry{Who: "ops", Action: "archive.replay", Source: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Begin(Entry{Who: "ops", Action: "queue.policy"}); err != nil {
		t.Fatal(err)
	}
	c.t = c.t.Add(3 * time.Second) // into the next day, and file
	if err := late.End(500, nil); err != nil {
		t.Fatal(err)
	}

	var told []string
	for _, e := range list(t, l, Filter{}, "", 100).Entries {
		told = append(told, fmt.Sprintf("%s %s %s %s %s %d %s", e.Who, e.Action, e.Source, e.Destination, e.Outcome, e.Jobs, e.Took))
	}
	want := []string{
		"ops queue.policy   unknown 0 0s",
		"ops archive.replay shop  ok 500 3s",
		"eve queue.expire  crm refused 0 0s",
		"ops queue.retry shop  ok 7 0s",
	}
	if strings.Join(told, "\n") != strings.Join(want, "\n") {
		t.Errorf("told is\n%s", strings.Join(told, "\n"))
	}
	for f, n := range map[Filter]int{
		{Who: "ops"}: 3, {Source: "shop"}: 2, {Destination: "crm"}: 1, {Action: "queue.retry", Who: "eve"}: 0,
		{Since: c.t}: 0, {Since: c.t.Add(-4 * time.Second)}: 4,
	} {
		if got := len(list(t, l, f, "", 100).Entries); got != n {
			t.Errorf("%+v gives %d entries, want %d", f, got, n)
		}
	}
}

func TestPages(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	dir := t.TempDir()
	l := open(t, dir, c)
	for i := range 25 {
		if i == 12 { // a next process goes on in a file of its own
			end(t, l)
			l = open(t, dir, c)
		}
		act(t, l, Entry{Who: "ops", Action: fmt.Sprint(i)}, int64(i), nil)
	}
	var got []string
	for before := ""; ; {
		page := list(t, l, Filter{}, before, 10)
		for _, e := range page.Entries {
			got = append(got, e.Action)
		}
		if before = page.Next; before == "" {
			break
		}
	}
	if len(got) != 25 || got[0] != "24" || got[24] != "0" {
		t.Errorf("the pages hold %q", got)
	}
}

func TestOldFilesAreRemoved(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	l := open(t, dir, c)
	for range 5 {
		act(t, l, Entry{Who: "ops", Action: "a"}, 0, nil)
		c.t = c.t.Add(24 * time.Hour)
	}
	if n := len(list(t, l, Filter{}, "", 100).Entries); n != 3 { // of the last two days, and the day they begin in
		t.Errorf("%d entries were kept", n)
	}
}

// When the files take more room than they may, the oldest go, whole, as soon as a next
// one is begun; what is there is told after a restart as before it.
func TestTooMuchIsRemoved(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	write := func(n int) {
		t.Helper()
		line := fmt.Sprintf(`{"time":"2026-01-02T0%d:00:00Z","who":"ops %d","action":"a"}%s`, n, n, strings.Repeat(" ", 3<<20)) + "\n"
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("2026-01-02-%04d.ndjson", n)), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 5 {
		write(n + 1)
	}
	reopen := func() *Log {
		t.Helper()
		l, err := Open(Options{Dir: dir, MaxBytes: 10 << 20, Now: c.now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	who := func(l *Log) (all []string) {
		t.Helper()
		for _, e := range list(t, l, Filter{}, "", 100).Entries {
			all = append(all, e.Who)
		}
		return all
	}
	l := reopen()
	if got := who(l); !slices.Equal(got, []string{"ops 5", "ops 4", "ops 3"}) {
		t.Errorf("when opened it has %q", got)
	}
	act(t, l, Entry{Who: "ann", Action: "b"}, 0, nil)
	c.t = c.t.Add(24 * time.Hour)
	write(7) // beside what is written
	act(t, l, Entry{Who: "bob", Action: "b"}, 0, nil)
	want := []string{"bob", "ops 7", "ann", "ops 5", "ops 4"}
	if got := who(l); !slices.Equal(got, want) {
		t.Errorf("after another day it has %q", got)
	}
	end(t, l)
	if got := who(reopen()); !slices.Equal(got, want) {
		t.Errorf("after a restart it has %q", got)
	}
}

// Half a line, as a crash leaves it, hides nothing of what was written before or
// after it.
func TestTornLinesAndDamage(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	l := open(t, dir, c)
	act(t, l, Entry{Who: "ops", Action: "a"}, 1, nil)
	end(t, l)
	path := filepath.Join(dir, "2026-01-02-0001.ndjson")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text[:len(text)-4], 0o600); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, c)
	act(t, l, Entry{Who: "ops", Action: "b"}, 2, nil)
	entries := list(t, l, Filter{}, "", 10).Entries
	if len(entries) != 2 || entries[0].Outcome != Done || entries[1].Outcome != Unknown {
		t.Errorf("told is %+v", entries)
	}

	if err := os.WriteFile(path, append([]byte("nonsense\n{}\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	page, err := l.List(Filter{}, "", 10)
	if err != nil || len(page.Entries) != 2 || len(page.Problems) != 1 || !strings.Contains(page.Problems[0].Error(), "at byte 9: no action") {
		t.Errorf("a damaged file gives %+v, %v", page, err)
	}
}

func TestNothingIsBegunThatCannotBeWritten(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)}
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, dir, c)
	a, err := l.Begin(Entry{Action: "a"})
	if err != nil {
		t.Fatal(err)
	}
	c.t = c.t.Add(24 * time.Hour) // a next file is needed
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Begin(Entry{Action: "b"}); err == nil {
		t.Error("an action was begun without a log")
	}
	if err := a.End(1, nil); err == nil || !strings.Contains(err.Error(), "was done") {
		t.Errorf("an outcome that was not written: %v", err)
	}
}

func TestStrangersTexts(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)}
	l := open(t, t.TempDir(), c)
	act(t, l, Entry{Who: "a\nb\x00\xff", Action: "a", Source: strings.Repeat("s", 1<<20)}, 0, errors.New(strings.Repeat("e", 1<<20)))
	e := list(t, l, Filter{}, "", 1).Entries[0]
	if e.Who != "a\nb\x00\uFFFD" || len(e.Source) > maxText+3 || len(e.Outcome) > maxText+3 {
		t.Errorf("told is who %q, source of %d, outcome of %d bytes", e.Who, len(e.Source), len(e.Outcome))
	}
}

func TestManyAtOnce(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)}
	l := open(t, t.TempDir(), c)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 10 {
				a, err := l.Begin(Entry{Who: "ops", Action: "a"})
				if err == nil {
					err = a.End(1, nil)
				}
				if err != nil {
					t.Error(err)
				}
				if _, err := l.List(Filter{}, "", 10); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	entries := list(t, l, Filter{}, "", 1000).Entries
	for _, e := range entries {
		if e.Outcome != Done || e.Jobs != 1 {
			t.Errorf("told is %+v", e)
		}
	}
	if len(entries) != 100 {
		t.Errorf("%d entries of 100", len(entries))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-02T03:04:05Z","who":"ops","role":"admin","action":"a"}` + "\n" + `{"of":"f:00000000","outcome":"ok"}` + "\n"))
	f.Add([]byte("{}\nnull\n[]\n{\"of\":1}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		entries, _ := parse(strings.NewReader(string(content)), "f", map[string]line{})
		for _, e := range entries {
			if e.Action == "" || e.Outcome == "" && !strings.Contains(string(content), "of") {
				t.Errorf("told is %+v", e)
			}
		}
	})
}
