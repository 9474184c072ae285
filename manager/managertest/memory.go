package managertest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"centrifuge/manager"
)

// Memory is a catalog in memory. The zero Memory is empty and ready.
type Memory struct {
	mu      sync.Mutex
	version uint64
	records []manager.Record
	changed chan struct{} // closed by the next change; nil if nobody waits
}

var _ manager.Catalog = (*Memory)(nil)

// List implements [manager.Catalog].
func (c *Memory) List(ctx context.Context, seen uint64) ([]manager.Record, uint64, error) {
	for {
		c.mu.Lock()
		records, version := slices.Clone(c.records), c.version+1
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.mu.Unlock()
		if version != seen || ctx.Err() != nil {
			return records, version, ctx.Err()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// Put implements [manager.Catalog].
func (c *Memory) Put(ctx context.Context, r manager.Record) (manager.Record, error) {
	if r.Name == "" {
		return manager.Record{}, errors.New("put a record without a name")
	}
	i, unlock, err := c.find(ctx, r)
	defer unlock()
	if err != nil {
		return manager.Record{}, err
	}
	c.change()
	r.Revision = c.version
	if i < 0 {
		c.records = append(c.records, r)
	} else {
		c.records[i] = r
	}
	slices.SortFunc(c.records, func(a, b manager.Record) int { return manager.CompareNames(a.Name, b.Name) })
	return r, nil
}

// Delete implements [manager.Catalog].
func (c *Memory) Delete(ctx context.Context, r manager.Record) error {
	i, unlock, err := c.find(ctx, r)
	defer unlock()
	if err == nil && i < 0 {
		err = manager.ErrConflict
	}
	if err != nil {
		return err
	}
	c.change()
	c.records = slices.Delete(c.records, i, i+1)
	return nil
}

// find returns the index of the record, -1 if there is none, with the lock held.
func (c *Memory) find(ctx context.Context, r manager.Record) (i int, unlock func(), err error) {
	c.mu.Lock()
	i = slices.IndexFunc(c.records, func(known manager.Record) bool { return known.Name == r.Name })
	var revision uint64
	if i >= 0 {
		revision = c.records[i].Revision
	}
	if revision != r.Revision {
		err = manager.ErrConflict
	}
	return i, c.mu.Unlock, errors.Join(ctx.Err(), err)
}

// change is called with the lock held.
func (c *Memory) change() {
	c.version++
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}
