// Package manager keeps the pool of JobDBs in step with the Directors: it makes
// spares, has a Director go over to one when its JobDB is large or old, finds the
// JobDBs whose Directors died, has the unfinished jobs of what was left moved to a
// live Director, keeps what is empty then for a while and drops it. It also keeps the
// books of the fleet.
//
// It guarantees that no JobDB is dropped before all of its jobs have reached their
// end or are logged as moved, and none that is not what was drained; that one JobDB is drained by one drainer at a time,
// and that jobs that left for one JobDB never leave for another before it is known
// which of them have arrived. All that it knows is in the catalog: a Manager may die
// at any moment, and the next one goes on from there.
//
// It moves no jobs and speaks with no Director itself; it has them moved, through a
// [Drainer], and asked, through [Directors].
package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"centrifuge/jobdb"
)

// Options are what a Manager is made of. Catalog, Pool, Leases, Directors and
// Drainer are required; other zero fields mean the defaults.
type Options struct {
	Catalog   Catalog
	Pool      jobdb.Pool
	Leases    Leases
	Directors Directors
	Drainer   Drainer

	// Spares is how many are kept ready on each server. Default 1.
	Spares int

	// MaxBytes is the size at which a Director goes over to a spare. Default 4 GiB.
	MaxBytes int64

	// MaxAge is the age at which it does, if it has been given jobs. Default 30 min.
	MaxAge time.Duration

	// Drains is how many JobDBs are drained at once. Default 2.
	Drains int

	// Interval is the time from one look at the fleet to the next. Default 1 s.
	Interval time.Duration

	// KeepAge is how long a JobDB is kept after it was drained, so that it can be
	// told what became of its jobs, and KeepBytes how much is kept so on each server,
	// 0 for any amount; the oldest go first. The zero KeepAge drops at once.
	KeepAge   time.Duration
	KeepBytes int64

	// Scarce, if given, tells that there is so little room that what is kept is to
	// be dropped, one after the other until there is more.
	Scarce func() (bool, error)

	// KeepRecords is how long the record of a dropped JobDB stays, before only its
	// share of the ledger is left. Default 24 h.
	KeepRecords time.Duration

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default slog.Default
}

// Manager is one Manager. Its methods are safe for concurrent use. Of those that
// run, one has work to do; the caller sees to it that one runs, by a lease.
type Manager struct {
	o    Options
	wake chan struct{} // capacity 1: look again now

	// assigning is held while a JobDB is chosen as a target, or begins to be
	// drained, so that no JobDB is both.
	assigning sync.Mutex

	mu struct {
		sync.Mutex
		drains   map[string]*drain // by the JobDB that is drained; also those that failed
		restored map[string]bool   // the JobDBs that are not dropped, being something else
		figures  *figures          // of the last pass; nil while this Manager does not run
	}
	draining sync.WaitGroup
	counters counters
}

// New makes a Manager of its options. It does nothing until Run.
func New(o Options) (*Manager, error) {
	if o.Catalog == nil || o.Pool == nil || o.Leases == nil || o.Directors == nil || o.Drainer == nil {
		return nil, errors.New("manager: Options need a Catalog, a Pool, Leases, Directors and a Drainer")
	}
	o.Spares = cmp.Or(o.Spares, 1)
	o.MaxBytes = cmp.Or(o.MaxBytes, 4<<30)
	o.MaxAge = cmp.Or(o.MaxAge, 30*time.Minute)
	o.Drains = cmp.Or(o.Drains, 2)
	o.Interval = cmp.Or(o.Interval, time.Second)
	o.KeepRecords = cmp.Or(o.KeepRecords, 24*time.Hour)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Manager{o: o, wake: make(chan struct{}, 1), counters: newCounters()}
	m.mu.drains = make(map[string]*drain)
	m.mu.restored = make(map[string]bool)
	return m, nil
}

// Run manages the fleet until ctx ends, and then waits for what it had begun, which
// ends with ctx too. Nothing that goes wrong ends it: what could not be done is
// done when it can be.
func (m *Manager) Run(ctx context.Context) {
	defer m.draining.Wait()
	defer m.note(nil)
	timer := time.NewTimer(0)
	defer timer.Stop()
	fenced := false
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-m.wake:
		}
		var err error
		if !fenced {
			err = m.fence(ctx)
			fenced = err == nil
		}
		if fenced {
			err = m.pass(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != said {
			m.o.Logger.Warn("cannot do all that the fleet needs; trying on", "error", err)
		}
		said = fmt.Sprint(err)
		timer.Reset(m.o.Interval)
	}
}

// look has Run look at the fleet now.
func (m *Manager) look() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// fence gives the records of JobDBs that a drain may be about to change a new
// revision. A Manager that was before this one, and froze between reading such a
// record and writing it, thereby fails to write it when it wakes.
func (m *Manager) fence(ctx context.Context) error {
	records, _, err := m.o.Catalog.List(ctx, 0)
	if err != nil {
		return fmt.Errorf("list the catalog: %w", err)
	}
	for _, r := range records {
		if r.State != StateReleased && r.State != StateDraining {
			continue
		}
		_, err := update(ctx, m.o.Catalog, r.Name, func(*Record) error { return nil })
		if err != nil && !errors.Is(err, errGone) {
			return fmt.Errorf("fence off earlier Managers: %w", err)
		}
	}
	return nil
}

// pass looks at the fleet once and takes every step that it needs. Each step is
// taken whatever became of the others, may be repeated, and leaves the catalog so
// that the next pass can go on from any point at which it was cut off.
func (m *Manager) pass(ctx context.Context) error {
	v, err := m.observe(ctx)
	if v == nil {
		return err
	}
	m.note(v)
	defer m.note(v)
	for _, step := range [...]func(context.Context, *view) error{
		m.adopt, m.makeSpares, m.releaseOrphans, m.cycleFull, m.endStranded, m.startDrains, m.dropDrained, m.dropLeft, m.forgetRestored, m.fold,
	} {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err = errors.Join(err, step(ctx, v))
	}
	return err
}
