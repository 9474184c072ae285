package sqlite

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// The JobDB works in virtual time, and none of its goroutines outlives Close:
// the bubble waits for them.
func TestInVirtualTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.db")
	synctest.Test(t, func(t *testing.T) {
		tune := defaults()
		tune.checkpointSize = 256 << 10
		l := newLoad(make([]byte, 1<<10))
		for epoch := range uint64(3) {
			db, err := open(t.Context(), Options{Path: path, Epoch: epoch + 1}, tune)
			if err != nil {
				t.Fatal(err)
			}
			for range 30 {
				time.Sleep(time.Hour)
				var b jobdb.Batch
				l.fill(t, &b, 30, 2)
				if err := db.Commit(t.Context(), &b); err != nil {
					t.Fatal(err)
				}
			}
			if n, want := count(t, db), int(epoch+1)*900; n != want {
				t.Errorf("%d jobs, want %d", n, want)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestWriterSyncsEveryCommit(t *testing.T) {
	db, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "jobs.db"), Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.writers.SetMaxOpenConns(2) // the other one is in use
	var journal string
	var synchronous, autocheckpoint int
	for pragma, value := range map[string]any{
		"journal_mode": &journal, "synchronous": &synchronous, "wal_autocheckpoint": &autocheckpoint,
	} {
		if err := db.writers.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(value); err != nil {
			t.Fatal(err)
		}
	}
	if journal != "wal" || synchronous != 2 || autocheckpoint != 0 {
		t.Errorf("journal_mode %s, synchronous %d, wal_autocheckpoint %d; want wal, 2 (FULL), 0", journal, synchronous, autocheckpoint)
	}
}

func TestLogStaysBounded(t *testing.T) {
	tune := defaults()
	tune.checkpointSize = 128 << 10
	db, err := open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "jobs.db"), Epoch: 1}, tune)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l := newLoad(make([]byte, 1<<10))
	for range 200 {
		var b jobdb.Batch
		l.fill(t, &b, 25, 2)
		if err := db.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	log, err := sizeOf(db.path + walSuffix)
	if err != nil {
		t.Fatal(err)
	}
	size, err := db.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("log of %d bytes, %d in all", log, size)
	if size < 5000*1024 || log > 2<<20 {
		t.Errorf("log of %d bytes, %d in all, want at most 2 MiB of log beside more than 5 MB", log, size)
	}
}

// An attempt that is logged whole takes one row: its beginning has none.
func TestBeginningThatIsImpliedHasNoRow(t *testing.T) {
	db, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "jobs.db"), Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l := newLoad(nil)
	var b jobdb.Batch
	for _, transitions := range []int{2, 1} {
		for range 5 {
			j, err := l.job(time.UnixMilli(1))
			if err != nil {
				t.Fatal(err)
			}
			b.Jobs = append(b.Jobs, j)
			if err := l.attempt(&b, j.ID, time.UnixMilli(1), transitions); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	var outcomes, beginnings int
	for state, rows := range map[centrifuge.State]*int{centrifuge.StateSucceeded: &outcomes, centrifuge.StateExecuting: &beginnings} {
		const query = `SELECT COUNT(*) FROM job_state_transitions WHERE state = ?`
		if err := db.readers.QueryRowContext(t.Context(), query, int(state)).Scan(rows); err != nil {
			t.Fatal(err)
		}
	}
	if outcomes != 5 || beginnings != 5 {
		t.Errorf("%d rows of outcomes and %d of beginnings, want 5 of attempts logged whole and 5 of those under way", outcomes, beginnings)
	}
}
