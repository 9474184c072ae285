package visibility

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"centrifuge"
)

// Top returns the filter's queues, destinations or sources of which something was
// recorded in the range, in an order, limit of them at most.
func (s *Store) Top(ctx context.Context, by By, f Filter, r Range, o Order, limit int) ([]TopRow, error) {
	from, to := minuteOf(r.From), minuteOf(r.To)
	if to <= from || limit <= 0 {
		return nil, nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	rank := newRanking(s, by, f, from, to)
	spans, err := s.plan(ctx, from, to, minutesOfDay)
	if err == nil {
		err = s.visit(ctx, spans, rank.scope, wantCounts, rank.count)
	}
	if err != nil {
		return nil, fmt.Errorf("rank from %s to %s: %w", from.time(), to.time(), err)
	}
	rank.flush()
	best := rank.best(o, limit)
	// Sketches are long: they are read of the rows that are shown only.
	wanted := rank.narrow(best)
	sketches := make([]cell, len(rank.rows))
	err = s.visit(ctx, spans, wanted, wantSketches, func(_ minute, id uint32) *cell { return &sketches[rank.row(id)] })
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

// ranking adds up rows of which each is the sum of the cells of some ids.
type ranking struct {
	names  *names
	scope  scope
	group  kind    // of the rows; what the cells are of may be finer
	rowOf  []int32 // by id: the row's place plus 1; 0 for none
	byName map[centrifuge.QueueKey]int32
	rows   []*rankRow
	from   minute
	part   minute // of a sparkline
	parts  int
	open   *rankRow // the row that was last added to, at openAt
	openAt minute
}

type rankRow struct {
	name  centrifuge.QueueKey
	cell  cell
	seen  int64 // attempts that the sparkline has
	spark []int64
	sums  Counts
}

func newRanking(s *Store, by By, f Filter, from, to minute) *ranking {
	r := &ranking{names: s.names, byName: make(map[centrifuge.QueueKey]int32), from: from, group: [...]kind{ByQueue: kindQueue, ByDestination: kindDestination, BySource: kindSource}[by]}
	r.part = max(1, (to-from+SparkPoints-1)/SparkPoints)
	if r.part > minutesOfHour {
		r.part = (r.part + minutesOfHour - 1) / minutesOfHour * minutesOfHour
	}
	r.parts = int((to - from + r.part - 1) / r.part)
	r.scope.kind = r.group
	if r.group == kindDestination && (f.Source != "" || f.Among != nil) || r.group == kindSource && f.Destination != "" {
		r.scope.kind = kindQueue
	}
	keys := s.names.kinds[r.scope.kind].keys
	r.rowOf = make([]int32, len(keys))
	if f.Source != "" || f.Destination != "" || f.Among != nil {
		r.scope.ids = []uint32{}
		for id, key := range keys {
			if (f.Source == "" || key.Source == f.Source) && (f.Destination == "" || key.Destination == f.Destination) &&
				(f.Among == nil || slices.Contains(f.Among, key.Source)) {
				r.scope.ids = append(r.scope.ids, uint32(id))
			}
		}
	}
	return r
}

// row is the place of the row that an id counts for, -1 if there is none yet.
func (r *ranking) row(id uint32) int {
	if int(id) >= len(r.rowOf) {
		return -1
	}
	return int(r.rowOf[id]) - 1
}

// count returns the cell that takes the counts of an id.
func (r *ranking) count(m minute, id uint32) *cell {
	r.flush()
	at := r.row(id)
	if at < 0 {
		at = r.add(id)
	}
	r.open, r.openAt = r.rows[at], m
	return &r.open.cell
}

func (r *ranking) add(id uint32) int {
	name := keyOf(r.group, r.names.key(r.scope.kind, id))
	at := r.byName[name] // another id may have made the row
	if at == 0 {
		r.rows = append(r.rows, &rankRow{name: name, spark: make([]int64, r.parts)})
		at = int32(len(r.rows))
		r.byName[name] = at
	}
	r.rowOf[id] = at
	return int(at) - 1
}

// flush draws what was added since in the row's sparkline.
func (r *ranking) flush() {
	if r.open == nil {
		return
	}
	attempts := int64(0)
	for _, t := range r.open.cell.codes {
		attempts += t.n
	}
	r.open.spark[int((r.openAt-r.from)/r.part)] += attempts - r.open.seen
	r.open.seen, r.open = attempts, nil
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
func (r *ranking) narrow(rows []int) scope {
	wanted := make(map[int]bool, len(rows))
	for _, at := range rows {
		wanted[at] = true
	}
	ids := []uint32{}
	for id := range r.rowOf {
		if at := r.row(uint32(id)); at >= 0 && wanted[at] {
			ids = append(ids, uint32(id))
		}
	}
	return scope{kind: r.scope.kind, ids: ids}
}
