package sqlite

import (
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge"
	"centrifuge/jobdb"
)

// written makes a JobDB with some jobs, closes it and returns its path.
func written(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jobs.db")
	db, err := Open(t.Context(), Options{Path: path, Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	l := newLoad([]byte("payload"))
	for range 10 {
		var b jobdb.Batch
		l.fill(t, &b, 20, 2)
		if err := db.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// contents reads every file of a folder.
func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func garbage(b []byte) {
	for i := range b {
		b[i] = byte(i*7 + 13)
	}
}

func TestUnusableFileIsRefusedAndLeftUntouched(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, path string)
		want   error
	}{
		{"empty", func(t *testing.T, path string) {
			edit(t, path, func([]byte) []byte { return nil })
		}, jobdb.ErrCorrupt},
		{"less than a header", func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { return b[:60] })
		}, jobdb.ErrCorrupt},
		{"not SQLite", func(t *testing.T, path string) {
			edit(t, path, func([]byte) []byte { return []byte(strings.Repeat("a text file\n", 1000)) })
		}, jobdb.ErrCorrupt},
		{"half of it", func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { return b[:len(b)/8192*4096] })
		}, jobdb.ErrCorrupt},
		{"without its last byte", func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { return b[:len(b)-1] })
		}, jobdb.ErrCorrupt},
		{"without its last page", func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { return b[:len(b)-4096] })
		}, jobdb.ErrCorrupt},
		{"of another application", func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { binary.BigEndian.PutUint32(b[68:], 0x0f055112); return b })
		}, jobdb.ErrCorrupt},
		{"plain SQLite", foreign, jobdb.ErrCorrupt},
		{"newer", func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { binary.BigEndian.PutUint32(b[60:], schemaVersion+1); return b })
		}, jobdb.ErrNewerSchema},
		{"without a version", func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { binary.BigEndian.PutUint32(b[60:], 0); return b })
		}, jobdb.ErrCorrupt},
		{"impossible page size", func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { b[16], b[17] = 0x12, 0x34; return b })
		}, jobdb.ErrCorrupt},
		{"damaged schema", func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { garbage(b[100:4096]); return b })
		}, jobdb.ErrCorrupt},
		{"damaged after the schema", func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { garbage(b[4096:]); return b })
		}, jobdb.ErrCorrupt},
		{"damaged, with a log", crashedAndDamaged, jobdb.ErrCorrupt},
		{"gone, with a log", func(t *testing.T, path string) {
			crashed(t, path)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, jobdb.ErrCorrupt},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := written(t)
			test.damage(t, path)
			before := contents(t, filepath.Dir(path))
			db, err := Open(t.Context(), Options{Path: path, Epoch: 3})
			if err == nil {
				_ = db.Close()
			}
			if !errors.Is(err, test.want) {
				t.Errorf("open: %v, want %v", err, test.want)
			} else if !strings.Contains(err.Error(), path) {
				t.Errorf("open: %v, want the path %s in it", err, path)
			}
			if after := contents(t, filepath.Dir(path)); !maps.Equal(before, after) {
				t.Errorf("the files were changed: %v, were %v", sizes(after), sizes(before))
			}
		})
	}
}

func sizes(files map[string]string) map[string]int {
	n := make(map[string]int)
	for name, b := range files {
		n[name] = len(b)
	}
	return n
}

// foreign replaces the file by a database that SQLite alone made.
func foreign(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	db, err := connect(path, "rwc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE jobs (id INTEGER)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// crashed leaves the file with a log, as a crash would.
func crashed(t *testing.T, path string) {
	t.Helper()
	db, err := Open(t.Context(), Options{Path: path, Epoch: 2})
	if err != nil {
		t.Fatal(err)
	}
	var b jobdb.Batch
	newLoad(nil).fill(t, &b, 1, 0)
	if err := db.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	files := contents(t, filepath.Dir(path))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	delete(files, filepath.Base(path)+shmSuffix)
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if size, err := sizeOf(path + walSuffix); err != nil || size <= 0 {
		t.Fatalf("log of %d bytes, %v", size, err)
	}
}

func crashedAndDamaged(t *testing.T, path string) {
	t.Helper()
	crashed(t, path)
	edit(t, path, func(b []byte) []byte { garbage(b[4096:]); return b })
}

func TestCrashedFileIsRecovered(t *testing.T) {
	path := written(t)
	crashed(t, path)
	db, err := Open(t.Context(), Options{Path: path, Epoch: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if n := count(t, db); n != 10*20+1 {
		t.Errorf("%d jobs, want %d", n, 10*20+1)
	}
}

func count(t testing.TB, db jobdb.DB) int {
	t.Helper()
	n := 0
	for _, err := range db.Scan(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// Damage that opening does not see is told by the reads that meet it.
func TestDamageIsToldWhenItIsRead(t *testing.T) {
	path := written(t)
	edit(t, path, func(b []byte) []byte { garbage(b[len(b)/2:]); return b })
	db, err := Open(t.Context(), Options{Path: path, Epoch: 2})
	if errors.Is(err, jobdb.ErrCorrupt) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var ids []centrifuge.ID
	for row, err := range db.Scan(t.Context()) {
		if err != nil {
			if !errors.Is(err, jobdb.ErrCorrupt) {
				t.Errorf("scan: %v, want ErrCorrupt", err)
			}
			return
		}
		ids = append(ids, row.ID)
	}
	if _, err := db.Load(t.Context(), nil, ids); !errors.Is(err, jobdb.ErrCorrupt) {
		t.Errorf("load: %v, want ErrCorrupt", err)
	}
}

func TestUnfinishedFileOfAnEarlierCrashIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs ? % # é.db") // which must be escaped in a DSN
	for _, name := range []string{path + ".new", path + ".new" + walSuffix, path + ".new" + shmSuffix} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := Open(t.Context(), Options{Path: path, Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if files := contents(t, filepath.Dir(path)); len(files) != 1 || files[filepath.Base(path)] == "" {
		t.Errorf("files are %v, want the JobDB alone", sizes(files))
	}
}

func TestFolderMustExist(t *testing.T) {
	_, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "none", "jobs.db"), Epoch: 1})
	if err == nil {
		t.Error("opened in a folder that does not exist")
	}
}
