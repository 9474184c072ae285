package local_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"centrifuge/lease"
	"centrifuge/lease/local"
)

// holdDir tells the test binary to hold a lease until its input ends, instead of
// running tests.
const holdDir = "LEASE_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdDir); dir != "" {
		hold(dir)
		return
	}
	os.Exit(m.Run())
}

func hold(dir string) {
	l, err := local.Acquire(dir)
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, l.Epoch())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// holder starts a process that holds dir, and returns it and its epoch.
func holder(t *testing.T, dir string) (*exec.Cmd, uint64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), holdDir+"="+dir)
	if _, err := cmd.StdinPipe(); err != nil { // left open: the holder holds
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("holder said nothing: %v", err)
	}
	epoch, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
	if err != nil {
		t.Fatalf("holder failed: %s", line)
	}
	return cmd, epoch
}

func acquire(t *testing.T, dir string) *local.Lease {
	t.Helper()
	l, err := local.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestOneHolderAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on", "the", "way")
	cmd, first := holder(t, dir)

	_, err := local.Acquire(dir)
	if !errors.Is(err, lease.ErrHeld) {
		t.Fatalf("second holder got %v, want ErrHeld", err)
	}
	for _, want := range []string{dir, strconv.Itoa(cmd.Process.Pid)} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the killed holder ended well")
	}
	l := acquire(t, dir)
	defer l.Close(t.Context())
	if l.Epoch() <= first {
		t.Errorf("epoch %d after a killed holder with %d", l.Epoch(), first)
	}
}

func TestEpochsIncrease(t *testing.T) {
	dir := t.TempDir()
	for want := uint64(1); want <= 5; want++ {
		l := acquire(t, dir)
		if l.Epoch() != want {
			t.Fatalf("epoch %d, want %d", l.Epoch(), want)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAdvance(t *testing.T) {
	dir := t.TempDir()
	l := acquire(t, dir)
	for want := uint64(2); want <= 4; want++ {
		if got, err := l.Advance(t.Context()); err != nil || got != want || l.Epoch() != want {
			t.Fatalf("advanced to %d, %v; the epoch is %d, want %d", got, err, l.Epoch(), want)
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if epoch, err := l.Advance(t.Context()); !errors.Is(err, lease.ErrLost) {
		t.Errorf("a closed lease advanced to %d, %v", epoch, err)
	}
	next := acquire(t, dir)
	defer next.Close(t.Context())
	if next.Epoch() != 5 {
		t.Errorf("the next holder has epoch %d, want 5", next.Epoch())
	}
}

func TestExclusiveWithinAProcess(t *testing.T) {
	dir := t.TempDir()
	l := acquire(t, dir)
	if _, err := local.Acquire(dir); !errors.Is(err, lease.ErrHeld) {
		t.Errorf("second lease in one process: %v, want ErrHeld", err)
	}
	select {
	case <-l.Done():
		t.Error("done before Close")
	default:
	}
	if !l.Held() || l.TTL() != 0 {
		t.Errorf("held: %v, with a TTL of %s", l.Held(), l.TTL())
	}
	for range 2 {
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	<-l.Done()
	if l.Held() {
		t.Error("held after Close")
	}
}

func TestCrashBetweenTheStepsOfATakeOver(t *testing.T) {
	dir := t.TempDir()
	if err := acquire(t, dir).Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// What a crash leaves that came before the rename.
	if err := os.WriteFile(filepath.Join(dir, "lease.epoch.next"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := acquire(t, dir)
	defer l.Close(t.Context())
	if l.Epoch() != 2 {
		t.Errorf("epoch %d, want 2", l.Epoch())
	}
}

func TestDamagedEpochIsRefusedAndLeftAlone(t *testing.T) {
	for _, text := range []string{"", "-1", "zwei", "99999999999999999999"} {
		dir := t.TempDir()
		name := filepath.Join(dir, "lease.epoch")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := local.Acquire(dir); err == nil || !strings.Contains(err.Error(), "lease.epoch") {
			t.Errorf("epoch %q: error %v does not name the file", text, err)
		}
		if left, err := os.ReadFile(name); err != nil || string(left) != text {
			t.Errorf("epoch %q became %q, %v", text, left, err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		l := acquire(t, dir) // the lock was let go
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFolderThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Acquire(filepath.Join(file, "data")); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v does not name the folder", err)
	}
}
