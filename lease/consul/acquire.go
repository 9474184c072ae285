package consul

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"centrifuge/lease"
)

var (
	errDamaged = errors.New("not what a lease looks like")
	errDenied  = errors.New("permission denied")
)

const (
	// maxWait is how long Consul may keep a query waiting for a change: as long as
	// it may take us to notice that nothing comes through any more.
	maxWait = 10 * time.Second
	// retryEvery is the pause after a failure. Take-over waits for it when Consul
	// itself has been away.
	retryEvery = 250 * time.Millisecond
	// askAgain is the pause after one that was listed as free was refused.
	askAgain = 50 * time.Millisecond
)

// Acquire waits until it has the lease of name. The error is that of ctx, or one
// that waiting does not cure. The lease outlives ctx.
func (c *Client) Acquire(ctx context.Context, name string) (*Lease, error) {
	return c.AcquireAny(ctx, []string{name})
}

// AcquireAny waits until it has the lease of one of names, a random one if
// several are free. The error is that of ctx, or one that waiting does not cure.
// The lease outlives ctx.
func (c *Client) AcquireAny(ctx context.Context, names []string) (*Lease, error) {
	l, err := c.acquireAny(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("acquire lease %s: %w", strings.Join(names, ", "), err)
	}
	return l, nil
}

func (c *Client) acquireAny(ctx context.Context, names []string) (*Lease, error) {
	if len(names) == 0 || slices.Contains(names, "") {
		return nil, errors.New("no name")
	}
	var seen uint64 // the state of the keys that we know; 0 for none
	failing := false
	for {
		held, index, err := c.holders(ctx, seen)
		if err == nil {
			var l *Lease
			if l, err = c.claimAny(ctx, names, held); l != nil {
				return l, nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil:
			seen, failing = index, false
		case errors.Is(err, lease.ErrHeld):
			seen, failing = 0, false
			if !pause(ctx, askAgain) {
				return nil, ctx.Err()
			}
		case hopeless(err):
			return nil, err
		default:
			if !failing {
				c.logger.Warn("cannot acquire a lease; trying on", "names", names, "error", err)
			}
			seen, failing = 0, true
			if !pause(ctx, retryEvery) {
				return nil, ctx.Err()
			}
		}
	}
}

// holders returns the session that holds each key, once the keys are no longer as
// at seen, or after maxWait; and the state that this is.
func (c *Client) holders(ctx context.Context, seen uint64) (map[string]string, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait*5/4) // Consul adds up to a sixteenth
	defer cancel()
	options := reading(ctx)
	options.WaitIndex, options.WaitTime = seen, maxWait
	pairs, meta, err := c.api.KV().List(c.prefix, options)
	if err != nil {
		return nil, 0, err
	}
	held := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		held[pair.Key] = pair.Session
	}
	if meta.LastIndex < seen {
		return held, 0, nil // Consul was restored from a backup: start over
	}
	return held, meta.LastIndex, nil
}

// claimAny returns nil and no error if none is free. The error wraps
// [lease.ErrHeld] if others were faster to take those that were, or if Consul does
// not give them away yet, which is nothing that a query could wait for.
func (c *Client) claimAny(ctx context.Context, names []string, held map[string]string) (*Lease, error) {
	var refused error
	for _, i := range rand.Perm(len(names)) {
		if held[c.prefix+names[i]] != "" {
			continue
		}
		l, err := c.claim(ctx, names[i])
		if !errors.Is(err, lease.ErrHeld) {
			return l, err
		}
		refused = err
	}
	return nil, refused
}

// claim makes a session and has it take the key; it does not wait.
func (c *Client) claim(ctx context.Context, name string) (*Lease, error) {
	begun := time.Now() // before Consul can have begun to count
	trying, cancel := context.WithDeadline(ctx, begun.Add(min(c.tenure(), 3*c.patience())))
	defer cancel()
	session, err := c.createSession(trying, "lease of "+name)
	if err != nil {
		return nil, fmt.Errorf("create a session: %w", err)
	}
	epoch, err := c.lock(trying, c.prefix+name, "", session)
	if err != nil {
		// Also when we cannot tell whether it took the key: this gives it back. If
		// it fails as well, the session ends by itself.
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.patience())
		defer cancel()
		if _, cleanErr := c.api.Session().Destroy(session, writing(cleaning)); cleanErr != nil {
			err = errors.Join(err, fmt.Errorf("destroy the session: %w", cleanErr))
		}
		return nil, err
	}
	return c.hold(context.WithoutCancel(ctx), name, session, epoch, begun), nil
}

// createSession asks for a session without health checks, because one that hangs
// on its node's may end before its TTL, and without a lock delay, which keeps out
// whoever comes next: epochs do what it is for. Consul's client can only ask for a
// delay of a millisecond or more.
func (c *Client) createSession(ctx context.Context, name string) (string, error) {
	var session struct{ ID string }
	_, err := c.api.Raw().Write("/v1/session/create", map[string]any{
		"Name": name, "TTL": c.sessionTTL().String(), "Behavior": api.SessionBehaviorRelease,
		"LockDelay": "0s", "NodeChecks": []string{},
	}, &session, writing(ctx))
	return session.ID, err
}

// lock has session take the key under the next epoch, which it returns, from the
// session that has it: nobody's, or its own, to keep it. The error wraps
// [lease.ErrHeld] if that is not who has it, or if something was done to the key
// at the same time.
//
// The next epoch is more than the last one, which is in the value, and more than
// the index of Consul's log as far as it matters to the key. One would do as long
// as nobody meddles. The value survives where the log does not (keys exported, and
// imported by a new cluster), the index where the value does not (key deleted).
func (c *Client) lock(ctx context.Context, key, from, session string) (uint64, error) {
	pair, meta, err := c.api.KV().Get(key, reading(ctx))
	if err != nil {
		return 0, fmt.Errorf("read the key: %w", err)
	}
	last, has := meta.LastIndex, ""
	unchanged := &api.KVTxnOp{Verb: api.KVCheckNotExists, Key: key}
	if pair != nil {
		has = pair.Session
		holder, err := decode(pair.Value)
		if err != nil {
			return 0, fmt.Errorf("key %s: %w", key, err)
		}
		last = max(last, holder.Epoch)
		unchanged = &api.KVTxnOp{Verb: api.KVCheckIndex, Key: key, Index: pair.ModifyIndex}
	}
	if has != from {
		return 0, lease.ErrHeld
	}
	value, err := c.encode(last + 1)
	if err != nil {
		return 0, err
	}
	ok, answer, _, err := c.api.Txn().Txn(api.TxnOps{
		{KV: unchanged},
		{KV: &api.KVTxnOp{Verb: api.KVLock, Key: key, Value: value, Session: session}},
	}, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return 0, fmt.Errorf("take the key: %w", err)
	}
	if !ok {
		return 0, refusal(answer.Errors)
	}
	return last + 1, nil
}

// refusal is why Consul did not let a session take a key.
func refusal(reasons api.TxnErrors) error {
	for _, reason := range reasons {
		if strings.Contains(reason.What, "ermission denied") {
			return fmt.Errorf("%w: %s", errDenied, reason.What)
		}
	}
	return lease.ErrHeld
}
