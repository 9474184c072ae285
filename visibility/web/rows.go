package web

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/schedule"
	"centrifuge/visibility"
)

// row is a destination, a source or a queue in a table.
type row struct {
	Scope scope
	Name  string
	Live  live
	visibility.Counts
	Latency visibility.Quantiles
	Delay   visibility.Quantiles
	Spark   []int64
	Health  health
	Drain   drain
}

// First and Eventual are the shares of ended jobs that were delivered at the first
// attempt, and at all.
func (r *row) First() ratio    { return ratioOf(r.FirstAttemptShare()) }
func (r *row) Eventual() ratio { return ratioOf(r.SuccessShare()) }

// table is rows, and what is missing in them.
type table struct {
	rows    []*row
	missing []Missing
}

// shareRows gathers rows, or takes those that were gathered for another viewer who
// may see the same. The slice is the caller's own; its rows are everybody's.
func (s *Site) shareRows(ctx context.Context, what string, over visibility.Range, gather func(context.Context) (table, error)) (table, error) {
	t, err := gathered(ctx, s.shared, what+" "+reach(ctx, over), gather)
	t.rows = slices.Clone(t.rows)
	return t, err
}

// reach tells apart what is of another time, or for a viewer of other sources.
func reach(ctx context.Context, over visibility.Range) string {
	sources := access.From(ctx).Sources
	return fmt.Sprintf("%d %d %t %q", over.From.Unix(), over.To.Unix(), sources == nil, sources)
}

// rows are all destinations, or all sources, that the viewer may see: those that
// did something in the time, and those that hold jobs. Durations are left out unless
// they are shown: they take longest to read.
func (s *Site) rows(ctx context.Context, by visibility.By, over visibility.Range, durations bool) (table, error) {
	return s.shareRows(ctx, fmt.Sprint("rows ", by, durations), over, func(ctx context.Context) (table, error) {
		return s.gatherRows(ctx, by, over, durations)
	})
}

func (s *Site) gatherRows(ctx context.Context, by visibility.By, over visibility.Range, durations bool) (table, error) {
	name, selected := sourceOf, func(n string) scope { return scope{Source: n} }
	if by == visibility.ByDestination {
		name, selected = destinationOf, func(n string) scope { return scope{Destination: n} }
	}
	filter := visibility.Filter{Among: access.From(ctx).Sources}
	now, err := s.surveyed(ctx, schedule.Selector{})
	if err != nil {
		return table{}, err
	}
	rows, err := s.join(ctx, now, by, filter, over, func(row visibility.TopRow) string {
		return name(centrifuge.QueueKey{Source: row.Source, Destination: row.Destination})
	}, name, durations)
	if err != nil {
		return table{}, err
	}
	gates := now.gates()
	for i := range rows {
		rows[i].Scope = selected(rows[i].Name)
		if info := gates[rows[i].Scope.Destination]; info != nil {
			rows[i].Live.Gate, rows[i].Live.Policy = &info.Gate, info.Policy
		}
	}
	judge(rows)
	return table{rows, now.Missing}, nil
}

// queuesOf are the queues of a scope that is not one itself.
func (s *Site) queuesOf(ctx context.Context, c scope, over visibility.Range) (table, error) {
	return s.shareRows(ctx, fmt.Sprintf("queues %q %q", c.Source, c.Destination), over, func(ctx context.Context) (table, error) {
		return s.gatherQueues(ctx, c, over)
	})
}

func (s *Site) gatherQueues(ctx context.Context, c scope, over visibility.Range) (table, error) {
	other := sourceOf
	selected := func(n string) scope { return scope{Source: n, Destination: c.Destination} }
	if c.Destination == "" {
		other, selected = destinationOf, func(n string) scope { return scope{Source: c.Source, Destination: n} }
	}
	now, err := s.surveyed(ctx, c.selector())
	if err != nil {
		return table{}, err
	}
	rows, err := s.join(ctx, now, visibility.ByQueue, c.filter(access.From(ctx)), over, func(row visibility.TopRow) string {
		return other(centrifuge.QueueKey{Source: row.Source, Destination: row.Destination})
	}, other, true)
	if err != nil {
		return table{}, err
	}
	gates := now.gates()
	for i := range rows {
		rows[i].Scope = selected(rows[i].Name)
		if info := gates[rows[i].Scope.Destination]; info != nil {
			rows[i].Live.Above = &info.Gate
		}
	}
	judge(rows)
	return table{rows, now.Missing}, nil
}

// join puts together what the history knows and what is held now, by name.
func (s *Site) join(ctx context.Context, now *Survey, by visibility.By, f visibility.Filter, over visibility.Range,
	past func(visibility.TopRow) string, present func(centrifuge.QueueKey) string, durations bool,
) (rows []*row, err error) {
	held := now.group(access.From(ctx), present)
	var top []visibility.TopRow
	if durations {
		top, err = s.history().Top(ctx, by, f, over, visibility.OrderVolume, mostRows)
	} else {
		top, err = s.history().Volumes(ctx, by, f, over)
	}
	if err != nil {
		return nil, whatFailed("read the history", err)
	}
	rows = make([]*row, 0, max(len(held), len(top)))
	seen := make(map[string]bool, len(top))
	for i := range top {
		t, name := &top[i], past(top[i])
		seen[name] = true
		rows = append(rows, &row{Name: name, Counts: t.Counts, Latency: t.Latency, Delay: t.Delay, Spark: t.Spark})
		if l := held[name]; l != nil {
			rows[len(rows)-1].Live = *l
		}
	}
	for name, l := range held {
		if !seen[name] && (l.Queues > 0 || l.Pending > 0) {
			rows = append(rows, &row{Name: name, Live: *l})
		}
	}
	return rows, s.drains(ctx, by, f, rows, past)
}

// drains predicts when each row's jobs will have been dealt with.
func (s *Site) drains(ctx context.Context, by visibility.By, f visibility.Filter, rows []*row, past func(visibility.TopRow) string) error {
	lately, err := s.history().Volumes(ctx, by, f, visibility.Last(s.o.Now(), drainWindow))
	if err != nil {
		return whatFailed("read the history", err)
	}
	counts := make(map[string]*visibility.Counts, len(lately))
	for i := range lately {
		counts[past(lately[i])] = &lately[i].Counts
	}
	for i := range rows {
		c := counts[rows[i].Name]
		if c == nil {
			c = &visibility.Counts{}
		}
		rows[i].Drain = drainOf(&rows[i].Live, c)
	}
	return nil
}

func judge(rows []*row) {
	for i := range rows {
		rows[i].Health = healthOf(&rows[i].Live, &rows[i].Counts)
		if rows[i].Live.Held() && rows[i].Drain.Kind != "" {
			rows[i].Drain = drain{Kind: "held", Class: "bad"}
		}
	}
}

// columns are what a table can be sorted by.
func compareBy(column string) func(a, b *row) int {
	share := func(r ratio) float64 {
		if !r.OK {
			return 2 // those that say nothing come last when the worst are wanted first
		}
		return r.Share
	}
	switch column {
	case "health":
		return func(a, b *row) int { return cmp.Compare(a.Health.rank, b.Health.rank) }
	case "attempts":
		return func(a, b *row) int { return cmp.Compare(a.Attempts(), b.Attempts()) }
	case "first":
		return func(a, b *row) int { return cmp.Compare(share(a.First()), share(b.First())) }
	case "eventual":
		return func(a, b *row) int { return cmp.Compare(share(a.Eventual()), share(b.Eventual())) }
	case "p50":
		return func(a, b *row) int { return cmp.Compare(a.Latency.P50, b.Latency.P50) }
	case "p95":
		return func(a, b *row) int { return cmp.Compare(a.Latency.P95, b.Latency.P95) }
	case "p99":
		return func(a, b *row) int { return cmp.Compare(a.Latency.P99, b.Latency.P99) }
	case "pending":
		return func(a, b *row) int { return cmp.Compare(a.Live.Pending, b.Live.Pending) }
	case "drain":
		return func(a, b *row) int { return cmp.Compare(a.Drain.length(), b.Drain.length()) }
	case "queues":
		return func(a, b *row) int { return cmp.Compare(a.Live.Queues, b.Live.Queues) }
	default:
		return func(a, b *row) int { return strings.Compare(a.Name, b.Name) }
	}
}

// length orders predictions: nothing to drain, a time, and no end in sight.
func (d drain) length() time.Duration {
	switch d.Kind {
	case "":
		return -1
	case "drains":
		return d.In
	default:
		return 1 << 62
	}
}

// sortRows sorts by a column, and what is equal there by pending jobs, volume and
// name.
func sortRows(rows []*row, column string, descending bool) {
	by := compareBy(column)
	slices.SortFunc(rows, func(a, b *row) int {
		order := by(a, b)
		if descending {
			order = -order
		}
		return cmp.Or(order, cmp.Compare(b.Live.Pending, a.Live.Pending), cmp.Compare(b.Attempts(), a.Attempts()), strings.Compare(a.Name, b.Name))
	})
}
