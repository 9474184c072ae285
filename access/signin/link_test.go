package signin

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"centrifuge/access/keyring"
)

func TestCustomersLinks(t *testing.T) {
	h := build(t, nil)
	path, err := h.door.Create("shop", time.Now().Add(30*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
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
	path, err := h.door.Create("shop", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
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

func FuzzReadLink(f *testing.F) {
	keys, err := keyring.Open(filepath.Join(f.TempDir(), "keys"), slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	door, err := New(Options{Keys: keys})
	if err != nil {
		f.Fatal(err)
	}
	path, err := door.Create("shop", time.Now().Add(time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	good := strings.TrimPrefix(path, customerPath)
	f.Add(good)
	f.Add(`{"source":"shop","until":"2100-01-01T00:00:00Z"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := door.readLink(text); err == nil && text != good {
			t.Errorf("%q opens %+v", text, l)
		}
		// What a link says, if it could be made.
		if l, err := door.readLink(keys.Seal(linkPurpose, []byte(text))); err == nil && (l.Source == "" || !l.principal().Customer) {
			t.Errorf("%q opens %+v", text, l)
		}
	})
}
