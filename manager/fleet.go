package manager

import (
	"context"
	"slices"
	"time"

	"centrifuge/jobdb"
)

// Fleet is the fleet at a moment.
type Fleet struct {
	Directors []Director
	Servers   []jobdb.Server
	JobDBs    []JobDB // by number
	MaxBytes  int64   // of a JobDB, at which it is cycled
	MaxAge    time.Duration
}

// JobDB is a JobDB of the fleet.
type JobDB struct {
	Record

	Bytes int64 // as its server sees it; 0 if that does not say

	// Counted says that Ledger is the JobDB's now; it is the one in Record, or a
	// later one.
	Counted bool
	Ledger  Ledger

	// Running says that it is being drained at this moment.
	Running bool

	// Err is why draining it failed the last time, or why it is not dropped.
	Err error

	// DropAt is when it is dropped, if it was drained: if there is room for so long.
	DropAt time.Time
}

// Fleet returns the fleet as it is, as far as that can be told: it fails only
// without the catalog.
func (m *Manager) Fleet(ctx context.Context) (Fleet, error) {
	v, err := m.observe(ctx)
	if v == nil {
		return Fleet{}, err
	}
	f := Fleet{Directors: v.directors, Servers: v.servers, MaxBytes: m.o.MaxBytes, MaxAge: m.o.MaxAge}
	folded := through(v.records)
	for _, r := range v.records {
		if r.Name != sumName && r.number() <= folded {
			continue // the sum has it
		}
		j := JobDB{Record: r}
		file, _, _ := v.file(r.Server, r.Name)
		j.Bytes = file.Bytes
		m.account(v, &j)
		if r.State == StateDrained {
			j.DropAt = r.Since[StateDrained].Add(m.o.KeepAge)
		}
		f.JobDBs = append(f.JobDBs, j)
	}
	return f, nil
}

// account finds out what the ledger of a JobDB is: its Director knows, or the drain
// of it, or its record, if nothing can have happened since that was written.
func (m *Manager) account(v *view, j *JobDB) {
	j.Counted, j.Ledger = j.Known, j.Record.Ledger
	m.mu.Lock()
	d := m.mu.drains[j.Name]
	if d != nil {
		j.Running, j.Err = d.running, d.err
	}
	if m.mu.restored[j.Name] {
		j.Err = errRestored
	}
	switch {
	case j.State == StateDraining && d != nil && d.ledger != nil:
		j.Counted, j.Ledger = true, *d.ledger
	case j.State == StateDraining:
		j.Counted = false
	}
	m.mu.Unlock()
	switch j.State {
	case StateNew, StateSpare:
		j.Counted = true
	case StateLive:
		j.Counted = false
		for _, director := range v.directors {
			if l, ok := director.Ledgers[j.Name]; ok {
				j.Counted, j.Ledger = true, l
			}
		}
	case StateReleased, StateDraining, StateDrained, StateDropped:
	}
}

// Books are the ledger of the whole fleet.
type Books struct {
	// Total has each job once: one that went on in another JobDB is counted there,
	// and Moved is 0.
	Total Ledger

	// Uncounted are the JobDBs whose jobs nobody could count at this moment, and
	// which are therefore missing in Total: their Director died, and their drain has
	// not begun yet.
	Uncounted []string
}

// Balanced reports whether the ledger is whole, and its two sides equal.
func (b *Books) Balanced() bool { return len(b.Uncounted) == 0 && b.Total.Balanced() }

// Books returns the ledger of the fleet: of all JobDBs that there are, and that
// there were.
func (m *Manager) Books(ctx context.Context) (Books, error) {
	f, err := m.Fleet(ctx)
	if err != nil {
		return Books{}, err
	}
	return f.Books(), nil
}

// Books adds up the ledgers of all JobDBs but those named.
//
// A job that was moved was accepted by each JobDB that it came through, and is
// counted as moved in all of them but the last, so it is counted once by the
// difference. While a batch of jobs is durable in its target and not yet logged as
// moved, its jobs are counted in both, for the milliseconds between the two commits.
func (f *Fleet) Books(except ...string) Books {
	var b Books
	for i := range f.JobDBs {
		j := &f.JobDBs[i]
		if slices.Contains(except, j.Name) {
			continue
		}
		if !j.Counted {
			b.Uncounted = append(b.Uncounted, j.Name)
		}
		b.Total.add(&j.Ledger)
	}
	b.Total.Accepted -= b.Total.Moved
	b.Total.Moved = 0
	return b
}
