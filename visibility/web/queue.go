package web

import (
	"context"
	"net/http"
	"time"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/archive"
	"centrifuge/visibility"
)

// queueData is the page of a queue, of a source or of a destination.
type queueData struct {
	Scope    scope
	Picker   picker
	Live     live
	Own      centrifuge.QueuePolicy // what was said of exactly this scope
	Summary  visibility.Summary
	First    ratio
	Eventual ratio
	Health   health
	Drain    drain
	Charts   []chart
	Codes    codes
	Attempts []attemptRow
	Samples  []sampleRow
	Archived []archive.Entry
	More     bool       // of the archived
	Table    *tableData // of its queues; nil for a queue
	Gaps     []visibility.Gap
	Missing  []Missing
	Holders  []Holder
	Operate  bool
	Link     bool // one for a customer may be made
	Seen     bool // anything is known of it
}

// codes are the answers that attempts got.
type codes struct {
	Rows  []codeRow
	Total int64
}

type codeRow struct {
	Outcome centrifuge.Outcome
	Code    code
	Class   string
	Count   int64
	Link    string // to its samples
	Current bool
}

// Of is the share of a count.
func (c codes) Of(n int64) float64 { return float64(n) / float64(max(1, c.Total)) }

// attemptRow is how many jobs an attempt number delivered, and how far that came.
type attemptRow struct {
	Attempt    int
	Last       bool // stands for all after it as well
	Succeeded  int64
	Cumulative int64
	Ended      int64
}

// Share is the share of ended jobs that were delivered by this attempt or before.
func (a attemptRow) Share() float64 { return float64(a.Cumulative) / float64(max(1, a.Ended)) }

type sampleRow struct {
	visibility.Sample
	Shown code
}

func (s *Site) queue(w http.ResponseWriter, r *http.Request) error {
	c, err := scopeOf(r)
	if err != nil {
		return err
	}
	if "/"+c.Is() != r.URL.Path {
		http.Redirect(w, r, c.Link(), http.StatusSeeOther)
		return nil
	}
	ctx, p, now := r.Context(), access.From(r.Context()), s.o.Now()
	d := queueData{Scope: c, Picker: pickerOf(r), Operate: c.mayOperate(p)}
	d.Link = c.Is() == "source" && s.o.Backends.Links != nil && p.May(access.Manage, c.Source)
	over := d.Picker.Chosen.Range(now)
	if err := s.liveOf(r, c, &d); err != nil {
		return err
	}
	for _, fill := range []func(context.Context, visibility.Filter, visibility.Range, *queueData) error{
		s.fillFigures, s.fillCharts, s.fillCodes, s.fillAttempts,
	} {
		if err := fill(ctx, c.filter(p), over, &d); err != nil {
			return whatFailed("read the history", err)
		}
	}
	if err := s.fillSamples(r, &d); err != nil {
		return err
	}
	if err := s.fillArchived(ctx, p, &d, now); err != nil {
		return err
	}
	section := map[string]string{"source": "sources"}[c.Is()]
	if section == "" {
		section = "destinations"
	}
	if c.Is() != "queue" {
		found, err := s.queuesOf(ctx, c, over)
		if err != nil {
			return err
		}
		t := s.tabulate(r, found.rows, "queue", d.Picker)
		d.Table = &t
	}
	d.Seen = d.Live.Queues > 0 || d.Live.Ledger.Accepted > 0 || d.Summary.Attempts() > 0 || d.Summary.Accepted > 0
	return s.show(w, r, page{View: "queue", Title: c.Text(), Section: section, Poll: 3, Missing: d.Missing, Data: &d})
}

// liveOf fills in what the scope holds now.
func (s *Site) liveOf(r *http.Request, c scope, d *queueData) error {
	now, err := s.survey(r.Context(), c.selector())
	if err != nil {
		return err
	}
	for _, l := range now.group(access.From(r.Context()), func(centrifuge.QueueKey) string { return "" }) {
		d.Live = *l
	}
	d.Own, d.Missing, d.Holders = now.Policy, now.Missing, now.Holders
	d.Live.Policy = d.Own
	if c.Destination == "" {
		return nil
	}
	info := now.gates()[c.Destination]
	if c.Source == "" {
		if info != nil {
			d.Live.Gate = &info.Gate
		}
		return nil
	}
	if info != nil {
		d.Live.Above = &info.Gate
	}
	if len(now.Queues) == 1 {
		d.Live.Gate, d.Live.Policy = &now.Queues[0].Gate, now.Queues[0].Policy
	}
	return nil
}

func (s *Site) fillFigures(ctx context.Context, f visibility.Filter, over visibility.Range, d *queueData) (err error) {
	if d.Summary, err = s.history().Summary(ctx, f, over); err != nil {
		return err
	}
	d.First, d.Eventual = ratioOf(d.Summary.FirstAttemptShare()), ratioOf(d.Summary.SuccessShare())
	lately, err := s.history().Summary(ctx, f, visibility.Last(s.o.Now(), drainWindow))
	if err != nil {
		return err
	}
	d.Health, d.Drain = healthOf(&d.Live, &d.Summary.Counts), drainOf(&d.Live, &lately.Counts)
	d.Gaps, err = s.history().Gaps(ctx, over)
	return err
}

func (s *Site) fillCharts(ctx context.Context, f visibility.Filter, over visibility.Range, d *queueData) error {
	if s.o.Backends.History == nil {
		return nil
	}
	step := d.Picker.Chosen.Step
	points, err := s.history().Series(ctx, f, over, step)
	if err != nil {
		return err
	}
	d.Charts = []chart{
		attemptsChart(points, over, step),
		jobsChart(points, over, step),
		quantilesChart("latency", "Latency", "of an attempt", points, over, func(p *visibility.Point) visibility.Quantiles { return p.Latency }),
		quantilesChart("delay", "End-to-end delay", "from acceptance to delivery", points, over, func(p *visibility.Point) visibility.Quantiles { return p.Delay }),
	}
	return nil
}

func (s *Site) fillCodes(ctx context.Context, f visibility.Filter, over visibility.Range, d *queueData) error {
	counts, err := s.history().Breakdown(ctx, f, over)
	if err != nil {
		return err
	}
	classes := map[centrifuge.Outcome]string{
		centrifuge.OutcomeSucceeded: "f-succeeded", centrifuge.OutcomeRetry: "f-retried", centrifuge.OutcomeDiscarded: "f-discarded",
	}
	for _, c := range counts {
		d.Codes.Total += c.Count
		d.Codes.Rows = append(d.Codes.Rows, codeRow{
			Outcome: c.Outcome, Code: codeOf(c.Code, c.Outcome), Class: classes[c.Outcome], Count: c.Count,
			Link: link("/"+d.Scope.Is(), "source", d.Scope.Source, "destination", d.Scope.Destination,
				"range", d.Picker.Chosen.Name, "code", c.Code.String()) + "#samples",
		})
	}
	return nil
}

func (s *Site) fillAttempts(ctx context.Context, f visibility.Filter, over visibility.Range, d *queueData) error {
	counts, err := s.history().ByAttempt(ctx, f, over)
	if err != nil {
		return err
	}
	d.Attempts = attemptRows(counts, d.Summary.Ended())
	return nil
}

// attemptRows are the attempts that delivered, of so many jobs that ended.
func attemptRows(counts []visibility.AttemptCount, ended int64) []attemptRow {
	var rows []attemptRow
	var sum int64
	for _, c := range counts {
		sum += c.Succeeded
		rows = append(rows, attemptRow{
			Attempt: c.Attempt, Last: c.Attempt == visibility.MaxAttemptShown, Succeeded: c.Succeeded, Cumulative: sum, Ended: ended,
		})
	}
	return rows
}

// fillSamples adds the attempts that were kept of a queue: those that failed, or
// those with the code that is asked for.
func (s *Site) fillSamples(r *http.Request, d *queueData) error {
	if d.Scope.Is() != "queue" {
		return nil
	}
	const most = 12
	var only *visibility.Code
	if text := r.URL.Query().Get("code"); text != "" {
		code := visibility.ParseCode(text)
		only = &code
	}
	samples, err := s.history().Samples(r.Context(), d.Scope.key(), only)
	if err != nil {
		return whatFailed("read the samples", err)
	}
	for _, sample := range samples {
		outcome := classify(sample.Code)
		if len(d.Samples) < most && (only != nil || outcome != centrifuge.OutcomeSucceeded) {
			d.Samples = append(d.Samples, sampleRow{sample, codeOf(sample.Code, outcome)})
		}
	}
	return nil
}

// fillArchived adds the first of the archived jobs of the last day.
func (s *Site) fillArchived(ctx context.Context, p access.Principal, d *queueData, now time.Time) error {
	if d.Scope.Is() != "queue" || !p.MayView(d.Scope.Source) {
		return nil
	}
	page, err := s.o.Backends.Archive.ListArchive(ctx, archive.Filter{
		Source: d.Scope.Source, Destination: d.Scope.Destination, From: now.Add(-24 * time.Hour),
	}, "", 10)
	if err != nil {
		return whatFailed("list the archive", err)
	}
	d.Archived, d.More = page.Entries, page.Next != ""
	return nil
}
