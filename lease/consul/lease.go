package consul

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"centrifuge/lease"
)

// Lease is a key that is held for as long as it is renewed.
type Lease struct {
	client  *Client
	name    string
	session string
	done    chan struct{}      // closed by end
	stop    context.CancelFunc // ends keep
	kept    chan struct{}      // closed when keep has ended

	mu struct {
		sync.Mutex
		epoch  uint64
		until  time.Time // how long we trust the lease without a renewal
		over   bool      // done is closed
		closed bool
	}
}

var _ lease.Lease = (*Lease)(nil)

// hold begins to renew what session took in a request that began at begun. ctx
// must not end before Close.
func (c *Client) hold(ctx context.Context, name, session string, epoch uint64, begun time.Time) *Lease {
	l := &Lease{client: c, name: name, session: session, done: make(chan struct{}), kept: make(chan struct{})}
	l.mu.epoch = epoch
	l.mu.until = begun.Add(c.tenure())
	ctx, l.stop = context.WithCancel(ctx)
	go l.keep(ctx)
	return l
}

// Name is the name under which the lease was acquired.
func (l *Lease) Name() string { return l.name }

// Epoch implements [lease.Lease].
func (l *Lease) Epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epoch
}

// TTL implements [lease.Lease].
func (l *Lease) TTL() time.Duration { return l.client.ttl }

// Done implements [lease.Lease].
func (l *Lease) Done() <-chan struct{} { return l.done }

// Held implements [lease.Lease]. Whoever finds that the time is up closes Done:
// what was once false is never true again, even if a renewal comes back late.
func (l *Lease) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held()
}

// held is called with l.mu locked.
func (l *Lease) held() bool {
	if !l.mu.over && !time.Now().Before(l.mu.until) {
		l.end()
	}
	return !l.mu.over
}

// end is called with l.mu locked.
func (l *Lease) end() {
	if !l.mu.over {
		l.mu.over = true
		close(l.done)
	}
}

// Advance implements [lease.Lease]. Whatever ctx says, it does not wait for a
// Consul that is away for longer than the lease may last.
func (l *Lease) Advance(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, min(l.left(), 3*l.client.patience()))
	defer cancel()
	for {
		if !l.Held() {
			return 0, fmt.Errorf("advance the epoch of %s: %w", l.name, lease.ErrLost)
		}
		epoch, err := l.client.lock(ctx, l.client.prefix+l.name, l.session, l.session)
		if errors.Is(err, lease.ErrHeld) {
			// Another Advance was faster, or the lease is lost without our knowing.
			err = l.check(ctx)
			if err == nil {
				continue
			}
		}
		if errors.Is(err, lease.ErrLost) {
			l.lose(err)
		}
		if err != nil {
			return 0, fmt.Errorf("advance the epoch of %s: %w", l.name, err)
		}
		l.mu.Lock()
		l.mu.epoch = max(l.mu.epoch, epoch)
		l.mu.Unlock()
		return epoch, nil
	}
}

// Close implements [lease.Lease]. To destroy our session gives back what it has,
// and nothing if it has nothing. It takes at most half of the TTL.
func (l *Lease) Close(ctx context.Context) error {
	l.mu.Lock()
	closed := l.mu.closed
	l.mu.closed = true
	l.end()
	l.mu.Unlock()
	if closed {
		return nil
	}
	l.stop()
	<-l.kept
	ctx, cancel := context.WithTimeout(ctx, l.client.sessionTTL())
	defer cancel()
	if _, err := l.client.api.Session().Destroy(l.session, writing(ctx)); err != nil {
		return fmt.Errorf("release lease %s: %w", l.name, err)
	}
	return nil
}
