package keyring

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge/internal/watch"
)

func open(t *testing.T, path string) *Ring {
	t.Helper()
	r, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSealedIsReadBackAndNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	r := open(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of keys: %v, %v", info, err)
	}
	sealed := r.Seal("session", []byte("shop"))
	for range 2 { // the second is a process that started later
		if content, err := r.Open("session", sealed); err != nil || string(content) != "shop" {
			t.Errorf("read back %q, %v", content, err)
		}
		r = open(t, path)
	}
	if strings.Contains(sealed, "shop") || sealed == r.Seal("session", []byte("shop")) {
		t.Errorf("sealed is %s", sealed)
	}
	if strings.ContainsFunc(sealed, func(c rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", c)
	}) {
		t.Errorf("%s does not go into a URL or a cookie", sealed)
	}

	if _, err := r.Open("link", sealed); !errors.Is(err, ErrSeal) {
		t.Errorf("opened for another purpose: %v", err)
	}
	if _, err := open(t, filepath.Join(t.TempDir(), "keys")).Open("session", sealed); !errors.Is(err, ErrSeal) {
		t.Errorf("opened with another's keys: %v", err)
	}
	for i := range sealed {
		changed := []byte(sealed)
		changed[i] ^= 1
		if _, err := r.Open("session", string(changed)); !errors.Is(err, ErrSeal) {
			t.Errorf("opened with byte %d changed: %v", i, err)
		}
	}
	for _, text := range []string{"", ".", sealed[:len(sealed)-1], sealed + "A", " " + sealed, sealed[9:], sealed[:9]} {
		if _, err := r.Open("session", text); !errors.Is(err, ErrSeal) {
			t.Errorf("%q was opened: %v", text, err)
		}
	}
}

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		r := open(t, path)
		first := r.Seal("p", []byte("1"))
		opens := func(sealed string) bool {
			_, err := r.Open("p", sealed)
			return err == nil
		}
		if err := Rotate(path, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(watch.Recheck)
		second := r.Seal("p", []byte("2"))
		if !opens(first) || !opens(second) || first[:8] == second[:8] {
			t.Errorf("after a rotation %s opens: %t, %s opens: %t", first, opens(first), second, opens(second))
		}
		if err := Rotate(path, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(watch.Recheck)
		if opens(first) || opens(second) || !opens(r.Seal("p", []byte("3"))) {
			t.Error("keys that were taken out still open")
		}
	})
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	good := "00112233:" + strings.Repeat("ab", keyBytes)
	for content, want := range map[string]string{
		"":                     "holds no key",
		"#\n":                  "holds no key",
		good[:len(good)-2]:     "line 1: want",
		good + "\n" + good[2:]: "line 2: want",
		good + "zz":            "line 1: want",
		"secret":               "line 1: want",
	} {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "abab") {
			t.Errorf("%.20q gave %v, want %q", content, err, want)
		}
		if err := Rotate(path, false); err == nil {
			t.Errorf("%.20q was rotated", content)
		}
	}
	if err := Rotate(filepath.Join(t.TempDir(), "keys"), false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there was rotated: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "keys")
	r, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	sealed := r.Seal("p", []byte("content"))
	f.Add(sealed)
	f.Add(sealed[:9])
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		if content, err := r.Open("p", text); err == nil && text != sealed {
			t.Errorf("%q opened to %q", text, content)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("00112233:" + strings.Repeat("ab", keyBytes)))
	f.Fuzz(func(t *testing.T, content []byte) {
		keys, err := parse(content)
		if err == nil && len(keys) == 0 {
			t.Error("no keys and no error")
		}
		for _, k := range keys {
			k.sealer("p") // panics if a key could not be used
		}
	})
}
