package manager

import (
	"context"
	"errors"
	"fmt"
)

// dropEmpty drops what should be gone and is not: a drain was cut off after it had
// recorded that the JobDB is empty.
func (m *Manager) dropEmpty(ctx context.Context, v *view) error {
	var failed error
	for _, r := range v.records {
		if r.State != StateDropped || m.isDraining(r.Name) {
			continue
		}
		if _, there, _ := v.file(r.Server, r.Name); there {
			failed = errors.Join(failed, m.o.Pool.Drop(ctx, r.Server, r.Name))
		}
	}
	return failed
}

func (m *Manager) isDraining(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.mu.drains[name]
	return d != nil && d.running
}

// sumName is that of the record that stands for many.
const sumName = "dropped"

// through is the number up to which JobDBs are in the sum, if there is one.
func through(records []Record) uint64 {
	if sum := find(records, sumName); sum != nil {
		return sum.Through
	}
	return 0
}

// fold adds the ledgers of JobDBs that were dropped long ago to one record and
// deletes theirs, so that the catalog does not grow for ever. The sum is written
// first and says up to which number it goes: a record that it includes counts for
// nothing, and so is counted once wherever this is cut off. It goes by number, and
// stops at the first JobDB that is not gone long enough.
func (m *Manager) fold(ctx context.Context, v *view) error {
	sum := Record{Name: sumName, State: StateDropped, Known: true}
	if r := find(v.records, sumName); r != nil {
		sum = *r
	}
	before := sum.Through
	for i := range v.records { // in the order of their numbers
		r := &v.records[i]
		if r.number() <= before {
			continue
		}
		_, there, known := v.file(r.Server, r.Name)
		if r.State != StateDropped || there || !known || m.o.Now().Sub(r.Since[StateDropped]) < m.o.Keep {
			break
		}
		sum.Ledger.add(&r.Ledger)
		sum.Through = r.number()
	}
	if sum.Through > before {
		if err := m.put(ctx, v, sum); err != nil {
			return err
		}
	}
	var failed error
	for _, r := range v.records {
		if r.Name == sumName || r.number() > sum.Through {
			continue
		}
		err := m.o.Leases.Forget(ctx, r.Name)
		if err == nil {
			err = m.o.Catalog.Delete(ctx, r)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("delete the record of %s: %w", r.Name, err))
		}
	}
	return failed
}
