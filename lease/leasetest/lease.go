// Package leasetest has a lease in memory, for tests that need one to be lost.
package leasetest

import (
	"context"
	"sync"
	"time"

	"centrifuge/lease"
)

// Lease is a [lease.Lease] that is held until Close, or until the test takes it
// away.
type Lease struct {
	done chan struct{}

	mu struct {
		sync.Mutex
		epoch  uint64
		lapsed bool
		over   bool
	}
}

var _ lease.Lease = (*Lease)(nil)

// New makes a lease whose first epoch follows the given one.
func New(after uint64) *Lease {
	l := &Lease{done: make(chan struct{})}
	l.mu.epoch = after + 1
	return l
}

// Lose takes the lease away.
func (l *Lease) Lose() { l.end() }

// Lapse is what a process sees that was frozen for too long and has just woken up:
// the lease is not held, and nobody has had the time to close Done.
func (l *Lease) Lapse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.lapsed = true
}

func (l *Lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.mu.over {
		l.mu.over = true
		close(l.done)
	}
}

// Epoch implements [lease.Lease].
func (l *Lease) Epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epoch
}

// Advance implements [lease.Lease].
func (l *Lease) Advance(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.over || l.mu.lapsed {
		return 0, lease.ErrLost
	}
	l.mu.epoch++
	return l.mu.epoch, nil
}

// TTL implements [lease.Lease].
func (l *Lease) TTL() time.Duration { return 0 }

// Done implements [lease.Lease].
func (l *Lease) Done() <-chan struct{} { return l.done }

// Held implements [lease.Lease].
func (l *Lease) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.mu.over && !l.mu.lapsed
}

// Close implements [lease.Lease].
func (l *Lease) Close(context.Context) error {
	l.end()
	return nil
}
