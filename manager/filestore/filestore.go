// Package filestore keeps the catalog of a Manager in one file of a folder that one
// process owns, and gives it leases within that process.
package filestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"centrifuge/manager"
)

const fileName = "catalog.json"

// Catalog is a catalog in the file catalog.json. It implements [manager.Catalog].
type Catalog struct {
	folder string

	mu struct {
		sync.Mutex
		content content
		changed chan struct{} // closed by the next change
	}
}

var _ manager.Catalog = (*Catalog)(nil)

// content is what the file holds.
type content struct {
	Version uint64  `json:"version"` // raised by each change
	Records []entry `json:"records"`
}

type entry struct {
	manager.Record

	Revision uint64 `json:"revision"` // the version that wrote it
}

// Open reads the catalog of a folder, which is empty if there is none. The caller
// holds the lease of the folder, for longer than it uses the catalog.
func Open(folder string) (*Catalog, error) {
	c := &Catalog{folder: folder}
	c.mu.content.Version = 1
	c.mu.changed = make(chan struct{})
	path := filepath.Join(folder, fileName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the catalog: %w", err)
	}
	if err := json.Unmarshal(text, &c.mu.content); err != nil {
		return nil, fmt.Errorf("open the catalog: %s is damaged; restore it from a backup: %w", path, err)
	}
	return c, nil
}

// List implements [manager.Catalog].
func (c *Catalog) List(ctx context.Context, seen uint64) ([]manager.Record, uint64, error) {
	for {
		c.mu.Lock()
		now, changed := c.mu.content, c.mu.changed
		c.mu.Unlock()
		if now.Version != seen {
			records := make([]manager.Record, len(now.Records))
			for i, e := range now.Records {
				records[i] = e.Record
				records[i].Revision = e.Revision
			}
			return records, now.Version, ctx.Err()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, fmt.Errorf("list the catalog: %w", ctx.Err())
		}
	}
}

// Put implements [manager.Catalog].
func (c *Catalog) Put(ctx context.Context, r manager.Record) (manager.Record, error) {
	if r.Name == "" {
		return manager.Record{}, errors.New("put a record: it has no name")
	}
	revision, err := c.change(ctx, r, func(entries []entry, i int, revision uint64) []entry {
		written := entry{Record: r, Revision: revision}
		if i >= 0 {
			entries[i] = written
			return entries
		}
		return append(entries, written)
	})
	if err != nil {
		return manager.Record{}, fmt.Errorf("put the record of %s: %w", r.Name, err)
	}
	r.Revision = revision
	return r, nil
}

// Delete implements [manager.Catalog].
func (c *Catalog) Delete(ctx context.Context, r manager.Record) error {
	_, err := c.change(ctx, r, func(entries []entry, i int, _ uint64) []entry {
		if i < 0 {
			return entries
		}
		return slices.Delete(entries, i, i+1)
	})
	if err != nil {
		return fmt.Errorf("delete the record of %s: %w", r.Name, err)
	}
	return nil
}

// change writes the catalog anew with what apply makes of a copy of its entries.
// The index is that of the record of r, which must have its revision, or -1.
//
// The lock is held while the file is written: nobody sees what is not durable.
func (c *Catalog) change(
	ctx context.Context, r manager.Record, apply func(entries []entry, i int, revision uint64) []entry,
) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := slices.Clone(c.mu.content.Records)
	i := slices.IndexFunc(entries, func(e entry) bool { return e.Name == r.Name })
	var revision uint64
	if i >= 0 {
		revision = entries[i].Revision
	}
	if revision != r.Revision {
		return 0, manager.ErrConflict
	}
	next := content{Version: c.mu.content.Version + 1}
	next.Records = apply(entries, i, next.Version)
	slices.SortFunc(next.Records, func(a, b entry) int { return manager.CompareNames(a.Name, b.Name) })
	if err := write(c.folder, next); err != nil {
		return 0, err
	}
	c.mu.content = next
	close(c.mu.changed)
	c.mu.changed = make(chan struct{})
	return next.Version, nil
}

// write replaces the file: after a crash at any point it holds the old content or
// the new one, and after a nil return the new one. After an error the file may hold
// what List does not show; the next write replaces it, and whoever opens the folder
// after a crash before that finds a state that was about to be entered.
func write(folder string, content content) error {
	text, err := json.MarshalIndent(content, "", "\t")
	if err != nil {
		return err
	}
	path := filepath.Join(folder, fileName)
	if err := writeSynced(path+".next", append(text, '\n')); err != nil {
		return err
	}
	if err := os.Rename(path+".next", path); err != nil {
		return err
	}
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func writeSynced(name string, text []byte) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
