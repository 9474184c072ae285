package visibility

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"centrifuge"
)

// Top returns the filter's queues, destinations or sources of which something was
// recorded in the range, in an order, limit of them at most.
func (s *Store) Top(ctx context.Context, by By, f Filter, r Range, o Order, limit int) ([]TopRow, error) {
	return s.top(ctx, by, f, r, o, limit, true)
}

// Volumes returns all that Top ranks, by volume and without durations, which are most
// of what there is to read.
func (s *Store) Volumes(ctx context.Context, by By, f Filter, r Range) ([]TopRow, error) {
	return s.top(ctx, by, f, r, OrderVolume, math.MaxInt, false)
}

func (s *Store) top(ctx context.Context, by By, f Filter, r Range, o Order, limit int, durations bool) ([]TopRow, error) {
	from, to := minuteOf(r.From), minuteOf(r.To)
	if to <= from || limit <= 0 {
		return nil, nil
	}
	rank := newRanking(by, from, to)
	var (
		best     []int
		sketches []cell
	)
	err := s.read(ctx, func(books []*book) error {
		lists := make([]*ranked, len(books))
		for i, b := range books {
			lists[i] = rank.open(b, f)
			if err := lists[i].count(ctx); err != nil {
				return err
			}
		}
		best = rank.best(o, limit)
		// Sketches are long: they are read of the rows that are shown only.
		sketches = make([]cell, len(rank.rows))
		for _, list := range lists {
			if !durations {
				break
			}
			if err := list.sketch(ctx, best, sketches); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("rank from %s to %s: %w", from.time(), to.time(), err)
	}
	rows := make([]TopRow, len(best))
	for i, at := range best {
		row := rank.rows[at]
		rows[i] = TopRow{
			Source: row.name.Source, Destination: row.name.Destination, Counts: row.sums, Spark: row.spark,
			Latency: sketches[at].latency.quantiles(s.scale), Delay: sketches[at].delay.quantiles(s.scale),
		}
	}
	return rows, nil
}

// ranking adds up rows, each of which has a name.
type ranking struct {
	group    kind // of the rows
	byName   map[centrifuge.QueueKey]int32
	rows     []*rankRow
	from, to minute
	part     minute // of a sparkline
	parts    int
	last     *rankRow // the row that was last added to, at lastAt
	lastAt   minute
}

type rankRow struct {
	name  centrifuge.QueueKey
	cell  cell
	seen  int64 // attempts that the sparkline has
	spark []int64
	sums  Counts
}

func newRanking(by By, from, to minute) *ranking {
	r := &ranking{
		byName: make(map[centrifuge.QueueKey]int32), from: from, to: to,
		group: [...]kind{ByQueue: kindQueue, ByDestination: kindDestination, BySource: kindSource}[by],
	}
	r.part = max(1, (to-from+SparkPoints-1)/SparkPoints)
	if r.part > minutesOfHour {
		r.part = (r.part + minutesOfHour - 1) / minutesOfHour * minutesOfHour
	}
	r.parts = int((to - from + r.part - 1) / r.part)
	return r
}

// ranked is one book's share of a ranking: each row is the sum of the cells of some
// of its ids.
type ranked struct {
	*ranking
	book  *book
	spans []span
	scope scope   // what the cells are of may be finer than what the rows are
	rowOf []int32 // by id: the row's place plus 1; 0 for none
}

func (r *ranking) open(b *book, f Filter) *ranked {
	l := &ranked{ranking: r, book: b, scope: scope{kind: r.group}}
	if r.group == kindDestination && (f.Source != "" || f.Among != nil) || r.group == kindSource && f.Destination != "" {
		l.scope.kind = kindQueue
	}
	keys := b.names.kinds[l.scope.kind].keys
	l.rowOf = make([]int32, len(keys))
	if f.Source != "" || f.Destination != "" || f.Among != nil {
		l.scope.ids = []uint32{}
		for id, key := range keys {
			if (f.Source == "" || key.Source == f.Source) && (f.Destination == "" || key.Destination == f.Destination) &&
				(f.Among == nil || slices.Contains(f.Among, key.Source)) {
				l.scope.ids = append(l.scope.ids, uint32(id))
			}
		}
	}
	return l
}

// count adds the counts of the book to the rows.
func (l *ranked) count(ctx context.Context) (err error) {
	if l.spans, err = l.book.plan(ctx, l.from, l.to, minutesOfDay); err != nil {
		return err
	}
	err = l.book.visit(ctx, l.spans, l.scope, wantCounts, func(m minute, id uint32) *cell {
		l.draw()
		if int(id) >= len(l.rowOf) {
			id = 0 // its name was lost
		}
		at := l.row(id)
		if at < 0 {
			at = l.add(id)
		}
		l.last, l.lastAt = l.rows[at], m
		return &l.last.cell
	})
	l.draw()
	return err
}

// sketch adds the sketches of some rows to the cells, which are as many as the rows.
func (l *ranked) sketch(ctx context.Context, rows []int, cells []cell) error {
	return l.book.visit(ctx, l.spans, l.narrow(rows), wantSketches, func(_ minute, id uint32) *cell { return &cells[l.row(id)] })
}

// row is the place of the row that an id counts for, -1 if there is none yet.
func (l *ranked) row(id uint32) int {
	if int(id) >= len(l.rowOf) {
		return -1
	}
	return int(l.rowOf[id]) - 1
}

func (l *ranked) add(id uint32) int {
	name := keyOf(l.group, l.book.names.key(l.scope.kind, id))
	at := l.byName[name] // another id, or another book's, may have made the row
	if at == 0 {
		l.rows = append(l.rows, &rankRow{name: name, spark: make([]int64, l.parts)})
		at = int32(len(l.rows))
		l.byName[name] = at
	}
	l.rowOf[id] = at
	return int(at) - 1
}

// draw draws what was added since in the row's sparkline.
func (r *ranking) draw() {
	if r.last == nil {
		return
	}
	attempts := int64(0)
	for _, t := range r.last.cell.codes {
		attempts += t.n
	}
	r.last.spark[int((r.lastAt-r.from)/r.part)] += attempts - r.last.seen
	r.last.seen, r.last = attempts, nil
}

// best ranks the rows.
func (r *ranking) best(o Order, limit int) []int {
	order := make([]int, len(r.rows))
	weight := make([]float64, len(r.rows))
	for i, row := range r.rows {
		row.sums = row.cell.counts()
		order[i], weight[i] = i, weigh(&row.sums, o)
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := r.rows[a].name, r.rows[b].name
		return cmp.Or(cmp.Compare(weight[b], weight[a]), cmp.Compare(x.Destination, y.Destination), cmp.Compare(x.Source, y.Source))
	})
	return order[:min(limit, len(order))]
}

func weigh(c *Counts, o Order) float64 {
	switch o {
	case OrderVolume:
		return float64(c.Attempts())
	case OrderFailures:
		return float64(c.Retried + c.Discarded + c.Archived)
	case OrderShare:
		if s, ok := c.SuccessShare(); ok {
			return 1 - s
		}
	case OrderName:
	}
	return 0
}

// narrow is the scope of the rows alone.
func (l *ranked) narrow(rows []int) scope {
	wanted := make(map[int]bool, len(rows))
	for _, at := range rows {
		wanted[at] = true
	}
	ids := []uint32{}
	for id := range l.rowOf {
		if at := l.row(uint32(id)); at >= 0 && wanted[at] {
			ids = append(ids, uint32(id))
		}
	}
	return scope{kind: l.scope.kind, ids: ids}
}
