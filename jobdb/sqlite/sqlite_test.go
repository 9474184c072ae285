package sqlite

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

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
				l.fill(t, &b, 30, true)
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

func TestLogStaysBounded(t *testing.T) {
	tune := defaults()
	tune.checkpointSize = 1 << 20
	db, err := open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "jobs.db"), Epoch: 1}, tune)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // checked elsewhere
	l := newLoad(make([]byte, 1<<10))
	for range 500 {
		var b jobdb.Batch
		l.fill(t, &b, 100, true)
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
	if size < 50_000*1024 || log > 16<<20 {
		t.Errorf("log of %d bytes, %d in all, want at most 16 MiB of log beside more than 50 MB", log, size)
	}
}
