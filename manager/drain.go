package manager

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// drain is what the Manager knows of the draining of one JobDB, beside its record.
// It is guarded by Manager.mu.
type drain struct {
	running   bool
	cancel    context.CancelFunc // ends it, while it runs
	notBefore time.Time          // it is tried again, after a failure
	failures  int
	err       error   // of the last time
	ledger    *Ledger // as heard last; nil before
}

// After a drain that failed, the next waits from drainAgain, doubled each time, up
// to drainAgainMost.
const (
	drainAgain     = time.Second
	drainAgainMost = time.Minute
)

// endStranded ends the drains whose target is nobody's any more, and which would
// offer their jobs for ever. What is next is for their next try to find out.
func (m *Manager) endStranded(_ context.Context, v *view) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range v.records {
		d := m.mu.drains[r.Name]
		if d == nil || !d.running || r.State != StateDraining {
			continue
		}
		if target := find(v.records, r.Target); target == nil || target.State != StateLive {
			d.cancel()
		}
	}
	return nil
}

// startDrains has what Directors let go of drained, the oldest first. What another
// drain goes to is left alone until that is done with it.
func (m *Manager) startDrains(ctx context.Context, v *view) error {
	now := m.o.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	running := 0
	for name, d := range m.mu.drains {
		if find(v.records, name) == nil {
			delete(m.mu.drains, name)
		} else if d.running {
			running++
		}
	}
	for _, r := range v.records {
		if running == m.o.Drains {
			return nil
		}
		if (r.State != StateReleased || isTarget(v.records, r.Name)) && r.State != StateDraining {
			continue
		}
		d := m.mu.drains[r.Name]
		if d == nil {
			d = &drain{}
			m.mu.drains[r.Name] = d
		}
		if d.running || now.Before(d.notBefore) {
			continue
		}
		ctx, cancel := context.WithCancel(ctx)
		d.running, d.cancel = true, cancel
		running++
		m.draining.Go(func() {
			defer cancel()
			err := m.drain(ctx, r.Name)
			m.drained(ctx, r.Name, d, err)
		})
	}
	return nil
}

// errWait means that a drain could not go on yet, and nothing is wrong.
var errWait = errors.New("not yet")

// drained notes how a drain ended, and has Run look what is next.
func (m *Manager) drained(ctx context.Context, name string, d *drain, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d.running, d.err = false, err
	switch {
	case err == nil:
		delete(m.mu.drains, name)
		m.look()
	case ctx.Err() != nil: // stranded, or the Manager ends
		m.look()
	case errors.Is(err, errWait):
		d.notBefore = m.o.Now().Add(m.o.Interval)
	default:
		d.failures++
		m.counters.drainFailures.Inc()
		wait := min(drainAgain<<min(d.failures-1, 10), drainAgainMost)
		d.notBefore = m.o.Now().Add(wait)
		m.o.Logger.Warn("a JobDB could not be drained; trying again", "jobdb", name, "error", err, "in", wait)
	}
}

// drain empties a JobDB, under its lease. The record is read after the
// lease is taken: what it says then stays true while we hold it.
func (m *Manager) drain(ctx context.Context, name string) (err error) {
	r, found, err := Get(ctx, m.o.Catalog, name)
	if err != nil || !found {
		return err
	}
	from, ctx, release, err := m.hold(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	to, err := m.direct(ctx, from)
	if err != nil {
		return err
	}
	ledger, err := m.o.Drainer.Drain(ctx, from, to, func(l Ledger) { m.progress(name, l) })
	if err != nil {
		return fmt.Errorf("drain %s into %s of %s: %w", name, to.JobDB, to.Name, err)
	}
	if n := ledger.Pending(); n != 0 || !ledger.Balanced() {
		return fmt.Errorf("drain %s: it is said to be empty, but its ledger has %d pending jobs, balanced: %t", name, n, ledger.Balanced())
	}
	mark, err := m.mark(ctx, from.Server, name)
	if err != nil {
		return err
	}
	_, err = m.enter(ctx, name, StateDrained, func(r *Record) { r.Ledger, r.Known, r.Mark, r.Target = ledger, true, mark, "" })
	return err
}

// hold takes the lease of a JobDB. The context ends when the lease is lost; release
// gives it back.
func (m *Manager) hold(ctx context.Context, r Record) (_ Held, _ context.Context, release func() error, err error) {
	l, err := m.o.Leases.Acquire(ctx, r.Name)
	if err != nil {
		return Held{}, nil, nil, fmt.Errorf("take the lease of %s: %w", r.Name, err)
	}
	held, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-l.Done():
			cancel()
		case <-held.Done():
		}
	}()
	return Held{Name: r.Name, Server: r.Server, Lease: l}, held, func() error {
		cancel()
		<-watched
		return closeLease(ctx, l)
	}, nil
}

// direct returns the Director that the jobs of a JobDB go to, whose JobDB the
// catalog names as the target. If jobs went to another one that takes them no more,
// that one is swept first, so that each of them is known to be here or there.
func (m *Manager) direct(ctx context.Context, from Held) (Director, error) {
	records, _, err := m.o.Catalog.List(ctx, 0)
	if err != nil {
		return Director{}, fmt.Errorf("list the catalog: %w", err)
	}
	r := find(records, from.Name)
	switch {
	case r == nil:
		return Director{}, fmt.Errorf("%s: %w", from.Name, errGone)
	case r.State == StateReleased:
		return m.assign(ctx, from.Name, "")
	case r.State != StateDraining:
		return Director{}, fmt.Errorf("%s is %s by now: %w", from.Name, r.State, errWait)
	}
	directors, err := m.o.Directors.Status(ctx)
	if err != nil {
		return Director{}, fmt.Errorf("ask the Directors: %w", err)
	}
	target := find(records, r.Target)
	if target == nil {
		return Director{}, fmt.Errorf("%s: jobs went to %s, which the catalog does not have: they cannot be told from those that are still to go", from.Name, r.Target)
	}
	if d := takes(directors, r.Target); d != nil && target.State == StateLive {
		return *d, nil
	}
	if err := m.sweep(ctx, from, *target); err != nil {
		return Director{}, err
	}
	return m.assign(ctx, from.Name, r.Target)
}

// sweep finds out which jobs have arrived in a target that takes them no more.
func (m *Manager) sweep(ctx context.Context, from Held, target Record) (err error) {
	if target.State != StateLive && target.State != StateReleased {
		return fmt.Errorf("%s: jobs went to %s, which is %s", from.Name, target.Name, target.State)
	}
	into, ctx, release, err := m.hold(ctx, target)
	if err != nil {
		// A Director has it that does not answer, or is about to let go.
		return fmt.Errorf("sweep %s: %w: %w", target.Name, errWait, err)
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := m.o.Drainer.Sweep(ctx, from, into); err != nil {
		return fmt.Errorf("sweep %s of what came from %s: %w", target.Name, from.Name, err)
	}
	m.o.Logger.Info("swept a JobDB that can take no more jobs", "jobdb", target.Name, "from", from.Name)
	return nil
}

// assign chooses a target for a JobDB and has the catalog name it. The record must
// name former still: as a target that was swept, or "" if there was none.
func (m *Manager) assign(ctx context.Context, name, former string) (Director, error) {
	m.assigning.Lock()
	defer m.assigning.Unlock()
	directors, err := m.o.Directors.Status(ctx)
	if err != nil {
		return Director{}, fmt.Errorf("ask the Directors: %w", err)
	}
	records, _, err := m.o.Catalog.List(ctx, 0)
	if err != nil {
		return Director{}, fmt.Errorf("list the catalog: %w", err)
	}
	r := find(records, name)
	if r == nil || r.Target != former || (former == "") != (r.State == StateReleased) || isTarget(records, name) {
		return Director{}, fmt.Errorf("%s has changed: %w", name, errWait)
	}
	to := leastFull(records, directors)
	if to == nil {
		return Director{}, fmt.Errorf("%s: no Director takes jobs: %w", name, errWait)
	}
	next := *r
	next.Target = to.JobDB
	if err := next.enter(StateDraining, m.o.Now()); err != nil {
		return Director{}, fmt.Errorf("%s: %w", name, err)
	}
	if next, err = m.o.Catalog.Put(ctx, next); err != nil {
		return Director{}, fmt.Errorf("record that %s is drained into %s: %w", name, to.JobDB, err)
	}
	m.o.Logger.Info("the state of a JobDB", "jobdb", name, "state", StateDraining, "target", next.Target, "director", to.Name)
	return *to, nil
}

// leastFull is the Director with the fewest unfinished jobs, nil if there is none.
func leastFull(records []Record, directors []Director) *Director {
	var best *Director
	var pending int64
	for i := range directors {
		d := &directors[i]
		r := find(records, d.JobDB)
		if d.Err != nil || r == nil || r.State != StateLive {
			continue
		}
		ledger := d.Ledgers[d.JobDB]
		if n := ledger.Pending(); best == nil || n < pending {
			best, pending = d, n
		}
	}
	return best
}

func (m *Manager) progress(name string, l Ledger) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.mu.drains[name]; d != nil {
		d.ledger = &l
	}
}

// enter puts a JobDB into a state.
func (m *Manager) enter(ctx context.Context, name string, s State, change func(*Record)) (Record, error) {
	r, err := update(ctx, m.o.Catalog, name, func(r *Record) error {
		change(r)
		return r.enter(s, m.o.Now())
	})
	if err != nil {
		return Record{}, fmt.Errorf("record that a JobDB is %s: %w", s, err)
	}
	m.o.Logger.Info("the state of a JobDB", "jobdb", name, "state", s)
	return r, nil
}
