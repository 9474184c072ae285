package sim

import (
	"context"
	"fmt"
	"iter"

	"centrifuge/archive/archivetest"
	"centrifuge/jobdb/jobdbtest"
)

// bucket is the archive's bucket as one process sees it: slow, faulty, and gone
// when the process is dead.
type bucket struct{ process *process }

func (b *bucket) Put(ctx context.Context, name string, data []byte) error {
	p := b.process
	p.passes(beforePut)
	p.linger("put", p.run.plan.putLatency)
	if p.dead.Load() {
		return errCrashedBucket
	}
	fault := p.run.faults.strike(opPut)
	if fault == jobdbtest.UnknownLost {
		return fmt.Errorf("put %s: %w", name, archivetest.ErrInjected)
	}
	if err := p.run.bucket.Put(ctx, name, data); err != nil {
		return err
	}
	p.run.log.add("put %s", name)
	p.passes(afterPut)
	if p.dead.Load() {
		return errCrashedBucket
	}
	if fault != jobdbtest.NoFault {
		return fmt.Errorf("put %s, which persisted: %w", name, archivetest.ErrInjected)
	}
	return nil
}

func (b *bucket) Get(ctx context.Context, name string) ([]byte, error) {
	if err := b.read(opGet); err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	return b.process.run.bucket.Get(ctx, name)
}

func (b *bucket) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	if err := b.read(opList); err != nil {
		return func(yield func(string, error) bool) { yield("", fmt.Errorf("list %s: %w", prefix, err)) }
	}
	return b.process.run.bucket.List(ctx, prefix, after)
}

func (b *bucket) read(op string) error {
	switch {
	case b.process.dead.Load():
		return errCrashedBucket
	case b.process.run.faults.strike(op) != jobdbtest.NoFault:
		return archivetest.ErrInjected
	default:
		return nil
	}
}
