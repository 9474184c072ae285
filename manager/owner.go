package manager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"centrifuge/lease"
)

// Leases gives exclusive ownership of JobDBs, by their names. All methods are safe
// for concurrent use.
type Leases interface {
	// Acquire takes the lease of a JobDB without waiting for it. The error wraps
	// [lease.ErrHeld] if somebody has it. The lease outlives ctx.
	Acquire(ctx context.Context, name string) (lease.Lease, error)

	// Held returns the names of those JobDBs whose lease somebody holds.
	Held(ctx context.Context) (map[string]bool, error)

	// Forget removes what is kept about the lease of a JobDB whose name will never
	// be used again.
	Forget(ctx context.Context, name string) error
}

// Owner is how one Director comes to own JobDBs, and lets go of them. Its methods
// are safe for concurrent use; its fields are set before and not changed.
type Owner struct {
	Catalog Catalog
	Leases  Leases
	Name    string // of the Director, unique in the fleet
	Now     func() time.Time
	Logger  *slog.Logger

	// Answers, if given, is asked before a spare is taken whether its server answers:
	// one that does not would have the Director wait, for as long as it has no other
	// JobDB to serve from.
	Answers func(ctx context.Context, server string) error
}

// While the catalog or the leases cannot be reached, Acquire tries again this often.
const acquireAgain = 250 * time.Millisecond

// Acquire waits until it owns a spare, and returns its record and its lease. The
// error is that of ctx.
//
// The lease is taken first and the record written second, so a record that says
// live never stands for a JobDB that its Director was about to take; if the second
// fails, the JobDB is an orphan's, and the Manager drains it like any other.
func (o *Owner) Acquire(ctx context.Context) (Record, lease.Lease, error) {
	return o.acquire(ctx, spares)
}

// Resume takes up the newest JobDB that a Director let go of, or owned when it
// died, and returns false if there is none. It is for a fleet of one Director,
// which has nobody to hand its jobs to when it starts.
func (o *Owner) Resume(ctx context.Context) (Record, lease.Lease, bool, error) {
	r, l, err := o.acquire(ctx, func(records []Record) ([]Record, bool) {
		for _, r := range slices.Backward(records) {
			if r.State == StateLive || r.State == StateReleased {
				return []Record{r}, true
			}
		}
		return nil, false
	})
	return r, l, l != nil, err
}

// spares are the records of spares in a random order, so that Directors that start
// together do not all reach for one.
func spares(records []Record) (candidates []Record, wait bool) {
	for _, r := range records {
		if r.State == StateSpare {
			candidates = append(candidates, r)
		}
	}
	rand.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
	return candidates, true
}

// acquire takes the first of the candidates that it can. If there is none and wait
// is false, it returns no lease.
func (o *Owner) acquire(
	ctx context.Context, choose func([]Record) (candidates []Record, wait bool),
) (Record, lease.Lease, error) {
	failing := false
	for seen := uint64(0); ; {
		records, version, err := o.Catalog.List(ctx, seen)
		if err == nil {
			candidates, wait := choose(records)
			if len(candidates) == 0 && !wait {
				return Record{}, nil, nil
			}
			var r Record
			var l lease.Lease
			if r, l, err = o.takeOne(ctx, candidates); l != nil {
				return r, l, nil
			}
			if seen = version; len(candidates) > 0 {
				seen = 0 // somebody was faster, or is about to let go: look again
			}
		}
		if ctx.Err() != nil {
			return Record{}, nil, fmt.Errorf("acquire a JobDB: %w", ctx.Err())
		}
		if err != nil && !failing {
			o.Logger.Warn("cannot acquire a JobDB; trying on", "error", err)
		}
		failing = err != nil
		if failing || seen == 0 {
			if err := pause(ctx, acquireAgain); err != nil {
				return Record{}, nil, fmt.Errorf("acquire a JobDB: %w", err)
			}
		}
	}
}

// takeOne returns no lease and no error if others have all of the candidates.
func (o *Owner) takeOne(ctx context.Context, candidates []Record) (Record, lease.Lease, error) {
	var passed error
	for _, r := range candidates {
		if r.State == StateSpare && o.Answers != nil {
			if err := o.Answers(ctx, r.Server); err != nil {
				passed = fmt.Errorf("spare %s: %w", r.Name, err)
				continue
			}
		}
		taken, l, err := o.take(ctx, r)
		if err == nil {
			return taken, l, nil
		}
		if !errors.Is(err, lease.ErrHeld) && !errors.Is(err, ErrConflict) {
			return Record{}, nil, err
		}
	}
	return Record{}, nil, passed
}

func (o *Owner) take(ctx context.Context, r Record) (Record, lease.Lease, error) {
	l, err := o.Leases.Acquire(ctx, r.Name)
	if err != nil {
		return Record{}, nil, fmt.Errorf("take the lease of %s: %w", r.Name, err)
	}
	r.Owner, r.Known = o.Name, false
	if err = r.enter(StateLive, o.Now()); err == nil {
		r, err = o.Catalog.Put(ctx, r)
	}
	if err != nil {
		return Record{}, nil, errors.Join(fmt.Errorf("record that %s is ours: %w", r.Name, err), closeLease(ctx, l))
	}
	return r, l, nil
}

// Release records that the Director let go of a JobDB, with its ledger if the
// Director knows it for sure. Nothing depends on it but time: what is left live
// without a lease is found by the Manager.
func (o *Owner) Release(ctx context.Context, name string, ledger *Ledger) error {
	_, err := update(ctx, o.Catalog, name, func(r *Record) error {
		if r.State != StateLive || r.Owner != o.Name {
			return nil // the Manager was faster
		}
		if ledger != nil {
			r.Ledger, r.Known = *ledger, true
		}
		return r.enter(StateReleased, o.Now())
	})
	if err != nil {
		return fmt.Errorf("record that %s is released: %w", name, err)
	}
	return nil
}

// closeLease gives a lease up whatever became of ctx.
func closeLease(ctx context.Context, l lease.Lease) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	return l.Close(ctx)
}

// closePatience is how long giving a lease up may take; after that its TTL ends it.
const closePatience = 10 * time.Second

// pause waits, and returns the error of ctx if that ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
