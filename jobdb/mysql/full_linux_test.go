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
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=100m"); err != nil {
		t.Logf("mount a small file system: %v", err)
		return
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(folder, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	server := mysqltest.StartIn(t, filepath.Join(folder, "data"))
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
