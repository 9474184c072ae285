package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// GoneError says that there may have been such a job, but that what would know of it
// was dropped.
type GoneError struct {
	JobDB string // that was in use when the job's id was made
	Since time.Time
}

func (e *GoneError) Error() string {
	return fmt.Sprintf("no such job is known any more: %s, which was in use when this id was made, was dropped at %s",
		e.JobDB, e.Since.UTC().Format(time.RFC3339))
}

// Past finds jobs in all JobDBs of a fleet, whoever owns them or let go of them. It
// is safe for concurrent use.
type Past struct {
	catalog Catalog
	pool    jobdb.Pool
	now     func() time.Time
	reading chan struct{} // has an element for each JobDB that is being read
}

// Limits of what a lookup costs, whatever is asked.
const (
	maxReading = 8   // JobDBs that are read at once, by all lookups
	maxAsked   = 256 // JobDBs that one lookup asks, those nearest in time
)

// idSkew is how far a job's id may be from its acceptance for a dropped JobDB to be
// named: who sends jobs may make their ids.
const idSkew = time.Hour

// NewPast returns the past of a fleet.
func NewPast(catalog Catalog, pool jobdb.Pool, now func() time.Time) *Past {
	return &Past{catalog: catalog, pool: pool, now: now, reading: make(chan struct{}, maxReading)}
}

// Trace finds a job by the second of its id, and follows it where it was moved to.
// If its last JobDB cannot be read, its trace ends with its move there. The error
// wraps [jobdb.ErrNotFound] or a [GoneError]; any other leaves open whether there is
// such a job.
func (p *Past) Trace(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	records, _, err := p.catalog.List(ctx, 0)
	if err != nil {
		return jobdb.Trace{}, fmt.Errorf("list the catalog: %w", err)
	}
	now, at := p.now(), id.Time()
	nearest := slices.Clone(records)
	slices.SortStableFunc(nearest, func(a, b Record) int {
		return cmp.Compare(a.distance(at, now), b.distance(at, now))
	})
	nearest = nearest[:min(len(nearest), maxAsked)]
	var gone *GoneError
	var failed error
	for i := range nearest {
		r := &nearest[i]
		if r.State == StateDropped {
			if gone == nil && r.distance(at, now) <= idSkew {
				gone = &GoneError{r.Name, r.Since[StateDropped]}
			}
			continue
		}
		trace, err := p.follow(ctx, records, r, id)
		if err == nil {
			return trace, nil
		}
		if errors.As(err, &gone) || errors.Is(err, jobdb.ErrNotFound) {
			continue
		}
		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	switch {
	case failed != nil:
		return jobdb.Trace{}, failed
	case gone != nil:
		return jobdb.Trace{}, gone
	}
	return jobdb.Trace{}, fmt.Errorf("job %s: %w", id, jobdb.ErrNotFound)
}

// distance is how far the time is from that in which Directors gave the JobDB jobs.
func (r *Record) distance(at, now time.Time) time.Duration {
	from, to := r.Since[StateSpare], now // adopted ones were not seen as spares
	if released := r.Since[StateReleased]; r.State != StateLive && !released.IsZero() {
		to = released
	}
	return max(0, from.Sub(at), at.Sub(to))
}

// follow returns the trace of a job in a JobDB, or in the one that it went to from
// there.
func (p *Past) follow(ctx context.Context, records []Record, r *Record, id centrifuge.ID) (trace jobdb.Trace, err error) {
	trace, err = p.read(ctx, r, id)
	for range records { // no job goes through one JobDB twice
		if err != nil {
			break
		}
		last := trace.Transitions[len(trace.Transitions)-1]
		next := find(records, last.Error)
		if last.State != centrifuge.StateMoved || next == nil {
			break
		}
		further, failed := p.read(ctx, next, id)
		if failed != nil {
			break
		}
		trace = further
	}
	return trace, err
}

// read reads a JobDB of which somebody else may be the owner, and which may be
// dropped meanwhile.
func (p *Past) read(ctx context.Context, r *Record, id centrifuge.ID) (trace jobdb.Trace, err error) {
	switch r.State {
	case StateNew, StateSpare:
		return trace, jobdb.ErrNotFound
	case StateDropped:
		return trace, &GoneError{r.Name, r.Since[StateDropped]}
	case StateLive, StateReleased, StateDraining, StateDrained:
	}
	select {
	case p.reading <- struct{}{}:
		defer func() { <-p.reading }()
	case <-ctx.Done():
		return trace, ctx.Err()
	}
	reader, err := p.pool.Read(ctx, r.Server, r.Name)
	if err == nil {
		trace, err = reader.Trace(ctx, id)
		err = errors.Join(err, reader.Close())
	}
	if err == nil || errors.Is(err, jobdb.ErrNotFound) {
		return trace, err
	}
	if now, found, e := Get(ctx, p.catalog, r.Name); e == nil && (!found || now.State == StateDropped) {
		return trace, &GoneError{r.Name, now.Since[StateDropped]}
	}
	return trace, err
}
