package consul

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/consul/api"

	"centrifuge/lease"
)

// Pair is a key and its value.
type Pair struct {
	Key      string
	Value    []byte
	Revision uint64 // changes whenever the pair is written; 0 for none
}

// ErrConflict means that a key was written or deleted since it was read.
var ErrConflict = errors.New("the key has changed since it was read")

// Pairs returns the pairs whose keys begin with prefix, in the order of their keys,
// and the state that this is, never 0. If that is seen still, it first waits for a
// change, for some seconds at most.
func (c *Client) Pairs(ctx context.Context, prefix string, seen uint64) ([]Pair, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait*5/4) // Consul adds up to a sixteenth
	defer cancel()
	options := reading(ctx)
	options.WaitIndex, options.WaitTime = seen, maxWait
	found, meta, err := c.api.KV().List(prefix, options)
	if err != nil {
		return nil, 0, fmt.Errorf("list keys %s: %w", prefix, err)
	}
	pairs := make([]Pair, len(found))
	for i, pair := range found {
		pairs[i] = Pair{Key: pair.Key, Value: pair.Value, Revision: pair.ModifyIndex}
	}
	return pairs, max(meta.LastIndex, 1), nil
}

// PutPair writes a pair, if its key still has that revision; with revision 0, if
// there is no such key. It returns the new revision, or [ErrConflict]. After
// another error it may have been written or not.
func (c *Client) PutPair(ctx context.Context, p Pair) (uint64, error) {
	return c.swap(ctx, api.KVTxnOp{Verb: api.KVCAS, Key: p.Key, Value: p.Value, Index: p.Revision})
}

// DeletePair deletes a key, if it still has that revision, and returns [ErrConflict]
// if it does not.
func (c *Client) DeletePair(ctx context.Context, p Pair) error {
	_, err := c.swap(ctx, api.KVTxnOp{Verb: api.KVDeleteCAS, Key: p.Key, Index: p.Revision})
	return err
}

// swap takes a step by a transaction, which, unlike a single call, tells the index
// that the key has then. A key that is to be deleted must be there first: Consul
// takes one that is not for one that was.
func (c *Client) swap(ctx context.Context, op api.KVTxnOp) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.patience())
	defer cancel()
	ops := api.TxnOps{{KV: &op}}
	if op.Verb == api.KVDeleteCAS {
		ops = api.TxnOps{{KV: &api.KVTxnOp{Verb: api.KVCheckIndex, Key: op.Key, Index: op.Index}}, {KV: &op}}
	}
	ok, answer, _, err := c.api.Txn().Txn(ops, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return 0, fmt.Errorf("write key %s: %w", op.Key, err)
	}
	if !ok {
		if err := refusal(answer.Errors); !errors.Is(err, lease.ErrHeld) {
			return 0, fmt.Errorf("write key %s: %w", op.Key, err)
		}
		return 0, fmt.Errorf("write key %s: %w", op.Key, ErrConflict)
	}
	if op.Verb == api.KVDeleteCAS {
		return 0, nil
	}
	if len(answer.Results) != 1 || answer.Results[0].KV == nil {
		return 0, fmt.Errorf("write key %s: the answer does not say what was written", op.Key)
	}
	return answer.Results[0].KV.ModifyIndex, nil
}

// TryAcquire takes the lease of name without waiting. The error wraps
// [lease.ErrHeld] if somebody has it. The lease outlives ctx.
func (c *Client) TryAcquire(ctx context.Context, name string) (*Lease, error) {
	if name == "" {
		return nil, errors.New("acquire a lease: no name")
	}
	l, err := c.claim(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("acquire lease %s: %w", name, err)
	}
	return l, nil
}

// Forget deletes what is kept of a lease that nobody holds, its epoch with it. It
// does nothing if there is no such lease, and fails with [lease.ErrHeld] if somebody
// holds it.
func (c *Client) Forget(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, c.patience())
	defer cancel()
	pair, _, err := c.api.KV().Get(c.prefix+name, reading(ctx))
	if err != nil {
		return fmt.Errorf("forget lease %s: %w", name, err)
	}
	if pair == nil {
		return nil
	}
	if pair.Session != "" {
		return fmt.Errorf("forget lease %s: %w", name, lease.ErrHeld)
	}
	err = c.DeletePair(ctx, Pair{Key: pair.Key, Revision: pair.ModifyIndex})
	if errors.Is(err, ErrConflict) {
		err = lease.ErrHeld
	}
	if err != nil {
		return fmt.Errorf("forget lease %s: %w", name, err)
	}
	return nil
}
