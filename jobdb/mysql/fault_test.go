package mysql

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/jobdb"
	"centrifuge/jobdb/mysql/mysqltest"
)

// The server dies while commits are made, again and again. What it acknowledged
// is there when it is back, each batch whole.
func TestKilledServerLosesNothingAcknowledged(t *testing.T) {
	server := mysqltest.Start(t)
	o := options(server, server.Address)
	l := load{payload: make([]byte, 700)}
	var acknowledged, unknown []*jobdb.Batch
	for round := range 6 {
		db := mustOpen(t, o.with(uint64(round+1)))
		enough, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for n := 0; ; n++ {
				b := l.batch(t, 1+n%25)
				err := db.Commit(t.Context(), b)
				if errors.Is(err, jobdb.ErrUnknownOutcome) {
					unknown = append(unknown, b)
				}
				if err != nil {
					return
				}
				acknowledged = append(acknowledged, b)
				if n == 7*round {
					close(enough)
				}
			}
		}()
		<-enough
		server.Kill()
		<-ended
		mustClose(t, db)
		server.Restart()
	}
	db := mustOpen(t, o.with(100))
	want := 0
	for _, b := range acknowledged {
		if n := known(t, db, b); n != len(b.Jobs) {
			t.Errorf("%d of %d acknowledged jobs are there", n, len(b.Jobs))
		}
		want += len(b.Jobs)
	}
	for _, b := range unknown {
		n := known(t, db, b)
		if n != 0 && n != len(b.Jobs) {
			t.Errorf("%d of %d jobs of one commit are there", n, len(b.Jobs))
		}
		want += n
	}
	if n := count(t, db); n != want {
		t.Errorf("%d jobs, want %d", n, want)
	}
}

// A server that was away between two commits is not missed by the second.
func TestRestartBetweenCommits(t *testing.T) {
	server := mysqltest.Start(t)
	db := mustOpen(t, options(server, server.Address))
	var l load
	mustCommit(t, db, l.batch(t, 5))
	server.Restart()
	mustCommit(t, db, l.batch(t, 5))
	if n := count(t, db); n != 10 {
		t.Errorf("%d jobs, want 10", n)
	}
	server.Kill()
	b := l.batch(t, 5)
	mustBePlain(t, db.Commit(t.Context(), b))
	server.Restart()
	mustCommit(t, db, b)
	if n := count(t, db); n != 15 {
		t.Errorf("%d jobs, want 15", n)
	}
}

// What a client sees when the connection ends depends on when: up to the COMMIT
// nothing was persisted, and from then on it cannot know.
func TestConnectionCut(t *testing.T) {
	server := mysqltest.Start(t)
	isExecution := func(command []byte) bool { return command[0] == 0x17 } // of a prepared statement
	for _, test := range []struct {
		name    string
		at      func(command []byte) bool
		fate    mysqltest.Fate
		unknown bool
		kept    bool
	}{
		{"before BEGIN is carried out", isBegin, mysqltest.Cut, false, true}, // and it is begun anew
		{"after BEGIN", isBegin, mysqltest.CutAnswer, false, true},
		{"before a statement", isExecution, mysqltest.Cut, false, false},
		{"after a statement", isExecution, mysqltest.CutAnswer, false, false},
		{"before COMMIT is carried out", isCommit, mysqltest.Cut, true, false},
		{"after COMMIT", isCommit, mysqltest.CutAnswer, true, true},
		{"COMMIT hangs", isCommit, mysqltest.Hang, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			proxy := mysqltest.NewProxy(t, server.Address)
			o := options(server, proxy.Address)
			limits := defaults()
			if test.fate == mysqltest.Hang {
				limits.io = time.Second
			}
			db := mustOpenWith(t, o, limits)
			var l load
			mustCommit(t, db, l.batch(t, 4))

			var struck atomic.Bool
			proxy.Plan(func(command []byte) mysqltest.Fate {
				if test.at(command) && struck.CompareAndSwap(false, true) {
					return test.fate
				}
				return mysqltest.Pass
			})
			b := l.batch(t, 40)
			err := db.Commit(t.Context(), b)
			if !struck.Load() {
				t.Fatal("the connection was not cut")
			}
			switch {
			case test.unknown:
				if !errors.Is(err, jobdb.ErrUnknownOutcome) {
					t.Errorf("commit: %v, want ErrUnknownOutcome", err)
				}
				if err := db.Commit(t.Context(), l.batch(t, 1)); err == nil || errors.Is(err, jobdb.ErrUnknownOutcome) {
					t.Errorf("next commit: %v, want a plain error", err)
				}
			case test.kept:
				if err != nil {
					t.Errorf("commit: %v", err)
				}
			default:
				mustBePlain(t, err)
				mustCommit(t, db, l.batch(t, 1))
			}
			next := mustOpen(t, o.with(2))
			want := 0
			if test.kept {
				want = 40
			}
			if n := known(t, next, b); n != want {
				t.Errorf("%d of the batch's jobs are there, want %d", n, want)
			}
		})
	}
}

func isBegin(command []byte) bool { return strings.HasPrefix(string(command), "\x03BEGIN") }

// Everything works over a connection that takes its time.
func TestSlowServer(t *testing.T) {
	server := mysqltest.Start(t)
	proxy := mysqltest.NewProxy(t, server.Address)
	db := mustOpen(t, options(server, proxy.Address))
	proxy.Delay(500 * time.Millisecond)
	var l load
	mustCommit(t, db, l.batch(t, 2))
	if n := count(t, db); n != 2 {
		t.Errorf("%d jobs, want 2", n)
	}
}

func TestReadOnlyServer(t *testing.T) {
	server := mysqltest.Start(t)
	o := options(server, server.Address)
	db := mustOpen(t, o)
	var l load
	mustCommit(t, db, l.batch(t, 2))
	root := server.Root()
	mustExec(t, root, `SET GLOBAL read_only = 1`)
	b := l.batch(t, 2)
	err := db.Commit(t.Context(), b)
	mustBePlain(t, err)
	if !strings.Contains(err.Error(), "the server is read-only") {
		t.Errorf("commit: %v", err)
	}
	if n := count(t, db); n != 2 {
		t.Errorf("%d jobs, want 2", n)
	}
	if _, err := Open(t.Context(), o.with(2)); err == nil || !strings.Contains(err.Error(), "the server is read-only") {
		t.Errorf("open: %v", err)
	}
	mustExec(t, root, `SET GLOBAL read_only = 0`)
	mustCommit(t, db, b)
}

// The server turns read-only in the middle of a commit: it rolls it back.
func TestServerThatTurnsReadOnly(t *testing.T) {
	server := mysqltest.Start(t)
	proxy := mysqltest.NewProxy(t, server.Address)
	db := mustOpen(t, options(server, proxy.Address))
	root := server.Root()
	proxy.Plan(func(command []byte) mysqltest.Fate {
		if isCommit(command) {
			if _, err := root.Exec(`SET GLOBAL read_only = 1`); err != nil {
				t.Error(err)
			}
		}
		return mysqltest.Pass
	})
	var l load
	b := l.batch(t, 2)
	mustBePlain(t, db.Commit(t.Context(), b))
	mustExec(t, root, `SET GLOBAL read_only = 0`)
	proxy.Plan(func([]byte) mysqltest.Fate { return mysqltest.Pass })
	if n := count(t, db); n != 0 {
		t.Errorf("%d jobs, want none", n)
	}
	mustCommit(t, db, b)
}

func TestPacketLimit(t *testing.T) {
	server := mysqltest.Start(t, "--max-allowed-packet=1M")
	db := mustOpen(t, options(server, server.Address))
	l := load{payload: make([]byte, 200<<10)}
	mustCommit(t, db, l.batch(t, 40)) // more than a packet, in values that fit
	l.payload = make([]byte, 1<<20-1<<10)
	mustCommit(t, db, l.batch(t, 3))
	l.payload = make([]byte, 2<<20)
	err := db.Commit(t.Context(), l.batch(t, 2))
	mustBePlain(t, err)
	if !strings.Contains(err.Error(), "max_allowed_packet") {
		t.Errorf("commit: %v", err)
	}
	l.payload = nil
	mustCommit(t, db, l.batch(t, 1))
	if n := count(t, db); n != 44 {
		t.Errorf("%d jobs, want 44", n)
	}
}

// A value that is too long is refused, and not cut.
func TestValueThatDoesNotFit(t *testing.T) {
	server := mysqltest.Start(t)
	mustExec(t, server.Root(), `SET GLOBAL sql_mode = ''`)
	db := mustOpen(t, options(server, server.Address))
	var l load
	b := l.batch(t, 2)
	b.Jobs[1].Source = strings.Repeat("s", 1025)
	mustBePlain(t, db.Commit(t.Context(), b))
	b.Jobs[1].Source = b.Jobs[1].Source[1:]
	mustCommit(t, db, b)
}

// All tables lie in one file, which may not grow beyond so many megabytes.
func tablespace(megabytes string) []string {
	return []string{"--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:" + megabytes + "M"}
}

func TestFull(t *testing.T) {
	server := mysqltest.Start(t, tablespace("24")...)
	o := options(server, server.Address)
	db := mustOpen(t, o)
	refused, accepted := fillUp(t, db)
	if n := count(t, db); n != accepted {
		t.Errorf("%d jobs, want %d", n, accepted)
	}
	if err := db.Commit(t.Context(), refused); !errors.Is(err, jobdb.ErrFull) {
		t.Errorf("second commit: %v, want ErrFull", err)
	}
	server.Restart(tablespace("64")...)
	mustCommit(t, db, refused)
	if n := count(t, db); n != accepted+len(refused.Jobs) {
		t.Errorf("%d jobs, want %d", n, accepted+len(refused.Jobs))
	}
}

// fillUp commits until there is no room, and returns the batch that was refused
// and how many jobs were accepted.
func fillUp(t *testing.T, db *DB) (*jobdb.Batch, int) {
	t.Helper()
	l := load{payload: slices.Repeat([]byte("x"), 5<<10)}
	for accepted := 0; accepted < 100_000; accepted += 100 {
		b := l.batch(t, 100)
		err := db.Commit(t.Context(), b)
		if errors.Is(err, jobdb.ErrFull) && !errors.Is(err, jobdb.ErrUnknownOutcome) {
			return b, accepted
		}
		if err != nil {
			t.Fatalf("commit: %v, want ErrFull", err)
		}
	}
	t.Fatal("the JobDB was never full")
	return nil, 0
}
