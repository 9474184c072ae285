package sqlite_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"centrifuge/visibility"
	"centrifuge/visibility/sqlite"
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

func scan(t *testing.T, b *sqlite.Backend, d visibility.Day, from, to uint64) (keys []uint64, text string) {
	t.Helper()
	err := b.Scan(t.Context(), d, from, to, func(key uint64, data []byte) error {
		keys = append(keys, key)
		text += string(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, text
}

// What was written is read in order, by this process and the next; a write deletes
// first; days are apart. The folder's path may be relative and odd.
func TestWriteAndScan(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, folder := range []string{"data", "odd ?#% name/ü", filepath.Join(t.TempDir(), "absolute")} {
		t.Run(folder, func(t *testing.T) {
			b := open(t, folder)
			write := func(d visibility.Day, w visibility.Write) {
				t.Helper()
				if err := b.Write(t.Context(), d, &w); err != nil {
					t.Fatal(err)
				}
			}
			write(20000, visibility.Write{Put: []visibility.Entry{{Key: 9, Data: []byte("nine")}, {Key: 2, Data: []byte("two")}, {Key: 5, Data: []byte("five")}}})
			write(20001, visibility.Write{Put: []visibility.Entry{{Key: 5, Data: bytes.Repeat([]byte("x"), 1<<20)}}})
			write(20000, visibility.Write{
				Delete: []visibility.KeyRange{{From: 5, To: 9}},
				Put:    []visibility.Entry{{Key: 9, Data: []byte("new")}, {Key: 2, Data: []byte("2")}},
			})
			for range 2 {
				if keys, text := scan(t, b, 20000, 0, 1<<62); !slices.Equal(keys, []uint64{2, 9}) || text != "2new" {
					t.Errorf("read %v %q", keys, text)
				}
				if keys, _ := scan(t, b, 20000, 3, 8); len(keys) != 0 {
					t.Errorf("read %v out of range", keys)
				}
				if keys, _ := scan(t, b, 20002, 0, 1<<62); len(keys) != 0 {
					t.Errorf("read %v of a day without anything", keys)
				}
				if days, err := b.Days(t.Context()); err != nil || !slices.Equal(days, []visibility.Day{20000, 20001}) {
					t.Errorf("days %v, %v", days, err)
				}
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				b = open(t, folder)
			}
			if err := b.Drop(t.Context(), 20000); err != nil {
				t.Fatal(err)
			}
			if err := b.SetAside(t.Context(), 20001); err != nil {
				t.Fatal(err)
			}
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

// A callback that fails ends the scan with its error.
func TestScanFails(t *testing.T) {
	b := open(t, t.TempDir())
	if err := b.Write(t.Context(), 1, &visibility.Write{Put: []visibility.Entry{{Key: 1}, {Key: 2}}}); err != nil {
		t.Fatal(err)
	}
	fault, calls := errors.New("enough"), 0
	err := b.Scan(t.Context(), 1, 0, 9, func(uint64, []byte) error { calls++; return fault })
	if !errors.Is(err, fault) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
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
