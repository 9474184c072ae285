package links_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge/access/links"
	"centrifuge/access/links/linkstest"
)

var noon = time.Date(2026, 7, 31, 12, 0, 0, 0, time.UTC)

func folder(t *testing.T, dir string) *links.Folder {
	t.Helper()
	f, err := links.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "links")
	linkstest.Notes(t, folder(t, dir), folder(t, dir))
	// What a process that died had half written is gone, and was never read.
	if err := os.WriteFile(filepath.Join(dir, ".draft-1"), []byte("ha"), 0o600); err != nil {
		t.Fatal(err)
	}
	if notes, err := folder(t, dir).Read(t.Context()); err != nil || len(notes) != 2 {
		t.Errorf("read %q, %v", notes, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// failing are notes that cannot be reached while err is set.
type failing struct {
	links.Notes
	err   error
	reads int
}

func (f *failing) Read(ctx context.Context) (map[string][]byte, error) {
	f.reads++
	if f.err != nil {
		return nil, f.err
	}
	return f.Notes.Read(ctx)
}

func ids(t *testing.T, r *links.Register) (out []string) {
	t.Helper()
	all, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		id := l.ID
		if l.Revoked() {
			id += " by " + l.Revocation.By
		}
		out = append(out, id)
	}
	return out
}

func add(t *testing.T, r *links.Register, id string, made time.Time, lives time.Duration) {
	t.Helper()
	if err := r.Add(t.Context(), links.Link{ID: id, Source: "shop", By: "ann", Made: made, Until: made.Add(lives)}); err != nil {
		t.Fatal(err)
	}
}

// A link that is revoked at one instance is revoked at the other a second later, and
// after both have started anew.
func TestRevoke(t *testing.T) {
	dir, now := t.TempDir(), noon
	clock := func() time.Time { return now }
	here, there := links.New(folder(t, dir), clock), links.New(folder(t, dir), clock)
	add(t, here, "one", noon, time.Hour)
	add(t, here, "two", noon.Add(time.Minute), time.Hour)
	add(t, here, "six", noon.Add(time.Minute), time.Hour)
	if got := ids(t, there); !slices.Equal(got, []string{"six", "two", "one"}) {
		t.Errorf("listed are %q", got)
	}
	is := func(r *links.Register, id string, want bool) {
		t.Helper()
		if got, err := r.Revoked(t.Context(), id); err != nil || got != want {
			t.Errorf("%s is revoked: %t, %v", id, got, err)
		}
	}
	is(there, "one", false)
	if err := here.Revoke(t.Context(), "one", "bob"); err != nil {
		t.Fatal(err)
	}
	is(here, "one", true)
	is(here, "two", false)
	is(here, "unknown", false)
	now = now.Add(time.Second)
	is(there, "one", true)
	is(there, "two", false)

	if err := there.Revoke(t.Context(), "one", "eve"); err != nil {
		t.Errorf("revoked again: %v", err)
	}
	if err := here.Revoke(t.Context(), "three", "bob"); !errors.Is(err, links.ErrUnknown) {
		t.Errorf("an unknown one: %v", err)
	}
	again := links.New(folder(t, dir), clock)
	is(again, "one", true)
	l, err := again.Find(t.Context(), "one")
	if err != nil || l.Source != "shop" || l.By != "ann" || !l.Made.Equal(noon) || l.Revocation.By != "bob" || !l.Revocation.Time.Equal(noon) {
		t.Errorf("found %+v, %v", l, err)
	}

	// What has expired is forgotten, its notes too.
	now = noon.Add(time.Hour)
	if got := ids(t, again); !slices.Equal(got, []string{"six", "two"}) {
		t.Errorf("listed are %q", got)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("left are %v, %v", files, err)
	}
	if err := here.Revoke(t.Context(), "one", "bob"); !errors.Is(err, links.ErrUnknown) {
		t.Errorf("an expired one: %v", err)
	}
}

// While notes cannot be read the register goes by what it has read for a minute, and
// then lets nobody through; at first it knows nothing.
func TestNotesCannotBeRead(t *testing.T) {
	now, fault := noon, errors.New("away")
	notes := &failing{Notes: folder(t, t.TempDir()), err: fault}
	r := links.New(notes, func() time.Time { return now })
	if _, err := r.Revoked(t.Context(), "one"); !errors.Is(err, links.ErrUnchecked) || !errors.Is(err, fault) {
		t.Errorf("before the first reading: %v", err)
	}
	notes.err = nil
	add(t, r, "one", noon, time.Hour)
	if err := r.Revoke(t.Context(), "one", "bob"); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if revoked, err := r.Revoked(t.Context(), "one"); err != nil || !revoked {
			t.Fatalf("%t, %v", revoked, err)
		}
	}
	if notes.reads > 5 {
		t.Errorf("the notes were read %d times in a second", notes.reads)
	}
	notes.err = fault
	now = now.Add(59 * time.Second)
	if revoked, err := r.Revoked(t.Context(), "one"); err != nil || !revoked {
		t.Errorf("after 59 s: %t, %v", revoked, err)
	}
	now = now.Add(time.Second)
	if _, err := r.Revoked(t.Context(), "two"); !errors.Is(err, links.ErrUnchecked) {
		t.Errorf("after a minute: %v", err)
	}
	if err := r.Revoke(t.Context(), "one", "bob"); !errors.Is(err, fault) {
		t.Errorf("revoked without its notes: %v", err)
	}
	notes.err = nil
	now = now.Add(time.Second)
	if revoked, err := r.Revoked(t.Context(), "one"); err != nil || !revoked {
		t.Errorf("when they are back: %t, %v", revoked, err)
	}
}

// A note that is damaged is told of; nothing is taken for not revoked because of it.
func TestDamagedNotes(t *testing.T) {
	for name, content := range map[string]string{
		"one.made": `{"id":"two"}`, "two.made": `{`, "ok.revoked": ``, "ok.revoked ": `{}`,
	} {
		notes := folder(t, t.TempDir())
		add(t, links.New(notes, nil), "ok", time.Now(), time.Hour)
		if err := notes.Write(t.Context(), strings.TrimSpace(name), []byte(content)); err != nil {
			t.Fatal(err)
		}
		r := links.New(notes, nil)
		if _, err := r.List(t.Context()); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s %s: %v", name, content, err)
		}
		if _, err := r.Revoked(t.Context(), "ok"); !errors.Is(err, links.ErrUnchecked) {
			t.Errorf("%s %s: %v", name, content, err)
		}
	}
}

func TestIDs(t *testing.T) {
	if a, b := links.NewID(), links.NewID(); a == b || len(a) != 10 || strings.Trim(a, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		t.Errorf("ids are %s and %s", a, b)
	}
}
