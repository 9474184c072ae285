package manager

import (
	"context"
	"errors"
	"fmt"
)

// ErrConflict means that a record was changed, made or deleted since it was read.
// Nothing was written.
var ErrConflict = errors.New("the record has changed since it was read")

// Catalog holds a small record of each JobDB, for the whole fleet: the one place
// that says which JobDBs there are and what is being done with each. The
// implementations are in manager/filestore and manager/consulstore;
// manager/managertest is the suite that each of them passes.
//
// What Put or Delete did is durable when they return nil, and seen by every List
// that begins after that. After an error other than [ErrConflict] it may have been
// done or not, and the record is to be read again before anything is concluded.
// All methods are safe for concurrent use, by many processes.
type Catalog interface {
	// List returns all records in the order of their JobDBs' numbers, and the
	// version that the catalog has with them, which is never 0. If that is seen
	// still, List first waits for a change; it may also return without one.
	List(ctx context.Context, seen uint64) ([]Record, uint64, error)

	// Put writes a record, if there still is the one with its revision; with
	// revision 0, if there is none. It returns the record with its new revision.
	Put(ctx context.Context, r Record) (Record, error)

	// Delete deletes the record, if it still has that revision.
	Delete(ctx context.Context, r Record) error
}

// Get returns the record of a JobDB; false if there is none.
func Get(ctx context.Context, c Catalog, name string) (Record, bool, error) {
	records, _, err := c.List(ctx, 0)
	if err != nil {
		return Record{}, false, err
	}
	for i := range records {
		if records[i].Name == name {
			return records[i], true, nil
		}
	}
	return Record{}, false, nil
}

// errGone means that a JobDB has no record any more.
var errGone = errors.New("the catalog has no record of it")

// update changes a record, however often others change it at the same time. An
// error of change is returned, and nothing written.
func update(ctx context.Context, c Catalog, name string, change func(*Record) error) (Record, error) {
	for {
		r, found, err := Get(ctx, c, name)
		if err != nil {
			return Record{}, err
		}
		if !found {
			return Record{}, fmt.Errorf("%s: %w", name, errGone)
		}
		if err := change(&r); err != nil {
			return Record{}, fmt.Errorf("%s: %w", name, err)
		}
		if r, err = c.Put(ctx, r); !errors.Is(err, ErrConflict) {
			return r, err
		}
	}
}
