// Package local leases a folder to one process of one machine.
//
// Two files in the folder carry the lease: "lease.lock", which the holder keeps
// locked (flock) and the kernel unlocks when the holder dies, however it dies;
// and "lease.epoch", the number of the last holder. They are two because the
// epoch is replaced by renaming, and a lock does not follow a name. The folder
// must lie on a local file system: locks of network file systems end with the
// connection, not with the process.
package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"centrifuge/lease"
)

const (
	lockName  = "lease.lock"
	epochName = "lease.epoch"
)

// Lease is a folder's lease. It is never lost while the process lives.
type Lease struct {
	dir  string
	file *os.File
	done chan struct{}

	mu struct {
		sync.Mutex
		epoch  uint64
		closed bool
		parts  map[string]*Part // that are leased
	}
}

var _ lease.Lease = (*Lease)(nil)

// Acquire leases dir, which it makes if there is none, without waiting. If
// another process holds it, the error wraps [lease.ErrHeld] and names the folder
// and the process.
func Acquire(dir string) (*Lease, error) {
	l, err := acquire(dir)
	if err != nil {
		return nil, fmt.Errorf("lease folder %s: %w", dir, err)
	}
	return l, nil
}

func acquire(dir string) (*Lease, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &Lease{dir: dir, file: file, done: make(chan struct{})}
	if err := l.lock(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return l, nil
}

func (l *Lease) lock() error {
	err := unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%w%s", lease.ErrHeld, holder(l.file))
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", lockName, err)
	}
	if err := sign(l.file); err != nil {
		return err
	}
	_, err = l.raise()
	return err
}

// holder says which process signed the lock file. The signature is there to help
// and nothing depends on it: a holder that has just locked has not signed yet.
func holder(file *os.File) string {
	buf := make([]byte, 32)
	n, _ := file.ReadAt(buf, 0)
	pid, err := strconv.Atoi(string(bytes.TrimSpace(buf[:n])))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", pid)
}

func sign(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("sign %s: %w", lockName, err)
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("sign %s: %w", lockName, err)
	}
	return nil
}

// Epoch implements [lease.Lease].
func (l *Lease) Epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epoch
}

// Advance implements [lease.Lease]. It does not wait for anything but the disk.
func (l *Lease) Advance(context.Context) (uint64, error) { return l.raise() }

// raise holds the lock over the writing: two callers must not read the same epoch.
func (l *Lease) raise() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return 0, fmt.Errorf("advance the epoch: %w", lease.ErrLost)
	}
	epoch, err := advance(l.dir)
	if err != nil {
		return 0, err
	}
	l.mu.epoch = epoch
	return epoch, nil
}

// TTL implements [lease.Lease]: the kernel ends it with the process.
func (l *Lease) TTL() time.Duration { return 0 }

// Held implements [lease.Lease].
func (l *Lease) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.mu.closed
}

// Done implements [lease.Lease]. It is closed by Close alone.
func (l *Lease) Done() <-chan struct{} { return l.done }

// Close implements [lease.Lease]. The files stay: the next epoch follows this one.
// Parts end with it.
func (l *Lease) Close(context.Context) error {
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return nil
	}
	l.mu.closed = true
	close(l.done)
	parts := l.mu.parts
	l.mu.parts = nil
	l.mu.Unlock()
	for _, p := range parts {
		p.end()
	}
	if err := l.file.Close(); err != nil { // unlocks: no other process has this open file
		return fmt.Errorf("release the lease: %w", err)
	}
	return nil
}
