package web

import (
	"context"
	"net/http"
	"slices"
	"time"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/schedule"
	"centrifuge/visibility"
)

// Soon is what "expires soon" means.
const Soon = 15 * time.Minute

// overviewData is the front page's.
type overviewData struct {
	Picker   picker
	Rate     float64 // deliveries a second, over the last full minute and what has passed of this one
	Span     visibility.Summary
	First    ratio
	Eventual ratio
	Spark    []int64
	Chart    chart
	Jobs     chart
	Ledger   Ledger
	Oldest   time.Time
	Soon     int64
	SoonIs   time.Duration
	Hour     whole
	Day      whole
	Trouble  []*row
	Gaps     []visibility.Gap
	Whole    bool
	Fresh    bool // nothing has ever been accepted
	Missing  []Missing
}

func (s *Site) overview(w http.ResponseWriter, r *http.Request) error {
	pick := pickerOf(r)
	over := pick.Chosen.Range(s.o.Now())
	d, err := gathered(r.Context(), s.shared, "overview "+reach(r.Context(), over), func(ctx context.Context) (overviewData, error) {
		return s.gatherOverview(ctx, pick.Chosen, over)
	})
	if err != nil {
		return err
	}
	d.Picker = pick
	return s.show(w, r, page{View: "overview", Title: "Overview", Section: "overview", Poll: 3, Missing: d.Missing, Data: &d})
}

func (s *Site) gatherOverview(ctx context.Context, chosen span, over visibility.Range) (d overviewData, err error) {
	p, now := access.From(ctx), s.o.Now()
	d.SoonIs, d.Whole = Soon, p.MayView("")
	filter := visibility.Filter{Among: p.Sources}
	points, err := s.history().Series(ctx, filter, over, chosen.Step)
	if err != nil {
		return d, whatFailed("read the history", err)
	}
	if d.Span, err = s.history().Summary(ctx, filter, over); err != nil {
		return d, whatFailed("read the history", err)
	}
	d.First, d.Eventual = ratioOf(d.Span.FirstAttemptShare()), ratioOf(d.Span.SuccessShare())
	d.Chart = attemptsChart(points, over, chosen.Step)
	d.Jobs = jobsChart(points, over, chosen.Step)
	if d.Gaps, err = s.history().Gaps(ctx, over); err != nil {
		return d, whatFailed("read the history's gaps", err)
	}
	if d.Rate, d.Spark, err = s.pace(ctx, filter, now); err != nil {
		return d, err
	}
	for _, mix := range []struct {
		long time.Duration
		into *whole
	}{{time.Hour, &d.Hour}, {24 * time.Hour, &d.Day}} {
		sum, err := s.history().Summary(ctx, filter, visibility.Last(now, mix.long))
		if err != nil {
			return d, whatFailed("read the history", err)
		}
		*mix.into = wholeOf(ends(sum.Counts))
	}
	if err := s.standing(ctx, &d, p); err != nil {
		return d, err
	}
	if d.Trouble, err = s.trouble(ctx, now); err != nil {
		return d, err
	}
	d.Fresh = d.Ledger.Accepted == 0
	return d, nil
}

// standing fills in how many jobs are where.
func (s *Site) standing(ctx context.Context, d *overviewData, p access.Principal) error {
	now, err := s.surveyed(ctx, schedule.Selector{})
	if err != nil {
		return err
	}
	d.Missing = now.Missing
	if !d.Whole {
		for _, l := range now.group(p, func(centrifuge.QueueKey) string { return "" }) {
			d.Ledger = l.Ledger
		}
		return nil
	}
	d.Oldest, d.Soon = now.Oldest, now.Soon
	ledger, missing, err := s.o.Backends.Ledger.Ledger(ctx)
	if err != nil {
		return whatFailed("read the ledger", err)
	}
	d.Ledger, d.Missing = ledger, both(d.Missing, missing)
	return nil
}

// both is all that one of two answers is without.
func both(a, b []Missing) []Missing {
	all := slices.Clone(a)
	for _, m := range b {
		named := func(other Missing) bool { return other == m || m.JobDB != "" && other.JobDB == m.JobDB }
		if !slices.ContainsFunc(all, named) {
			all = append(all, m)
		}
	}
	return all
}

// pace is how many jobs are delivered a second, and how many were in each minute
// of the last half hour.
func (s *Site) pace(ctx context.Context, f visibility.Filter, now time.Time) (float64, []int64, error) {
	points, err := s.history().Series(ctx, f, visibility.Last(now, visibility.SparkPoints*time.Minute), time.Minute)
	if err != nil {
		return 0, nil, whatFailed("read the history", err)
	}
	minutes := make([]int64, len(points))
	for i := range points {
		minutes[i] = points[i].Succeeded
	}
	n := len(minutes)
	if n < 2 {
		return 0, minutes, nil
	}
	passed := now.Sub(now.Truncate(time.Minute)).Seconds()
	return float64(minutes[n-1]+minutes[n-2]) / (60 + passed), minutes[:n-1], nil
}

// trouble are the queues that deserve a look, the worst first.
func (s *Site) trouble(ctx context.Context, now time.Time) ([]*row, error) {
	const most = 6
	found, err := s.rows(ctx, visibility.ByDestination, visibility.Last(now, time.Hour), false)
	if err != nil {
		return nil, err
	}
	bad := found.rows[:0]
	for _, row := range found.rows {
		if row.Health.rank <= 2 {
			bad = append(bad, row)
		}
	}
	sortRows(bad, "health", false)
	return bad[:min(len(bad), most)], nil
}

// history is the history that is kept, or one of nothing.
func (s *Site) history() History {
	if s.o.Backends.History == nil {
		return noHistory{}
	}
	return s.o.Backends.History
}

func destinationOf(key centrifuge.QueueKey) string { return key.Destination }
func sourceOf(key centrifuge.QueueKey) string      { return key.Source }
