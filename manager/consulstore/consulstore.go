// Package consulstore keeps the catalog of a fleet in Consul's keys, and leases its
// JobDBs there.
package consulstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"centrifuge/lease"
	"centrifuge/lease/consul"
	"centrifuge/manager"
)

// Catalog has a key for each record. It implements [manager.Catalog].
type Catalog struct {
	client *consul.Client
	prefix string
}

var _ manager.Catalog = (*Catalog)(nil)

// entry is a key's value. After is the revision that it was written over: Consul
// gives a key no new revision for a value that it has already.
type entry struct {
	manager.Record

	After uint64 `json:"after,omitempty"`
}

// NewCatalog returns the catalog whose keys begin with the prefix, and which has all
// of those.
func NewCatalog(client *consul.Client, prefix string) *Catalog {
	return &Catalog{client: client, prefix: prefix}
}

// List implements [manager.Catalog].
func (c *Catalog) List(ctx context.Context, seen uint64) ([]manager.Record, uint64, error) {
	pairs, version, err := c.client.Pairs(ctx, c.prefix, seen)
	if err != nil {
		return nil, 0, fmt.Errorf("list the catalog: %w", err)
	}
	records := make([]manager.Record, len(pairs))
	for i, p := range pairs {
		var e entry
		if err := json.Unmarshal(p.Value, &e); err != nil {
			return nil, 0, fmt.Errorf("list the catalog: key %s is damaged: %w", p.Key, err)
		}
		if c.prefix+e.Name != p.Key {
			return nil, 0, fmt.Errorf("list the catalog: key %s has the record of %q", p.Key, e.Name)
		}
		records[i] = e.Record
		records[i].Revision = p.Revision
	}
	slices.SortFunc(records, func(a, b manager.Record) int { return manager.CompareNames(a.Name, b.Name) })
	return records, version, nil
}

// Put implements [manager.Catalog].
func (c *Catalog) Put(ctx context.Context, r manager.Record) (manager.Record, error) {
	if r.Name == "" {
		return manager.Record{}, errors.New("put a record: it has no name")
	}
	value, err := json.Marshal(entry{Record: r, After: r.Revision})
	if err != nil {
		return manager.Record{}, fmt.Errorf("put the record of %s: %w", r.Name, err)
	}
	r.Revision, err = c.client.PutPair(ctx, consul.Pair{Key: c.prefix + r.Name, Value: value, Revision: r.Revision})
	if err != nil {
		return manager.Record{}, fmt.Errorf("put the record of %s: %w", r.Name, asConflict(err))
	}
	return r, nil
}

// Delete implements [manager.Catalog].
func (c *Catalog) Delete(ctx context.Context, r manager.Record) error {
	if err := c.client.DeletePair(ctx, consul.Pair{Key: c.prefix + r.Name, Revision: r.Revision}); err != nil {
		return fmt.Errorf("delete the record of %s: %w", r.Name, asConflict(err))
	}
	return nil
}

func asConflict(err error) error {
	if errors.Is(err, consul.ErrConflict) {
		return manager.ErrConflict
	}
	return err
}

// jobdbs is what the names of the leases of JobDBs begin with.
const jobdbs = "jobdb/"

// Leases leases JobDBs. It implements [manager.Leases].
type Leases struct{ client *consul.Client }

var _ manager.Leases = (*Leases)(nil)

// NewLeases returns the leases of the fleet that the client is of.
func NewLeases(client *consul.Client) *Leases { return &Leases{client} }

// Acquire implements [manager.Leases].
func (l *Leases) Acquire(ctx context.Context, name string) (lease.Lease, error) {
	held, err := l.client.TryAcquire(ctx, jobdbs+name)
	if err != nil {
		return nil, err // not a nil *consul.Lease in an interface
	}
	return held, nil
}

// Held implements [manager.Leases].
func (l *Leases) Held(ctx context.Context) (map[string]bool, error) {
	holders, err := l.client.Holders(ctx)
	if err != nil {
		return nil, err
	}
	held := make(map[string]bool)
	for _, h := range holders {
		if name, ok := strings.CutPrefix(h.Name, jobdbs); ok && h.Held {
			held[name] = true
		}
	}
	return held, nil
}

// Forget implements [manager.Leases].
func (l *Leases) Forget(ctx context.Context, name string) error {
	return l.client.Forget(ctx, jobdbs+name)
}
