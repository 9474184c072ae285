package visibility

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// MaxSteps is how many points a series has at most.
const MaxSteps = 10_000

// Series returns the counts of the filter's queues in steps: each from a multiple
// of step (UTC) to the next, cut to the range. The step is in whole minutes, at least
// one, and there are at most [MaxSteps] of them.
func (s *Store) Series(ctx context.Context, f Filter, r Range, step time.Duration) ([]Point, error) {
	from, to, width := minuteOf(r.From), minuteOf(r.To), minute(step/time.Minute)
	if step < time.Minute || step%time.Minute != 0 {
		return nil, fmt.Errorf("series: a step of %s is not one of whole minutes", step)
	}
	first := from - from%width
	n := int((to - first + width - 1) / width)
	if n > MaxSteps {
		return nil, fmt.Errorf("series: %d steps are more than %d", n, MaxSteps)
	}
	if to <= from {
		return nil, nil
	}
	var gaps []Gap
	cells := make([]cell, n)
	err := s.read(ctx, func(books []*book) (err error) {
		err = sum(ctx, books, f, r, int(width), wantAll, func(m minute) *cell { return &cells[(m-first)/width] })
		if err == nil {
			gaps, err = gapsOf(ctx, books, r)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	points := make([]Point, n)
	for i := range cells {
		c := &cells[i]
		points[i] = Point{
			Start:  (first + minute(i)*width).time(),
			Counts: c.counts(), Latency: c.latency.quantiles(s.scale), Delay: c.delay.quantiles(s.scale),
		}
	}
	for _, g := range gaps {
		for i := (minuteOf(g.From) - first) / width; i <= (minuteOf(g.To)-1-first)/width; i++ {
			points[i].Missing = true
		}
	}
	return points, nil
}

// Summary returns the counts of the filter's queues over the range.
func (s *Store) Summary(ctx context.Context, f Filter, r Range) (Summary, error) {
	var (
		c    cell
		gaps []Gap
	)
	err := s.read(ctx, func(books []*book) (err error) {
		err = sum(ctx, books, f, r, minutesOfDay, wantAll, func(minute) *cell { return &c })
		if err == nil {
			gaps, err = gapsOf(ctx, books, r)
		}
		return err
	})
	if err != nil {
		return Summary{}, err
	}
	return Summary{
		Counts: c.counts(), Latency: c.latency.quantiles(s.scale), Delay: c.delay.quantiles(s.scale), Missing: len(gaps) > 0,
	}, nil
}

// Breakdown returns how many attempts ended with each outcome and code, the most
// first.
func (s *Store) Breakdown(ctx context.Context, f Filter, r Range) ([]CodeCount, error) {
	c, err := s.counted(ctx, f, r)
	if err != nil {
		return nil, err
	}
	out := make([]CodeCount, 0, len(c.codes))
	for _, t := range c.codes {
		out = append(out, CodeCount{Outcome: outcomeOf(t.key), Code: codeOfNumber(uint16(t.key >> 2)), Count: t.n})
	}
	slices.SortFunc(out, func(a, b CodeCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Code.number(), b.Code.number()))
	})
	return out, nil
}

// ByAttempt returns how many jobs were delivered by each attempt number, ascending,
// without those that delivered none.
func (s *Store) ByAttempt(ctx context.Context, f Filter, r Range) ([]AttemptCount, error) {
	c, err := s.counted(ctx, f, r)
	if err != nil {
		return nil, err
	}
	var out []AttemptCount
	if first := c.counts().FirstAttempt; first > 0 {
		out = append(out, AttemptCount{Attempt: 1, Succeeded: first})
	}
	for _, t := range c.attempts {
		out = append(out, AttemptCount{Attempt: int(t.key), Succeeded: t.n})
	}
	slices.SortFunc(out, func(a, b AttemptCount) int { return cmp.Compare(a.Attempt, b.Attempt) })
	return out, nil
}

// counted adds up all that a filter selects over the range, without the sketches.
func (s *Store) counted(ctx context.Context, f Filter, r Range) (*cell, error) {
	var c cell
	err := s.read(ctx, func(books []*book) error {
		return sum(ctx, books, f, r, minutesOfDay, wantCounts, func(minute) *cell { return &c })
	})
	return &c, err
}

// sum adds what a filter selects to the cells that into returns for a minute.
func sum(ctx context.Context, books []*book, f Filter, r Range, step int, what want, into func(minute) *cell) error {
	from, to := minuteOf(r.From), minuteOf(r.To)
	for _, b := range books {
		scope, ok := b.scopeOf(f)
		if !ok {
			continue
		}
		spans, err := b.plan(ctx, from, to, step)
		if err == nil {
			err = b.visit(ctx, spans, scope, what, func(m minute, _ uint32) *cell { return into(m) })
		}
		if err != nil {
			return fmt.Errorf("read the record from %s to %s: %w", from.time(), to.time(), err)
		}
	}
	return nil
}
