package sqlite_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"centrifuge/visibility"
	"centrifuge/visibility/sqlite"
	"centrifuge/visibility/visibilitytest"
)

func open(t *testing.T, folder string) *sqlite.Backend {
	t.Helper()
	b, err := sqlite.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// The folder's path may be relative and odd. What is dropped leaves no file, and what
// is set aside one.
func TestContract(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, folder := range []string{"data", "odd ?#% name/ü", filepath.Join(t.TempDir(), "absolute")} {
		t.Run(folder, func(t *testing.T) {
			visibilitytest.Backend(t, func() visibility.Backend { return open(t, folder) })
			left, err := filepath.Glob(filepath.Join(folder, "*.db"))
			if err != nil || len(left) > 0 {
				t.Errorf("left are %v, %v", left, err)
			}
			if aside, err := filepath.Glob(filepath.Join(folder, "*.damaged")); err != nil || len(aside) == 0 {
				t.Errorf("nothing was set aside: %v", err)
			}
		})
	}
}

// Files that are not ours are told apart from those that cannot be read for a time.
func TestNotOurs(t *testing.T) {
	for i, content := range []string{"", "short", string(bytes.Repeat([]byte("noise"), 5000))} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "2024-10-04.db"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		b := open(t, folder)
		days, err := b.Days(t.Context())
		if err != nil || len(days) != 1 {
			t.Fatal(days, err)
		}
		err = b.Scan(t.Context(), days[0], 0, 1, func(uint64, []byte) error { return nil })
		if !errors.Is(err, visibility.ErrCorrupt) {
			t.Errorf("%d: %v", i, err)
		}
	}
	folder := t.TempDir()
	for _, name := range []string{"notes.txt", "x.db", "2024-10-04.db.damaged"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if days, err := open(t, folder).Days(t.Context()); err != nil || len(days) != 0 {
		t.Errorf("days %v, %v", days, err)
	}
	if _, err := sqlite.Open(filepath.Join(folder, "notes.txt")); err == nil {
		t.Error("a file was taken for a folder")
	}
}
