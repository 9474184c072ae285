package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"centrifuge/lease"
)

// releaseOrphans finds the JobDBs whose Directors let go of them without a word:
// they died, or could not reach the catalog.
func (m *Manager) releaseOrphans(ctx context.Context, v *view) error {
	if v.held == nil {
		return nil
	}
	var failed error
	for i := range v.records {
		r := v.records[i]
		if r.State != StateLive || v.held[r.Name] {
			continue
		}
		err := r.enter(StateReleased, m.o.Now())
		if err == nil {
			err = m.put(ctx, v, r)
		}
		if errors.Is(err, ErrConflict) {
			err = nil // its Director did so itself
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// cyclePatience is how long a Director may take to go over to a spare.
const cyclePatience = 10 * time.Second

// cycleFull has each Director whose JobDB is large or old go over to a spare, as
// many at once as there are spares.
func (m *Manager) cycleFull(ctx context.Context, v *view) error {
	spares := 0
	for _, r := range v.records {
		if r.State == StateSpare && !v.held[r.Name] {
			spares++
		}
	}
	var full []Director
	for _, d := range v.directors {
		if len(full) < spares && d.Err == nil && m.isFull(v, &d) {
			full = append(full, d)
		}
	}
	failed := make([]error, len(full))
	var asked sync.WaitGroup
	for i := range full {
		asked.Go(func() { _, _, failed[i] = m.cycle(ctx, full[i].Name) })
	}
	asked.Wait()
	return errors.Join(failed...)
}

// isFull reports whether a Director should go over to a spare. One more than half
// of whose jobs are unfinished should not: to move those would cost more than
// dropping the others gains, and over and over for as long as an endpoint is down.
func (m *Manager) isFull(v *view, d *Director) bool {
	r := find(v.records, d.JobDB)
	if r == nil || r.State != StateLive {
		return false
	}
	ledger := d.Ledgers[d.JobDB]
	if ledger.Accepted == 0 || 2*ledger.Pending() > ledger.Accepted {
		return false
	}
	file, _, _ := v.file(r.Server, r.Name)
	return file.Bytes >= m.o.MaxBytes || m.o.Now().Sub(r.Since[StateLive]) >= m.o.MaxAge
}

func (m *Manager) cycle(ctx context.Context, director string) (before, now string, err error) {
	ctx, cancel := context.WithTimeout(ctx, cyclePatience)
	defer cancel()
	before, now, err = m.o.Directors.Cycle(ctx, director)
	if err != nil {
		return "", "", fmt.Errorf("cycle Director %s: %w", director, err)
	}
	m.counters.cycles.Inc()
	m.o.Logger.Info("a Director went over to another JobDB", "director", director, "before", before, "now", now)
	m.look()
	return before, now, nil
}

// ErrUnknown means that the fleet has no such Director or JobDB.
var ErrUnknown = errors.New("the fleet has none of that name")

// Cycle has a Director go over to a spare now.
func (m *Manager) Cycle(ctx context.Context, director string) (before, now string, err error) {
	directors, err := m.o.Directors.Status(ctx)
	if err != nil {
		return "", "", fmt.Errorf("ask the Directors: %w", err)
	}
	if !slices.ContainsFunc(directors, func(d Director) bool { return d.Name == director }) {
		return "", "", fmt.Errorf("director %q: %w", director, ErrUnknown)
	}
	return m.cycle(ctx, director)
}

// Drain sees to it that a JobDB is emptied and dropped, also one that is in use: its
// Director goes over to a spare first. It returns what state the JobDB was in; the
// rest happens by itself, and again from the beginning if it had failed.
func (m *Manager) Drain(ctx context.Context, name string) (State, error) {
	v, err := m.observe(ctx)
	if v == nil {
		return "", err
	}
	r := find(v.records, name)
	if r == nil || r.Through > 0 {
		return "", fmt.Errorf("JobDB %q: %w", name, ErrUnknown)
	}
	if d := takes(v.directors, name); d != nil {
		if _, _, err := m.cycle(ctx, d.Name); err != nil {
			return r.State, err
		}
	} else if r.State == StateLive && v.held[name] {
		return r.State, fmt.Errorf("JobDB %s, which %s owns, who does not answer: %w", name, r.Owner, lease.ErrHeld)
	}
	m.mu.Lock()
	if d := m.mu.drains[name]; d != nil {
		d.notBefore = time.Time{}
	}
	m.mu.Unlock()
	m.look()
	return r.State, nil
}
