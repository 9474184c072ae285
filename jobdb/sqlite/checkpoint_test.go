package sqlite

import (
	"iter"
	"path/filepath"
	"testing"

	"centrifuge/jobdb"
)

// A reader that stays keeps the log from beginning anew. Checkpoints that find it
// far beyond its size ask readers to finish, give up after a moment, and are no
// hindrance to commits; when the reader has gone, the log begins anew.
func TestLogBeginsAnewWhenALongReaderHasGone(t *testing.T) {
	tune := defaults()
	tune.checkpointSize = 64 << 10
	db, err := open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "jobs.db"), Epoch: 1}, tune)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l := newLoad(make([]byte, 1<<10))
	var b jobdb.Batch
	commit := func() {
		t.Helper()
		l.fill(t, &b, 30, 0)
		if err := db.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 { // more than two pages of a scan
		commit()
	}
	next, stop := iter.Pull2(db.Scan(t.Context()))
	defer stop()
	if _, err, ok := next(); err != nil || !ok {
		t.Fatal(err)
	}
	for range 50 {
		commit()
	}
	c := db.checkpointer
	logged := func() int {
		t.Helper()
		if err := c.checkpoint(db.Body); err != nil {
			t.Fatal(err)
		}
		n, err := c.run("PASSIVE")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := logged(); n <= 4*c.limit {
		t.Fatalf("the log has %d pages beside a reader; more than %d are needed here", n, 4*c.limit)
	}
	commit()
	stop()
	logged()
	commit()
	if n := logged(); n > 2*c.limit {
		t.Errorf("the log has %d pages after the reader has gone, and should have begun anew; its size is %d", n, c.limit)
	}
}
