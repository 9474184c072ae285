package mysql

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"

	"centrifuge/jobdb"
	"centrifuge/jobdb/mysql/mysqltest"
)

// schemaPool connects to the JobDB beside its owner, as no owner would, with one
// connection.
func schemaPool(t *testing.T, o Options) *sql.Conn {
	t.Helper()
	connector, err := o.connector(o.Schema, session{isolation: "READ COMMITTED", multi: true})
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func mustExec(t *testing.T, conn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}, statement string,
) {
	t.Helper()
	if _, err := conn.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// waitsForLock returns when a transaction waits for a lock of InnoDB.
func waitsForLock(t *testing.T, server *mysqltest.Server) {
	t.Helper()
	root := server.Root()
	for range 100 {
		var waiting int
		// The server renews this table when it was read more than 100 ms ago.
		err := root.QueryRowContext(t.Context(),
			`SELECT COUNT(*), SLEEP(0.12) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'`).Scan(&waiting, new(int))
		if err != nil {
			t.Fatal(err)
		}
		if waiting > 0 {
			return
		}
	}
	t.Fatal("no transaction waits for a lock")
}

// The old owner's commit has everything behind it but the COMMIT. It bears no
// mark of a writer, so that the lock alone keeps the two apart.
func TestCommitUnderWayCompletesBeforeTheNextOwnerHasOpened(t *testing.T) {
	server := mysqltest.Start(t)
	o := options(server, server.Address)
	mustClose(t, mustOpen(t, o))

	old := schemaPool(t, o)
	mustExec(t, old, beginTransaction)
	mustExec(t, old, `INSERT INTO payloads (id, payload) VALUES (1, 'x')`)

	type opened struct {
		db  *DB
		err error
	}
	next := make(chan opened, 1)
	go func() {
		db, err := Open(t.Context(), o.with(2))
		next <- opened{db, err}
	}()
	waitsForLock(t, server)
	select {
	case <-next:
		t.Fatal("the next owner has opened the JobDB during a commit")
	default:
	}
	mustExec(t, old, `COMMIT`)
	got := <-next
	if got.err != nil {
		t.Fatal(got.err)
	}
	defer got.db.Close()
	var l load
	l.payload = []byte("payload")
	mustCommit(t, got.db, l.batch(t, 1)) // its payload's id is above the one it waited for
}

// The next owner has recorded its epoch, and not yet committed that, when the old
// one commits.
func TestCommitThatWaitedForTheNextOwnerFails(t *testing.T) {
	server := mysqltest.Start(t)
	o := options(server, server.Address)
	db := mustOpen(t, o)
	var l load
	mustCommit(t, db, l.batch(t, 1))

	next := schemaPool(t, o)
	mustExec(t, next, beginTransaction)
	mustExec(t, next, `INSERT INTO owners (epoch, opened_at) VALUES (2, 0)`)
	failed := make(chan error, 1)
	go func() { failed <- db.Commit(t.Context(), l.batch(t, 1)) }()
	waitsForLock(t, server)
	mustExec(t, next, `COMMIT`)
	if err := <-failed; !errors.Is(err, jobdb.ErrSuperseded) || errors.Is(err, jobdb.ErrUnknownOutcome) {
		t.Errorf("commit: %v, want ErrSuperseded", err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d jobs, want 1", n)
	}
}

// An owner that froze in the middle of a commit holds its lock. The next one does
// not wait for it; and when it wakes, its commit fails and it disturbs nobody.
func TestFrozenOwnerIsEnded(t *testing.T) {
	server := mysqltest.Start(t)
	proxy := mysqltest.NewProxy(t, server.Address)
	o := options(server, proxy.Address)
	old := mustOpen(t, o)
	var l load
	mustCommit(t, old, l.batch(t, 1))

	frozen, awake := make(chan struct{}), make(chan struct{})
	wake := sync.OnceFunc(func() { close(awake) })
	defer wake()
	proxy.Plan(func(command []byte) mysqltest.Fate {
		if isCommit(command) {
			close(frozen)
			<-awake
		}
		return mysqltest.Pass
	})
	lost := l.batch(t, 3)
	failed := make(chan error, 1)
	go func() { failed <- old.Commit(t.Context(), lost) }()
	<-frozen

	direct := o.with(2)
	direct.Address = server.Address
	next := mustOpen(t, direct)
	kept := l.batch(t, 2)
	mustCommit(t, next, kept)
	proxy.Plan(func([]byte) mysqltest.Fate { return mysqltest.Pass })
	wake()
	if err := <-failed; err == nil {
		t.Error("the frozen commit succeeded")
	}
	if n := known(t, next, lost); n != 0 {
		t.Errorf("%d jobs of the frozen commit are there", n)
	}
	if _, err := Open(t.Context(), o); !errors.Is(err, jobdb.ErrSuperseded) {
		t.Errorf("open by the old owner: %v, want ErrSuperseded", err)
	}
	mustCommit(t, next, l.batch(t, 1))
}

// A superseded owner that never saw a failure learns why its commit fails, and
// does not end the connection of the one that writes now.
func TestSupersededOwnerWhoseConnectionWasEnded(t *testing.T) {
	server := mysqltest.Start(t)
	o := options(server, server.Address)
	old := mustOpen(t, o)
	var l load
	mustCommit(t, old, l.batch(t, 1))
	next := mustOpen(t, o.with(2))
	mustCommit(t, next, l.batch(t, 1))
	before := writerOf(t, next)
	for range 2 {
		if err := old.Commit(t.Context(), l.batch(t, 1)); !errors.Is(err, jobdb.ErrSuperseded) {
			t.Errorf("commit: %v, want ErrSuperseded", err)
		}
	}
	if after := writerOf(t, next); after != before {
		t.Errorf("connection %d writes, it was %d", after, before)
	}
	mustCommit(t, next, l.batch(t, 1))
	if after := writerOf(t, next); after != before {
		t.Errorf("after a commit connection %d writes, it was %d", after, before)
	}
	if n := count(t, next); n != 3 {
		t.Errorf("%d jobs, want 3", n)
	}
}

// writerOf returns the id of the connection that writes.
func writerOf(t *testing.T, db *DB) int64 {
	t.Helper()
	var id int64
	if err := db.readers.QueryRowContext(t.Context(), `SELECT IS_USED_LOCK(`+lockName+`)`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestLockThatIsNotFreed(t *testing.T) {
	server := mysqltest.Start(t)
	o := options(server, server.Address)
	limits := defaults()
	limits.lock = 1e9
	db := mustOpenWith(t, o, limits)
	var l load
	mustCommit(t, db, l.batch(t, 1))
	stranger := schemaPool(t, o)
	mustExec(t, stranger, beginTransaction)
	b := l.batch(t, 1)
	mustBePlain(t, db.Commit(t.Context(), b))
	mustExec(t, stranger, `ROLLBACK`)
	mustCommit(t, db, b)
}

func isCommit(command []byte) bool { return bytes.Equal(command, []byte("\x03COMMIT")) }
