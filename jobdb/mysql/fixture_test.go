package mysql

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
	"centrifuge/jobdb/mysql/mysqltest"
)

// options are those of a new JobDB on the server that answers at the address.
func options(server *mysqltest.Server, address string) Options {
	return Options{
		Server: Server{Address: address, User: mysqltest.User, Password: mysqltest.Password},
		Schema: server.Schema(), Epoch: 1,
	}
}

// with returns the options under another epoch.
func (o Options) with(epoch uint64) Options {
	o.Epoch = epoch
	return o
}

func mustOpen(t testing.TB, o Options) *DB {
	t.Helper()
	return mustOpenWith(t, o, defaults())
}

func mustOpenWith(t testing.TB, o Options, limits timeouts) *DB {
	t.Helper()
	db, err := open(t.Context(), o, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, db) })
	return db
}

func mustClose(t testing.TB, db *DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// load makes batches of jobs that have each been tried once.
type load struct {
	made    uint32
	payload []byte
}

func (l *load) batch(t testing.TB, n int) *jobdb.Batch {
	t.Helper()
	b := &jobdb.Batch{}
	for range n {
		l.made++
		id := centrifuge.ID{0x10}
		binary.BigEndian.PutUint32(id[16:], l.made)
		at := time.UnixMilli(1_700_000_000_000 + int64(l.made)).UTC()
		b.Jobs = append(b.Jobs, &centrifuge.Job{
			ID: id, Source: "source", Destination: "destination", Endpoint: "http://127.0.0.1:8080/v1/incoming", Method: "POST",
			Headers: []centrifuge.Header{{Name: "Content-Type", Value: "application/json"}},
			Payload: l.payload, CreatedAt: at, ExpireAt: at.Add(time.Hour),
		})
		life := centrifuge.Life{State: centrifuge.StateAwaitingScheduling}
		for _, tr := range [...]centrifuge.Transition{
			{JobID: id, Seq: 1, State: centrifuge.StateExecuting, Attempt: 1, Time: at},
			{
				JobID: id, Seq: 2, State: centrifuge.StateAwaitingRetry, Attempt: 1, Time: at, RetryAt: at.Add(time.Minute),
				StatusCode: 503, Error: "service unavailable", Duration: time.Millisecond,
			},
		} {
			var err error
			if life, err = b.Append(life, tr); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b
}

func ids(b *jobdb.Batch) []centrifuge.ID {
	var ids []centrifuge.ID
	for _, j := range b.Jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

// known is how many of the batch's jobs the JobDB holds.
func known(t testing.TB, db *DB, b *jobdb.Batch) int {
	t.Helper()
	found, err := db.Known(t.Context(), ids(b))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// count counts the jobs, each of which must have been tried.
func count(t testing.TB, db *DB) int {
	t.Helper()
	n := 0
	for row, err := range db.Scan(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Last.State != centrifuge.StateAwaitingRetry {
			t.Errorf("job %s is %s: half a batch", row.ID, row.Last.State)
		}
		n++
	}
	return n
}

func mustCommit(t testing.TB, db *DB, b *jobdb.Batch) {
	t.Helper()
	if err := db.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// mustBePlain checks that the error tells that nothing was persisted, and no more.
func mustBePlain(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
	}
	for _, special := range []error{jobdb.ErrUnknownOutcome, jobdb.ErrFull, jobdb.ErrSuperseded, jobdb.ErrCorrupt} {
		if errors.Is(err, special) {
			t.Errorf("%v, want a plain error", err)
		}
	}
}
