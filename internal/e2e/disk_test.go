package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is a small file system, until the test ends.
type disk struct {
	t      *testing.T
	inside string   // its folder, for the Director
	folder string   // the same, for the test
	via    []string // the command by way of which the Director sees it
}

// newDisk mounts one of so many bytes; where that is not allowed, in a user namespace, in which
// everybody may.
func newDisk(t *testing.T, size int) *disk {
	t.Helper()
	folder := t.TempDir()
	options := fmt.Sprintf("size=%d", size)
	err := unix.Mount("tmpfs", folder, "tmpfs", 0, options)
	if err == nil {
		t.Cleanup(func() {
			if err := unix.Unmount(folder, 0); err != nil {
				t.Error(err)
			}
		})
		return &disk{t, folder, folder, nil}
	}
	t.Logf("mount: %v; in a user namespace, then", err)
	keeper := exec.Command("unshare", "--map-root-user", "--mount", "sh", "-c", //nolint:gosec // the folder is ours
		`mount -t tmpfs -o "$1" tmpfs "$0" && echo mounted && exec cat`, folder, options)
	keeper.Stderr = os.Stderr
	in, err := keeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the file system goes with its last process
		_ = in.Close()
		_ = keeper.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("no small file system can be had here: %q, %v", line, err)
	}
	pid := fmt.Sprint(keeper.Process.Pid)
	return &disk{
		t, folder, filepath.Join("/proc", pid, "root", folder),
		[]string{"nsenter", "--preserve-credentials", "--user", "--mount", "--target", pid},
	}
}

func (d *disk) ballast() string { return filepath.Join(d.folder, "ballast") }

// load leaves that many bytes free.
func (d *disk) load(free int64) {
	d.t.Helper()
	n := d.free() - free
	if n <= 0 {
		d.t.Fatalf("only %d bytes are free, to leave %d", d.free(), free)
	}
	file, err := os.OpenFile(d.ballast(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	_, err = io.CopyN(file, zeros{}, n)
	if err = errors.Join(err, file.Close()); err != nil {
		d.t.Fatal(err)
	}
}

// fill leaves no room at all.
func (d *disk) fill() {
	d.t.Helper()
	file, err := os.OpenFile(d.ballast(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	_, err = io.Copy(file, zeros{})
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("filled the disk until %v", err)
	}
	if err := file.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// shed takes as many bytes of the ballast away.
func (d *disk) shed(n int64) {
	d.t.Helper()
	info, err := os.Stat(d.ballast())
	if err == nil {
		err = os.Truncate(d.ballast(), info.Size()-n)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// unload makes room again.
func (d *disk) unload() {
	d.t.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) free() int64 {
	d.t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(d.folder, &st); err != nil {
		d.t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (d *disk) String() string {
	out, err := exec.Command("ls", "-l", d.folder, filepath.Join(d.folder, "data")).CombinedOutput() //nolint:gosec // our own folder
	return fmt.Sprintf("%d bytes free\n%s%v", d.free(), strings.TrimSpace(string(out)), err)
}
