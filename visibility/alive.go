package visibility

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// alive is a file of two times, in milliseconds: up to when everything was stored,
// and when the process was last seen alive. It is there while a recorder runs. One
// that is found at a start tells what a crash may have lost: nothing before the
// first time, and nothing after the second and one more flush.
//
// It is written in place, which works on a full disk, and without being synced: if
// the machine dies too, older times than the true ones mark more as missing, never
// less.
type alive struct {
	file *os.File
	path string

	mu struct {
		sync.Mutex
		upTo   time.Time
		closed bool
	}
}

const aliveSize = 16

// readAlive returns the time that the last recorder may have lost something of, or a
// zero Gap if it ended in order.
func readAlive(path string) (Gap, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return Gap{}, nil
	}
	if err != nil {
		return Gap{}, err
	}
	if len(b) != aliveSize {
		return Gap{}, fmt.Errorf("%s has %d bytes, not %d", path, len(b), aliveSize)
	}
	from := time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC()
	to := time.UnixMilli(int64(binary.BigEndian.Uint64(b[8:]))).UTC()
	if from.Year() < 2000 || to.Year() > 9999 || to.Before(from) || to.Sub(from) > 7*24*time.Hour {
		return Gap{}, fmt.Errorf("%s tells of %s to %s", path, from, to)
	}
	return Gap{from, to, "the process ended before it was stored"}, nil
}

func openAlive(path string, now time.Time) (*alive, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("note that deliveries are recorded: %w", err)
	}
	a := &alive{file: f, path: path}
	return a, a.stored(now)
}

// stored notes that everything up to now is stored.
func (a *alive) stored(now time.Time) error {
	a.owe(now)
	return a.beat(now)
}

// owe notes from when on something may not be stored, without writing it yet.
func (a *alive) owe(from time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.upTo = from
}

// beat notes that the process is alive, and that what was counted since the last
// stored is not stored.
func (a *alive) beat(now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mu.closed {
		return nil
	}
	var b [aliveSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(min(a.mu.upTo.UnixMilli(), now.UnixMilli())))
	binary.BigEndian.PutUint64(b[8:], uint64(now.UnixMilli()))
	if _, err := a.file.WriteAt(b[:], 0); err != nil {
		return fmt.Errorf("note that deliveries are recorded: %w", err)
	}
	return nil
}

// close notes that nothing is missing.
func (a *alive) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.closed = true
	return errors.Join(a.file.Close(), os.Remove(a.path))
}
