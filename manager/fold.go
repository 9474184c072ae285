package manager

import (
	"context"
	"errors"
	"fmt"
	"time"
)

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
		if r.State != StateDropped || there || !known || m.o.Now().Sub(r.Since[StateDropped]) < m.o.KeepRecords {
			break
		}
		sum.include(r)
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

// include adds a record to a sum. The sum's times are those from when the first was
// made until the last was let go of, and dropped.
func (r *Record) include(other *Record) {
	since := map[State]time.Time{
		StateReleased: latest(r.Since[StateReleased], other.Since[StateReleased]),
		StateDropped:  latest(r.Since[StateDropped], other.Since[StateDropped]),
	}
	made := other.Since[StateSpare]
	if before := r.Since[StateSpare]; r.Through > 0 && before.Before(made) {
		made = before // zero if nobody knows
	}
	if !made.IsZero() {
		since[StateSpare] = made
	}
	r.Since, r.Through = since, other.number()
	r.Ledger.add(&other.Ledger)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
