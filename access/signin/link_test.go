package signin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/access/keyring"
	"centrifuge/access/links"
)

// link makes a link to shop that is good for a time from now.
func (h *house) link(t *testing.T, lives time.Duration) (id, path string) {
	t.Helper()
	l := links.Link{ID: links.NewID(), Source: "shop", By: "ann", Made: time.Now(), Until: time.Now().Add(lives)}
	path, err := h.door.Create(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return l.ID, path
}

func TestCustomersLinks(t *testing.T) {
	h := build(t, nil)
	_, path := h.link(t, 30*time.Hour)
	const shown = "customer|viewer|[shop]|true|127.0.0.1"
	c := browser(t)
	if status, content := h.get(t, c, path); status != 200 || content != shown {
		t.Errorf("the link shows %d: %s", status, content)
	}
	if status, content := h.get(t, c, "/"); status != 200 || content != shown {
		t.Errorf("its session shows %d: %s", status, content)
	}

	// Changed in any place, cut, or made otherwise, it shows nothing.
	last := path[len(path)-1:]
	for _, bad := range []string{
		path[:len(path)-1], path + "A", strings.TrimSuffix(path, last) + map[bool]string{true: "B", false: "A"}[last == "A"],
		strings.Replace(path, ".", "x", 1), "/customer/x", "/customer/" + h.door.o.Keys.Seal(sessionPurpose, []byte(`{"source":"shop","until":"2100-01-01T00:00:00Z"}`)),
		"/customer/" + h.door.o.Keys.Seal(linkPurpose, []byte(`{"until":"2100-01-01T00:00:00Z"}`)),
		"/customer/" + h.door.o.Keys.Seal(linkPurpose, []byte(`{`)),
	} {
		h.later(failureEvery)
		status, content := h.get(t, browser(t), bad)
		if status != 403 || !strings.Contains(content, "not valid") && !strings.Contains(content, "expired") || strings.Contains(content, "|") {
			t.Errorf("%s shows %d: %s", bad, status, content)
		}
	}

	// A colleague is not turned into a customer by it.
	ann := browser(t)
	h.signIn(t, ann, "admin-token", "/")
	if status, content := h.get(t, ann, path); status != 409 || !strings.Contains(content, "signed in as ann") {
		t.Errorf("a colleague is shown %d: %s", status, content)
	}
	if _, content := h.get(t, ann, "/"); !strings.HasPrefix(content, "ann|admin") {
		t.Errorf("a colleague is now %s", content)
	}

	// It ends, and with it the session that it began.
	h.later(20 * time.Hour)
	c = browser(t)
	h.get(t, c, path)
	h.later(30 * time.Minute)
	if _, content := h.get(t, c, "/"); content != shown {
		t.Fatalf("its session shows %s", content)
	}
	for range 20 {
		h.later(30 * time.Minute)
		if _, content := h.get(t, c, "/"); content != shown && h.door.o.Now().Before(time.Now().Add(30*time.Hour)) {
			t.Errorf("the session ended before the link: %s", content)
		}
	}
	if _, content := h.get(t, c, "/"); strings.Contains(content, "|") {
		t.Errorf("the session outlived the link: %s", content)
	}
	if status, content := h.get(t, c, path); status != 403 || !strings.Contains(content, "expired") {
		t.Errorf("an expired link shows %d: %s", status, content)
	}
}

func TestLinksAreWithdrawnWithTheirKeys(t *testing.T) {
	h, c := build(t, nil), browser(t)
	_, path := h.link(t, time.Hour)
	h.get(t, c, path)
	if err := keyring.Rotate(h.keys, true); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, content := h.get(t, c, "/"); !strings.Contains(content, "|") {
			break
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the session of a link outlived its key")
		}
	}
	if status, _ := h.get(t, c, path); status != 403 {
		t.Errorf("the link outlived its key: %d", status)
	}
}

// A link that is revoked ends, and with it the session that it began; others go on.
// Links of the time before they had ids cannot be revoked, and are good.
func TestRevokedLinks(t *testing.T) {
	h := build(t, nil)
	id, path := h.link(t, time.Hour)
	_, other := h.link(t, time.Hour)
	old := customerPath + h.door.o.Keys.Seal(linkPurpose, []byte(`{"source":"shop","until":"2100-01-01T00:00:00Z"}`))
	jars := map[string]*http.Client{}
	for _, p := range []string{path, other, old} {
		jars[p] = browser(t)
		if status, content := h.get(t, jars[p], p); status != 200 || !strings.HasPrefix(content, "customer|viewer|[shop]") {
			t.Fatalf("a link shows %d: %s", status, content)
		}
	}
	if err := h.door.o.Links.Revoke(t.Context(), id, "ann"); err != nil {
		t.Fatal(err)
	}
	if status, content := h.get(t, jars[path], path); status != 403 || !strings.Contains(content, "was revoked") {
		t.Errorf("a revoked link shows %d: %s", status, content)
	}
	for p, c := range jars {
		if _, content := h.get(t, c, "/"); strings.Contains(content, "|") != (p != path) {
			t.Errorf("the session of %s shows %s", p, content)
		}
	}
}

// While it cannot be told which links were revoked, none opens, and no session of one
// goes on.
func TestLinksCannotBeChecked(t *testing.T) {
	notes := &unreadable{}
	h := build(t, func(o *Options, h *house) {
		notes.Notes = h.notes
		o.Links = links.New(notes, o.Now)
	})
	_, path := h.link(t, 3*time.Hour)
	c := browser(t)
	h.get(t, c, path)
	notes.away.Store(true)
	h.later(time.Minute)
	if status, content := h.get(t, browser(t), path); status != 503 || !strings.Contains(content, "cannot be checked") {
		t.Errorf("a link shows %d: %s", status, content)
	}
	if _, content := h.get(t, c, "/"); strings.Contains(content, "|") {
		t.Errorf("its session shows %s", content)
	}
}

type unreadable struct {
	links.Notes
	away atomic.Bool
}

func (u *unreadable) Read(ctx context.Context) (map[string][]byte, error) {
	if u.away.Load() {
		return nil, errors.New("away")
	}
	return u.Notes.Read(ctx)
}

func FuzzReadLink(f *testing.F) {
	keys, err := keyring.Open(filepath.Join(f.TempDir(), "keys"), slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	notes, err := links.OpenFolder(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	door, err := New(Options{Keys: keys, Links: links.New(notes, nil)})
	if err != nil {
		f.Fatal(err)
	}
	path, err := door.Create(f.Context(), links.Link{ID: "one", Source: "shop", Made: time.Now(), Until: time.Now().Add(time.Hour)})
	if err != nil {
		f.Fatal(err)
	}
	good := strings.TrimPrefix(path, customerPath)
	f.Add(good)
	f.Add(`{"source":"shop","until":"2100-01-01T00:00:00Z"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := door.readLink(t.Context(), text); err == nil && text != good {
			t.Errorf("%q opens %+v", text, l)
		}
		// What a link says, if it could be made.
		if l, err := door.readLink(t.Context(), keys.Seal(linkPurpose, []byte(text))); err == nil && (l.Source == "" || !l.principal().Customer) {
			t.Errorf("%q opens %+v", text, l)
		}
	})
}
