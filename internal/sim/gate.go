package sim

import (
	"context"
	"iter"
	"slices"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
)

// gate is a JobDB as one tenure sees it: slow, faulty, and gone when the process
// is dead. Beneath the faults stands the witness, who sees what really persists.
type gate struct {
	process *process
	inner   jobdb.DB
}

func newGate(p *process, tenure int, db jobdb.DB) *gate {
	observed := &observed{DB: db, process: p, tenure: tenure}
	return &gate{process: p, inner: jobdbtest.Faulty(observed, p.run.faults.strike)}
}

// observed shows the witness every commit, at the moment in which it persists.
type observed struct {
	jobdb.DB

	process *process
	tenure  int
}

func (o *observed) Commit(ctx context.Context, b *jobdb.Batch) error {
	return o.process.run.witness.commit(ctx, o, b)
}

func (g *gate) Commit(ctx context.Context, b *jobdb.Batch) error {
	p := g.process
	p.run.calm.enter()
	defer p.run.calm.leave()
	p.passes(beforeCommit)
	p.linger("commit", p.run.plan.commitLatency)
	if p.dead.Load() {
		return errCrashed
	}
	err := g.inner.Commit(ctx, b)
	p.passes(afterCommit)
	p.linger("committed", p.run.plan.commitLatency)
	if p.dead.Load() {
		return errCrashed
	}
	if err != nil {
		p.passes(endAtRefusal)
		p.run.log.add("commit of %d jobs, %d transitions fails: %v", len(b.Jobs), len(b.Transitions()), err)
	}
	if err != nil && slices.ContainsFunc(b.Transitions(), func(t centrifuge.Transition) bool { return t.State != centrifuge.StateAwaitingScheduling }) {
		p.run.witness.stalls() // a Submit alone would be refused, and nothing wait for it
	}
	return err
}

// linger takes a part of the longest latency, unless somebody asked for calm.
func (p *process) linger(what string, longest time.Duration) {
	if longest > 0 && !p.run.calm.wanted() {
		p.pause(between(p.run.latency.next(what), 0, longest))
	}
}

// read is what precedes each read.
func (g *gate) read() error {
	g.process.passes(duringRead)
	g.process.passes(endAtRead)
	g.process.linger("read", g.process.run.plan.readLatency)
	if g.process.dead.Load() {
		return errCrashed
	}
	return nil
}

func (g *gate) Load(ctx context.Context, dst []jobdb.Loaded, ids []centrifuge.ID) ([]jobdb.Loaded, error) {
	if err := g.read(); err != nil {
		return dst, err
	}
	return g.inner.Load(ctx, dst, ids)
}

func (g *gate) Trace(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	if err := g.read(); err != nil {
		return jobdb.Trace{}, err
	}
	return g.inner.Trace(ctx, id)
}

func (g *gate) Traces(ctx context.Context, ids []centrifuge.ID) ([]jobdb.Trace, error) {
	if err := g.read(); err != nil {
		return nil, err
	}
	return g.inner.Traces(ctx, ids)
}

func (g *gate) Transaction(ctx context.Context, id string) (jobdb.Transaction, error) {
	if err := g.read(); err != nil {
		return jobdb.Transaction{}, err
	}
	return g.inner.Transaction(ctx, id)
}

func (g *gate) Drafts(ctx context.Context, id string) ([]byte, error) {
	if err := g.read(); err != nil {
		return nil, err
	}
	return g.inner.Drafts(ctx, id)
}

func (g *gate) Prepared(ctx context.Context) ([]jobdb.Prepared, error) {
	if err := g.read(); err != nil {
		return nil, err
	}
	return g.inner.Prepared(ctx)
}

func (g *gate) Ended(ctx context.Context, since time.Time) iter.Seq2[jobdb.Transaction, error] {
	if err := g.read(); err != nil {
		return func(yield func(jobdb.Transaction, error) bool) { yield(jobdb.Transaction{}, err) }
	}
	return g.inner.Ended(ctx, since)
}

func (g *gate) Known(ctx context.Context, ids []centrifuge.ID) ([]centrifuge.ID, error) {
	if err := g.read(); err != nil {
		return nil, err
	}
	return g.inner.Known(ctx, ids)
}

// Scan takes no virtual time: the Director begins one with a lock held, on which
// others wait, and virtual time stands while anybody waits for a lock.
func (g *gate) Scan(ctx context.Context) iter.Seq2[*jobdb.Row, error] {
	return func(yield func(*jobdb.Row, error) bool) {
		for row, err := range g.inner.Scan(ctx) {
			g.process.passes(duringScan)
			if g.process.dead.Load() {
				yield(nil, errCrashed)
				return
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

func (g *gate) Policies(ctx context.Context) ([]jobdb.Policy, error) {
	if err := g.read(); err != nil {
		return nil, err
	}
	return g.inner.Policies(ctx)
}

func (g *gate) Orders(ctx context.Context, since time.Time) ([]jobdb.Order, error) {
	if err := g.read(); err != nil {
		return nil, err
	}
	return g.inner.Orders(ctx, since)
}

func (g *gate) Size(ctx context.Context) (int64, error) {
	if err := g.read(); err != nil {
		return 0, err
	}
	return g.inner.Size(ctx)
}

func (g *gate) Close() error { return g.inner.Close() }
