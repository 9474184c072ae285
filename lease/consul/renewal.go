package consul

import (
	"context"
	"errors"
	"fmt"
	"time"

	"centrifuge/lease"
)

// keep renews the lease until it is lost or ctx ends: three times within the time
// that Consul was told, and more often after a failure.
func (l *Lease) keep(ctx context.Context) {
	defer close(l.kept)
	failing := false
	next := l.client.renewEvery()
	for {
		if !pause(ctx, min(next, l.left())) {
			return
		}
		begun := time.Now()
		err := l.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, lease.ErrLost):
			l.lose(err)
			return
		case err == nil && l.extend(begun):
			failing, next = false, max(0, l.client.renewEvery()-time.Since(begun))
		case l.Held():
			if !failing {
				l.client.logger.Warn("cannot renew a lease; trying on", "name", l.name, "error", err)
			}
			failing, next = true, l.client.patience()/4
		default:
			if err == nil {
				err = errors.New("the answer came too late to count")
			}
			l.lose(fmt.Errorf("%w: not renewed in time: %w", lease.ErrLost, err))
			return
		}
	}
}

// left is the time until Done is due.
func (l *Lease) left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.mu.until)
}

// renew asks Consul to count anew. The error wraps [lease.ErrLost] if somebody
// else may have the lease.
func (l *Lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, min(l.client.patience(), l.left()))
	defer cancel()
	session, _, err := l.client.api.Session().Renew(l.session, writing(ctx))
	if err != nil {
		return fmt.Errorf("renew the session: %w", err)
	}
	if session == nil {
		return fmt.Errorf("%w: the session has ended", lease.ErrLost)
	}
	return l.check(ctx)
}

// check asks whether the session has the key: an operator may have taken it away.
func (l *Lease) check(ctx context.Context) error {
	pair, _, err := l.client.api.KV().Get(l.client.prefix+l.name, reading(ctx))
	if err != nil {
		return fmt.Errorf("read the key: %w", err)
	}
	if pair == nil || pair.Session != l.session {
		return fmt.Errorf("%w: the key was taken away", lease.ErrLost)
	}
	return nil
}

// extend has the lease last on from begun, unless it was over before.
func (l *Lease) extend(begun time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held() {
		return false
	}
	l.mu.until = begun.Add(l.client.tenure())
	return true
}

func (l *Lease) lose(reason error) {
	l.mu.Lock()
	closed := l.mu.closed
	l.end()
	l.mu.Unlock()
	if !closed {
		l.client.logger.Error("lease lost", "name", l.name, "epoch", l.Epoch(), "reason", reason)
	}
}
