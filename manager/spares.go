package manager

import (
	"context"
	"errors"
	"fmt"

	"centrifuge/jobdb"
)

// adopt gives JobDBs without a record one, as released: there may be jobs in them.
// So a folder that was served before there were catalogs is taken over.
func (m *Manager) adopt(ctx context.Context, v *view) error {
	var failed error
	folded := through(v.records)
	for _, s := range v.servers {
		for _, f := range s.Files {
			r := Record{Name: f.Name, Server: s.Name}
			if find(v.records, f.Name) != nil || r.number() <= folded {
				continue
			}
			err := r.enter(StateReleased, m.o.Now())
			if err == nil {
				err = m.put(ctx, v, r)
			}
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// Adopt gives the JobDBs of the pool that have no record one. A Manager that runs
// does so by itself; this is for who needs it done before.
func (m *Manager) Adopt(ctx context.Context) error {
	records, _, err := m.o.Catalog.List(ctx, 0)
	if err != nil {
		return fmt.Errorf("list the catalog: %w", err)
	}
	servers, err := m.o.Pool.Servers(ctx)
	if err != nil {
		return fmt.Errorf("list the servers: %w", err)
	}
	for _, s := range servers {
		if s.Err != nil {
			return fmt.Errorf("server %s: %w", s.Name, s.Err)
		}
	}
	return m.adopt(ctx, &view{records: records, servers: servers})
}

// makeSpares keeps spares ready on each server that answers. The catalog gives a
// name away before anything is made under it, so that none is given twice.
func (m *Manager) makeSpares(ctx context.Context, v *view) error {
	var failed error
	for _, s := range v.servers {
		if s.Err != nil {
			continue
		}
		ready := 0
		for _, r := range v.records {
			if r.Server == s.Name && (r.State == StateSpare || r.State == StateNew) {
				ready++
			}
		}
		for ; ready < m.o.Spares; ready++ {
			r := Record{Name: jobdb.Name(lastNumber(v) + 1), Server: s.Name}
			err := r.enter(StateNew, m.o.Now())
			if err == nil {
				err = m.put(ctx, v, r)
			}
			if err != nil {
				failed = errors.Join(failed, err)
				break
			}
		}
		failed = errors.Join(failed, m.makeNew(ctx, v, s.Name))
	}
	return failed
}

// makeNew makes the JobDBs that have been named.
func (m *Manager) makeNew(ctx context.Context, v *view, server string) error {
	var failed error
	for i := range v.records {
		r := v.records[i]
		if r.Server != server || r.State != StateNew {
			continue
		}
		err := m.o.Pool.Create(ctx, r.Server, r.Name)
		if err == nil {
			err = r.enter(StateSpare, m.o.Now())
		}
		if err == nil {
			err = m.put(ctx, v, r)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// lastNumber is the highest that a JobDB has, or had.
func lastNumber(v *view) uint64 {
	last := through(v.records)
	for i := range v.records {
		last = max(last, v.records[i].number())
	}
	for _, s := range v.servers {
		for _, f := range s.Files {
			if n, ok := jobdb.Number(f.Name); ok {
				last = max(last, n)
			}
		}
	}
	return last
}
