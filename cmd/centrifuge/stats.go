package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge/archive"
	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

// period is a time that flags name, and the queues in it that they select.
type period struct {
	since, until string
	filter       pb.VisibilityFilter
}

func (p *period) addTo(cmd *cobra.Command, since string) {
	cmd.Flags().StringVar(&p.since, "since", since, "from this time on: an age (90m, 24h, 7d) or an RFC 3339 time")
	cmd.Flags().StringVar(&p.until, "until", "", "up to this time: an age or an RFC 3339 time (default now)")
	cmd.Flags().StringVar(&p.filter.Source, "source", "", "only this source")
	cmd.Flags().StringVar(&p.filter.Destination, "destination", "", "only this destination")
}

// within reads the times, by the same rules as a filter of the archive.
func (p *period) within(now time.Time) (*pb.TimeRange, error) {
	terms := []string{"since=" + p.since}
	if p.until != "" {
		terms = append(terms, "until="+p.until)
	}
	parsed, err := archive.ParseFilter(terms, now)
	if err != nil {
		return nil, &usageError{err}
	}
	r := &pb.TimeRange{From: timestamppb.New(parsed.From)}
	if !parsed.To.IsZero() {
		r.To = timestamppb.New(parsed.To)
	}
	return r, nil
}

func newStats() *cobra.Command {
	var (
		r     remote
		p     period
		by    string
		order string
		step  time.Duration
		limit int32
	)
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show what became of deliveries over a time",
		Long: `Shows jobs and attempts over a time, by destination, source, queue, time, code or
attempt. The counts are exact; minutes of which something was not recorded are
marked. The last few seconds may not be counted yet.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			within, err := p.within(time.Now())
			if err != nil {
				return err
			}
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			s := stats{client: c, within: within, filter: &p.filter, json: r.json, out: cmd.OutOrStdout()}
			switch by {
			case "time":
				err = s.series(cmd.Context(), step)
			case "code":
				err = s.codes(cmd.Context())
			case "attempt":
				err = s.attempts(cmd.Context())
			default:
				err = s.top(cmd.Context(), by, order, limit)
			}
			return r.explain(err)
		},
	}
	r.addTo(cmd)
	p.addTo(cmd, "1h")
	cmd.Flags().StringVar(&by, "by", "destination", "`WHAT` a row is: destination, source, queue, time, code or attempt")
	cmd.Flags().StringVar(&order, "order", "volume", "rows of destinations, sources and queues by volume, failures, share (not delivered) or name")
	cmd.Flags().DurationVar(&step, "step", 0, "with --by time: the length of a step in whole minutes (default some 60 steps)")
	cmd.Flags().Int32Var(&limit, "limit", 20, "so many rows at most")
	return cmd
}

// stats asks and prints.
type stats struct {
	client *client.Client
	within *pb.TimeRange
	filter *pb.VisibilityFilter
	json   bool
	out    io.Writer
}

func (s *stats) series(ctx context.Context, step time.Duration) error {
	req := &pb.SeriesRequest{Filter: s.filter, Range: s.within}
	if step != 0 {
		req.Step = durationpb.New(step)
	}
	resp, err := s.client.Visibility.Series(ctx, connect.NewRequest(req))
	if err != nil {
		return fmt.Errorf("get the series: %w", err)
	}
	t := newTable(s.out, append([]any{"TIME"}, countColumns()...)...)
	for _, p := range resp.Msg.GetPoints() {
		if s.json {
			if err := writeJSON(s.out, p); err != nil {
				return err
			}
			continue
		}
		at := p.GetStart().AsTime().UTC().Format("2006-01-02 15:04Z")
		if p.GetMissing() {
			at += " (incomplete)"
		}
		t.row(append([]any{at}, countCells(p.GetCounts(), p.GetLatency(), p.GetDelay())...)...)
	}
	return s.flush(t)
}

func (s *stats) top(ctx context.Context, by, order string, limit int32) error {
	rows, err := s.ranking(ctx, by, order, limit)
	if err != nil {
		return err
	}
	t := newTable(s.out, append([]any{"DESTINATION", "SOURCE"}, countColumns()...)...)
	for _, row := range rows {
		if s.json {
			if err := writeJSON(s.out, row); err != nil {
				return err
			}
			continue
		}
		t.row(append([]any{dash(row.GetDestination()), dash(row.GetSource())},
			countCells(row.GetCounts(), row.GetLatency(), row.GetDelay())...)...)
	}
	return s.flush(t)
}

func (s *stats) ranking(ctx context.Context, by, order string, limit int32) ([]*pb.TopRow, error) {
	if limit < 1 {
		return nil, usagef("--limit %d: must be above 0", limit)
	}
	kind, ok := pb.TopBy_value["TOP_BY_"+strings.ToUpper(by)]
	if !ok || kind == 0 {
		return nil, usagef("--by %s: want destination, source, queue, time, code or attempt", by)
	}
	sort, ok := pb.TopOrder_value["TOP_ORDER_"+strings.ToUpper(order)]
	if !ok || sort == 0 {
		return nil, usagef("--order %s: want volume, failures, share or name", order)
	}
	resp, err := s.client.Visibility.Top(ctx, connect.NewRequest(&pb.TopRequest{
		By: pb.TopBy(kind), Order: pb.TopOrder(sort), Filter: s.filter, Range: s.within, Limit: limit,
	}))
	if err != nil {
		return nil, fmt.Errorf("get the ranking: %w", err)
	}
	return resp.Msg.GetRows(), nil
}

func (s *stats) breakdown(ctx context.Context) (*pb.BreakdownResponse, error) {
	resp, err := s.client.Visibility.Breakdown(ctx, connect.NewRequest(&pb.BreakdownRequest{Filter: s.filter, Range: s.within}))
	if err != nil {
		return nil, fmt.Errorf("get the breakdown: %w", err)
	}
	return resp.Msg, nil
}

func (s *stats) codes(ctx context.Context) error {
	b, err := s.breakdown(ctx)
	if err != nil {
		return err
	}
	all := b.GetCounts().GetSucceeded() + b.GetCounts().GetRetried() + b.GetCounts().GetDiscarded()
	t := newTable(s.out, "OUTCOME", "CODE", "ATTEMPTS", "SHARE")
	for _, c := range b.GetCodes() {
		if s.json {
			if err := writeJSON(s.out, c); err != nil {
				return err
			}
			continue
		}
		t.row(c.GetOutcome(), codeText(c), humanize.Comma(c.GetCount()), percent(c.GetCount(), all))
	}
	return s.flush(t)
}

func (s *stats) attempts(ctx context.Context) error {
	b, err := s.breakdown(ctx)
	if err != nil {
		return err
	}
	t := newTable(s.out, "ATTEMPT", "DELIVERED", "SHARE")
	for _, a := range b.GetAttempts() {
		if s.json {
			if err := writeJSON(s.out, a); err != nil {
				return err
			}
			continue
		}
		t.row(a.GetAttempt(), humanize.Comma(a.GetSucceeded()), percent(a.GetSucceeded(), b.GetCounts().GetSucceeded()))
	}
	return s.flush(t)
}

func (s *stats) flush(t *table) error {
	if s.json {
		return nil
	}
	return t.flush()
}

func countColumns() []any {
	return []any{"ACCEPTED", "DELIVERED", "FIRST TRY", "RETRIED", "REFUSED", "ARCHIVED", "SUCCESS", "P50", "P95", "P99", "DELAY P95"}
}

func countCells(c *pb.Counts, latency, delay *pb.Quantiles) []any {
	ended := c.GetSucceeded() + c.GetDiscarded() + c.GetArchived()
	cells := []any{}
	for _, n := range []int64{
		c.GetAccepted(), c.GetSucceeded(), c.GetFirstAttempt(), c.GetRetried(), c.GetDiscarded(), c.GetArchived(),
	} {
		cells = append(cells, humanize.Comma(n))
	}
	cells = append(cells, percent(c.GetSucceeded(), ended))
	for _, d := range []*durationpb.Duration{latency.GetP50(), latency.GetP95(), latency.GetP99(), delay.GetP95()} {
		if d == nil {
			cells = append(cells, "-")
		} else {
			cells = append(cells, short(d.AsDuration()))
		}
	}
	return cells
}

func codeText(c *pb.CodeCount) string {
	if c.GetErrorCode() != "" {
		return c.GetErrorCode()
	}
	return fmt.Sprint(c.GetStatusCode())
}

// percent is a share with two digits, as far as there is a whole.
func percent(part, whole int64) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(whole))
}
