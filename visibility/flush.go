package visibility

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Run stores what is counted every few seconds, less often the more queues there are
// something of, until ctx ends and once more then.
// It returns nil if nothing remains to be stored.
func (r *Recorder) Run(ctx context.Context) error {
	var beating sync.WaitGroup
	beats, stop := context.WithCancel(ctx)
	beating.Go(func() { r.beat(beats) })
	defer func() {
		stop()
		beating.Wait()
	}()
	next := time.NewTimer(r.o.Every)
	defer next.Stop()
	for {
		select {
		case <-next.C:
			next.Reset(r.tick(ctx))
		case <-ctx.Done():
			if err := r.Flush(context.WithoutCancel(ctx)); err != nil {
				return err
			}
			return r.alive.close()
		}
	}
}

// beat notes that the process is alive, however long a flush takes.
func (r *Recorder) beat(ctx context.Context) {
	tick := time.NewTicker(r.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := r.alive.beat(r.o.Now()); err != nil {
			r.o.Logger.Debug("the next start will not know until when the process lived", "error", err)
		}
	}
}

// tick stores, seals and retains, and returns when to do so next. What fails is tried
// again then; it is logged when it begins and when it ends.
func (r *Recorder) tick(ctx context.Context) (wait time.Duration) {
	err := r.Flush(ctx)
	if err == nil {
		err = r.Tidy(ctx)
	}
	switch {
	case err != nil && !r.failed:
		r.o.Logger.Warn("what was counted cannot be stored; it is kept in memory for now", "error", err)
	case err == nil && r.failed:
		r.o.Logger.Info("what was counted is being stored again")
	}
	r.failed = err != nil
	return r.pace()
}

// A flush costs as much as it has cells, and its share of each job is the less the
// more jobs a cell has: it is put off by another interval for so many cells, up to a
// few intervals.
const (
	cellsAnInterval = 4000
	maxIntervals    = 10
)

// pace is how long to wait after the last flush.
func (r *Recorder) pace() time.Duration {
	r.work.Lock()
	defer r.work.Unlock()
	return r.o.Every * time.Duration(min(1+r.flushed/cellsAnInterval, maxIntervals))
}

// Flush stores what was counted up to now.
func (r *Recorder) Flush(ctx context.Context) error {
	r.work.Lock()
	defer r.work.Unlock()
	now := r.o.Now()
	err := r.store(ctx)
	if err != nil {
		return errors.Join(err, r.alive.beat(now))
	}
	return r.alive.stored(now)
}

// store hands what was counted to the store. What it may already have is handed
// over as it was, before anything that came later.
func (r *Recorder) store(ctx context.Context) error {
	if err := r.o.Store.ready(ctx); err != nil {
		return err
	}
	for fresh := range 2 {
		if fresh == 1 {
			r.take()
		}
		for len(r.stuck) > 0 {
			if err := r.add(ctx, &r.stuck[0]); err != nil {
				return err
			}
			r.recycle(r.stuck[0].cells)
			r.stuck = r.stuck[1:]
		}
	}
	r.mu.Lock()
	gaps := r.mu.gaps
	r.mu.gaps = nil
	r.mu.Unlock()
	for i, g := range gaps {
		if err := r.o.Store.addGap(ctx, g); err != nil {
			r.mu.Lock()
			for _, g := range gaps[i:] {
				r.missLocked(g)
			}
			r.mu.Unlock()
			return err
		}
	}
	return r.sampler.store(ctx, r.o.Store)
}

// take empties the counters.
func (r *Recorder) take() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for m, cells := range r.mu.minutes {
		r.stuck = append(r.stuck, stuck{m, r.o.Store.nextFlush(), cells})
	}
	clear(r.mu.minutes)
	r.flushed, r.mu.cells = r.mu.cells, 0
}

// maxUsed is how many cells are kept to be used again.
const maxUsed = 100_000

// recycle empties what was stored, so that a busy Director does not make as many
// cells anew every few seconds.
func (r *Recorder) recycle(b bucket) {
	used := make([]*cell, 0, min(len(b), maxUsed))
	for _, c := range b {
		if len(used) == maxUsed {
			break
		}
		c.reset()
		used = append(used, c)
	}
	clear(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(used) > len(r.mu.used) {
		r.mu.used = used
	}
	r.mu.bucket = b
}

// add stores one flush. If its day turns out to be damaged, that is set aside, and
// the flush is the first of a new file.
func (r *Recorder) add(ctx context.Context, s *stuck) error {
	err := r.o.Store.add(ctx, s.minute, s.flush, s.cells)
	if errors.Is(err, ErrCorrupt) {
		if err := r.setAside(ctx, s.minute.day()); err != nil {
			return err
		}
		err = r.o.Store.add(ctx, s.minute, s.flush, s.cells)
	}
	return err
}

func (r *Recorder) setAside(ctx context.Context, d Day) error {
	r.o.Logger.Error("a day of the record of deliveries is damaged; it is set aside and marked as missing", "day", d.String())
	return r.o.Store.giveUp(ctx, d, r.o.Now())
}

// sealAfter is how long a minute waits for what is late before it is sealed.
const sealAfter = 5 * time.Second

// retainEvery is how often a day may be dropped, by a clock that is not set.
const retainEvery = time.Hour

// Tidy seals the minutes, hours and days that are over, and drops at most one day that
// is past the retention. Run does so every few seconds; it is for whoever calls Flush
// instead.
func (r *Recorder) Tidy(ctx context.Context) error {
	r.work.Lock()
	defer r.work.Unlock()
	now := r.o.Now()
	if d := r.o.Store.damaged.Swap(0); d != 0 {
		if err := r.setAside(ctx, Day(d-1)); err != nil {
			return err
		}
	}
	if before := minuteOf(now.Add(-sealAfter)); before != r.sealed {
		if err := r.o.Store.seal(ctx, before); err != nil {
			return err
		}
		r.sealed = before
	}
	if r.kept.IsZero() || now.Sub(r.kept) >= retainEvery {
		if err := r.o.Store.retain(ctx, now); err != nil {
			return fmt.Errorf("retention: %w", err)
		}
		r.kept = now
	}
	return nil
}
