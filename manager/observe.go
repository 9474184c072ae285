package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"centrifuge/jobdb"
)

// Directors is how the Manager speaks with the Directors of its fleet.
type Directors interface {
	// Status asks all Directors that are known to live how they are. One that does
	// not answer is there all the same, with the reason.
	Status(ctx context.Context) ([]Director, error)

	// Cycle has a Director go over to a spare, and returns when it has: from then on
	// its intake goes to the JobDB now. What is left in the one before stays there,
	// and is released when the attempts under way have ended.
	Cycle(ctx context.Context, name string) (before, now string, err error)
}

// Director is a Director of the fleet, as it says itself.
type Director struct {
	Name    string
	Address string
	Err     error // why it did not answer; then the rest is empty

	// JobDB is the one that its intake goes to, "" while it has none.
	JobDB string

	// Ledgers are those of all JobDBs that it owns: JobDB, and those that it is
	// about to release.
	Ledgers map[string]Ledger
}

// view is the fleet as a pass sees it. Its records are of one moment, its other
// fields of later ones, in this order: a lease is taken before a record says that
// its JobDB is live, so one that is live here and not held was let go of.
type view struct {
	records   []Record
	held      map[string]bool // by JobDB; nil if it could not be told
	servers   []jobdb.Server
	directors []Director
}

// observe returns what it could see, and no view without the catalog.
func (m *Manager) observe(ctx context.Context) (*view, error) {
	v := &view{}
	var err error
	if v.records, _, err = m.o.Catalog.List(ctx, 0); err != nil {
		return nil, fmt.Errorf("list the catalog: %w", err)
	}
	var failed error
	if v.held, err = m.o.Leases.Held(ctx); err != nil {
		failed = errors.Join(failed, fmt.Errorf("list the leases: %w", err))
		v.held = nil
	}
	if v.servers, err = m.o.Pool.Servers(ctx); err != nil {
		failed = errors.Join(failed, fmt.Errorf("list the servers: %w", err))
	}
	for _, s := range v.servers {
		if s.Err != nil {
			failed = errors.Join(failed, fmt.Errorf("server %s: %w", s.Name, s.Err))
		}
	}
	if v.directors, err = m.o.Directors.Status(ctx); err != nil {
		failed = errors.Join(failed, fmt.Errorf("ask the Directors: %w", err))
	}
	return v, failed
}

// put writes a record, and notes it in the view.
func (m *Manager) put(ctx context.Context, v *view, r Record) error {
	written, err := m.o.Catalog.Put(ctx, r)
	if err != nil {
		return fmt.Errorf("record that %s is %s: %w", r.Name, r.State, err)
	}
	r = written
	if old := find(v.records, r.Name); old != nil {
		*old = r
	} else {
		v.records = append(v.records, r)
		slices.SortFunc(v.records, func(a, b Record) int { return CompareNames(a.Name, b.Name) })
	}
	m.o.Logger.Info("the state of a JobDB", "jobdb", r.Name, "state", r.State, "server", r.Server, "owner", r.Owner, "target", r.Target)
	return nil
}

// file is the JobDB as its server sees it; known is false if the server does not
// say.
func (v *view) file(server, name string) (file jobdb.File, there, known bool) {
	for _, s := range v.servers {
		if s.Name != server || s.Err != nil {
			continue
		}
		known = true
		for _, f := range s.Files {
			if f.Name == name {
				return f, true, true
			}
		}
	}
	return jobdb.File{}, false, known
}

// takes returns the Director whose intake goes to the JobDB, nil if there is none
// that answers.
func takes(directors []Director, name string) *Director {
	for i := range directors {
		if d := &directors[i]; d.Err == nil && d.JobDB == name {
			return d
		}
	}
	return nil
}
