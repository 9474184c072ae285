package mysql

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"centrifuge/jobdb/mysql/mysqltest"
)

// A file system with little room, where mounting one is allowed; TestFull is for
// everywhere.
func TestFullDisk(t *testing.T) {
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=400m"); err != nil {
		t.Logf("mount a small file system: %v", err)
		return
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, 0); err != nil {
			t.Error(err)
		}
	})
	server := mysqltest.StartIn(t, filepath.Join(folder, "data"), "--skip-log-bin") // in which a commit would wait for room
	ballast := filepath.Join(folder, "ballast")
	leaveRoom(t, ballast, 24<<20)
	o := options(server, server.Address)
	db := mustOpen(t, o)
	refused, accepted := fillUp(t, db)
	if n := count(t, db); n != accepted {
		t.Errorf("%d jobs, want %d", n, accepted)
	}
	if err := os.Truncate(ballast, 0); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, db, refused)
	server.Kill()
	server.Restart()
	if n, want := count(t, mustOpen(t, o.with(2))), accepted+len(refused.Jobs); n != want {
		t.Errorf("%d jobs after the server's death, want %d", n, want)
	}
}

// leaveRoom has a file take all but so many bytes of what its file system has left.
func leaveRoom(t *testing.T, path string, bytes int64) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var disk unix.Statfs_t
	if err := unix.Fstatfs(int(file.Fd()), &disk); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fallocate(int(file.Fd()), 0, 0, int64(disk.Bavail)*disk.Bsize-bytes); err != nil {
		t.Fatal(err)
	}
}
