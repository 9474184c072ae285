// Package watch keeps values that are read from files, and reads them again when
// the files change.
package watch

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Recheck is how often files are looked at.
	Recheck = time.Second
	// MaxFile is how large a file may be, in bytes. Secrets and certificates are
	// far smaller.
	MaxFile = 1 << 20
)

// Value is a value that was read from files, and is read again when their
// contents have changed. Files that are gone or cannot be understood change
// nothing but the log: the value stays what it was. It is safe for concurrent use.
type Value[T any] struct {
	paths  []string
	parse  func(contents [][]byte) (T, error)
	logger *slog.Logger

	value atomic.Pointer[T]

	mu struct {
		sync.Mutex
		checked   time.Time
		sum       [sha256.Size]byte // of the contents last seen, good or bad
		complaint string            // the last one, which is not repeated
	}
}

// Files reads the files for the first time, when they must be good. Parse is given
// the content of each, in order.
func Files[T any](logger *slog.Logger, parse func(contents [][]byte) (T, error), paths ...string) (*Value[T], error) {
	w := &Value[T]{paths: paths, parse: parse, logger: logger}
	w.mu.checked = time.Now()
	if _, err := w.read(); err != nil {
		return nil, err
	}
	return w, nil
}

// Get returns the value. At most once a second it looks at the files first; of
// callers at the same time one looks and the others take what there is.
func (w *Value[T]) Get() T {
	if w.mu.TryLock() {
		if now := time.Now(); now.Sub(w.mu.checked) >= Recheck {
			w.mu.checked = now
			w.check()
		}
		w.mu.Unlock()
	}
	return *w.value.Load()
}

// check reads the files again and says in the log what came of it. Its caller
// holds the lock.
func (w *Value[T]) check() {
	changed, err := w.read()
	switch {
	case err == nil && changed:
		w.logger.Info("read again after a change", "files", w.paths)
	case err != nil && err.Error() != w.mu.complaint:
		w.logger.Error("changed files cannot be used; what was read before stays in force", "files", w.paths, "err", err)
	}
	w.mu.complaint = ""
	if err != nil {
		w.mu.complaint = err.Error()
	}
}

// read reads the files and, if they are not as last seen, what they say.
func (w *Value[T]) read() (changed bool, err error) {
	contents := make([][]byte, len(w.paths))
	all := sha256.New()
	for i, path := range w.paths {
		if contents[i], err = readSmall(path); err != nil {
			return false, err
		}
		part := sha256.Sum256(contents[i])
		all.Write(part[:])
	}
	sum := [sha256.Size]byte(all.Sum(nil))
	if sum == w.mu.sum {
		return false, nil
	}
	w.mu.sum = sum
	value, err := w.parse(contents)
	if err != nil {
		return false, err
	}
	w.value.Store(&value)
	return true, nil
}

func readSmall(path string) (content []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	content, err = io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(content) > MaxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, MaxFile)
	}
	return content, nil
}
