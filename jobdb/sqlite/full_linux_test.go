package sqlite

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"centrifuge"
	"centrifuge/jobdb"
)

// fillUp commits batches until there is no room, and returns the one that was
// refused and how many jobs were accepted.
func fillUp(t *testing.T, db jobdb.DB, batch int) (*jobdb.Batch, int) {
	t.Helper()
	l := newLoad(make([]byte, 1<<10))
	for n := 0; n < 1_000_000; n += batch {
		b := &jobdb.Batch{}
		l.fill(t, b, batch, 2)
		if err := db.Commit(t.Context(), b); errors.Is(err, jobdb.ErrFull) && !errors.Is(err, jobdb.ErrUnknownOutcome) {
			return b, n
		} else if err != nil {
			t.Fatalf("commit: %v, want ErrFull", err)
		}
	}
	t.Fatal("the JobDB was never full")
	return nil, 0
}

// mustGoOn checks that nothing of the refused batch is there, and that it can be
// committed now.
func mustGoOn(t *testing.T, db jobdb.DB, refused *jobdb.Batch, accepted int) {
	t.Helper()
	if err := db.Commit(t.Context(), refused); err != nil {
		t.Fatalf("commit when there was room: %v", err)
	}
	if n, want := count(t, db), accepted+len(refused.Jobs); n != want {
		t.Errorf("%d jobs, want %d", n, want)
	}
}

func TestFullFile(t *testing.T) {
	tune := defaults()
	tune.maxPages = 500
	path := filepath.Join(t.TempDir(), "jobs.db")
	db, err := open(t.Context(), Options{Path: path, Epoch: 1}, tune)
	if err != nil {
		t.Fatal(err)
	}
	refused, n := fillUp(t, db, 50)
	if got := count(t, db); got != n {
		t.Errorf("%d jobs, want %d", got, n)
	}
	if err := db.Commit(t.Context(), refused); !errors.Is(err, jobdb.ErrFull) {
		t.Errorf("second commit: %v, want ErrFull", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err = open(t.Context(), Options{Path: path, Epoch: 2}, defaults())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mustGoOn(t, db, refused, n)
}

// TestFullDisk has a file system of 6 MiB, where one may be mounted; TestFullFile is
// for everywhere. It runs in a process that has a mount namespace of its own, so that
// the file system goes with it, however it ends.
func TestFullDisk(t *testing.T) {
	const inside = "CENTRIFUGE_TEST_SMALL_DISK"
	folder := os.Getenv(inside)
	if folder == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"="+t.TempDir())
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
			Pdeathsig:   syscall.SIGKILL,
		}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Logf("no namespace to mount a small file system in: %v", err)
			return
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("in a namespace of its own: %v\n%s", err, out.String())
		}
		return
	}
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=6m"); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	ballast := filepath.Join(folder, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 3500<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tune := range map[string]tuning{"log": {checkpointSize: 64 << 20}, "file": {checkpointSize: 256 << 10}} {
		whole := defaults()
		whole.checkpointSize = tune.checkpointSize
		path := filepath.Join(folder, "jobs.db")
		db, err := open(t.Context(), Options{Path: path, Epoch: 1}, whole)
		if err != nil {
			t.Fatal(err)
		}
		refused, n := fillUp(t, db, 50)
		if got := count(t, db); got != n {
			t.Errorf("%d jobs, want %d", got, n)
		}
		if err := os.Truncate(ballast, 0); err != nil {
			t.Fatal(err)
		}
		mustGoOn(t, db, refused, n)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db, err = open(t.Context(), Options{Path: path, Epoch: 2}, whole)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := count(t, db), n+50; got != want {
			t.Errorf("%d jobs after reopening, want %d", got, want)
		}
		if err := errors.Join(db.Close(), os.Remove(path), os.WriteFile(ballast, make([]byte, 3500<<10), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// A limit on the size of files makes the writes of a COMMIT fail with an error
// that says nothing of what reached the disk.
func TestFailedWriteHasUnknownOutcome(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.db")
	db, err := Open(t.Context(), Options{Path: path, Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	l := newLoad(make([]byte, 1<<10))
	var first, second jobdb.Batch
	l.fill(t, &first, 10, 0)
	if err := db.Commit(t.Context(), &first); err != nil {
		t.Fatal(err)
	}
	l.fill(t, &second, 100, 0)

	err = withFileSizeLimit(t, path+walSuffix, func() error { return db.Commit(t.Context(), &second) })
	if !errors.Is(err, jobdb.ErrUnknownOutcome) {
		t.Errorf("commit: %v, want ErrUnknownOutcome", err)
	}
	if err := db.Commit(t.Context(), &second); err == nil || errors.Is(err, jobdb.ErrUnknownOutcome) {
		t.Errorf("commit after that: %v, want a plain error", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	if db, err = Open(t.Context(), Options{Path: path, Epoch: 2}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	known, err := db.Known(t.Context(), []centrifuge.ID{first.Jobs[0].ID, second.Jobs[0].ID})
	if err != nil || len(known) == 0 {
		t.Errorf("known after recovery: %v, %v", known, err)
	}
	if n := count(t, db); n != 10 && n != 110 {
		t.Errorf("%d jobs after recovery, want 10 or 110", n)
	}
}

// withFileSizeLimit runs f while no file may grow beyond the size of the one named.
func withFileSizeLimit(t *testing.T, name string, f func() error) error {
	t.Helper()
	size, err := sizeOf(name)
	if err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(size), Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Error(err)
		}
	}()
	return f()
}
