package rpc

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/director"
	"centrifuge/fanout"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/jobdb"
	"centrifuge/visibility"
	"centrifuge/visibility/alert"
)

// VisibilityBackend is what was recorded; [visibility.Store] is one.
type VisibilityBackend interface {
	Series(context.Context, visibility.Filter, visibility.Range, time.Duration) ([]visibility.Point, error)
	Summary(context.Context, visibility.Filter, visibility.Range) (visibility.Summary, error)
	Breakdown(context.Context, visibility.Filter, visibility.Range) ([]visibility.CodeCount, error)
	ByAttempt(context.Context, visibility.Filter, visibility.Range) ([]visibility.AttemptCount, error)
	Top(context.Context, visibility.By, visibility.Filter, visibility.Range, visibility.Order, int) ([]visibility.TopRow, error)
	Samples(context.Context, centrifuge.QueueKey, *visibility.Code) ([]visibility.Sample, error)
	Gaps(context.Context, visibility.Range) ([]visibility.Gap, error)
}

// SearchBackend finds jobs; [fanout.Fleet] is one.
type SearchBackend interface {
	Get(context.Context, centrifuge.ID) (jobdb.Trace, error)
	Search(ctx context.Context, f director.JobFilter, cursor string, limit int, budget time.Duration) (director.SearchPage, []fanout.Missing, error)
}

// AlertBackend says what asks for attention; [alert.Watch] is one.
type AlertBackend interface {
	Alerts(context.Context) ([]alert.Alert, error)
}

// visibilityService serves centrifuge.v1.VisibilityService.
type visibilityService struct {
	record VisibilityBackend // nil: nothing is recorded
	search SearchBackend
	alerts AlertBackend // nil: none are looked for
	now    func() time.Time
}

// errNoRecord answers calls to a server that records nothing.
var errNoRecord = errors.New("this server records nothing (--visibility=false)")

func (s *visibilityService) Series(
	ctx context.Context, req *connect.Request[pb.SeriesRequest],
) (*connect.Response[pb.SeriesResponse], error) {
	f := fields{index: -1}
	within := s.timeRange(&f, req.Msg.GetRange())
	step := f.step(req.Msg.GetStep(), within)
	if err := s.ready(&f); err != nil {
		return nil, err
	}
	filter, err := visible(ctx, req.Msg.GetFilter())
	if err != nil {
		return nil, err
	}
	points, err := s.record.Series(ctx, filter, within, step)
	if err != nil {
		return nil, err
	}
	answer := &pb.SeriesResponse{Step: durationpb.New(step), Points: make([]*pb.Point, len(points))}
	for i := range points {
		p := &points[i]
		answer.Points[i] = &pb.Point{
			Start: timestamppb.New(p.Start), Counts: newCounts(&p.Counts),
			Latency: newQuantiles(&p.Latency), Delay: newQuantiles(&p.Delay), Missing: p.Missing,
		}
	}
	return connect.NewResponse(answer), nil
}

func (s *visibilityService) Breakdown(
	ctx context.Context, req *connect.Request[pb.BreakdownRequest],
) (*connect.Response[pb.BreakdownResponse], error) {
	f := fields{index: -1}
	within := s.timeRange(&f, req.Msg.GetRange())
	if err := s.ready(&f); err != nil {
		return nil, err
	}
	filter, err := visible(ctx, req.Msg.GetFilter())
	if err != nil {
		return nil, err
	}
	sum, err := s.record.Summary(ctx, filter, within)
	if err != nil {
		return nil, err
	}
	codes, err := s.record.Breakdown(ctx, filter, within)
	if err != nil {
		return nil, err
	}
	attempts, err := s.record.ByAttempt(ctx, filter, within)
	if err != nil {
		return nil, err
	}
	gaps, err := s.record.Gaps(ctx, within)
	if err != nil {
		return nil, err
	}
	answer := &pb.BreakdownResponse{
		Range:  &pb.TimeRange{From: timestamppb.New(within.From), To: timestamppb.New(within.To)},
		Counts: newCounts(&sum.Counts), Latency: newQuantiles(&sum.Latency), Delay: newQuantiles(&sum.Delay),
	}
	for _, c := range codes {
		answer.Codes = append(answer.Codes, &pb.CodeCount{
			Outcome: c.Outcome.String(), StatusCode: int32(c.Code.Status), ErrorCode: string(c.Code.Error), Count: c.Count,
		})
	}
	for _, a := range attempts {
		answer.Attempts = append(answer.Attempts, &pb.AttemptCount{Attempt: int32(a.Attempt), Succeeded: a.Succeeded})
	}
	for _, g := range gaps {
		answer.Gaps = append(answer.Gaps, &pb.Gap{From: timestamppb.New(g.From), To: timestamppb.New(g.To), Why: text(g.Why)})
	}
	return connect.NewResponse(answer), nil
}

func (s *visibilityService) Top(
	ctx context.Context, req *connect.Request[pb.TopRequest],
) (*connect.Response[pb.TopResponse], error) {
	f := fields{index: -1}
	within := s.timeRange(&f, req.Msg.GetRange())
	limit := min(f.count("limit", req.Msg.GetLimit()), maxPage)
	if limit == 0 {
		limit = 20
	}
	by, knownBy := map[pb.TopBy]visibility.By{
		pb.TopBy_TOP_BY_UNSPECIFIED: visibility.ByQueue, pb.TopBy_TOP_BY_QUEUE: visibility.ByQueue,
		pb.TopBy_TOP_BY_DESTINATION: visibility.ByDestination, pb.TopBy_TOP_BY_SOURCE: visibility.BySource,
	}[req.Msg.GetBy()]
	order, knownOrder := map[pb.TopOrder]visibility.Order{
		pb.TopOrder_TOP_ORDER_UNSPECIFIED: visibility.OrderVolume, pb.TopOrder_TOP_ORDER_VOLUME: visibility.OrderVolume,
		pb.TopOrder_TOP_ORDER_FAILURES: visibility.OrderFailures, pb.TopOrder_TOP_ORDER_SHARE: visibility.OrderShare,
		pb.TopOrder_TOP_ORDER_NAME: visibility.OrderName,
	}[req.Msg.GetOrder()]
	if !knownBy {
		f.fail("by", "is %d, which this server does not know", req.Msg.GetBy())
	}
	if !knownOrder {
		f.fail("order", "is %d, which this server does not know", req.Msg.GetOrder())
	}
	if err := s.ready(&f); err != nil {
		return nil, err
	}
	filter, err := visible(ctx, req.Msg.GetFilter())
	if err != nil {
		return nil, err
	}
	rows, err := s.record.Top(ctx, by, filter, within, order, limit)
	if err != nil {
		return nil, err
	}
	answer := &pb.TopResponse{Rows: make([]*pb.TopRow, len(rows))}
	for i := range rows {
		row := &rows[i]
		answer.Rows[i] = &pb.TopRow{
			Source: text(row.Source), Destination: text(row.Destination), Counts: newCounts(&row.Counts),
			Latency: newQuantiles(&row.Latency), Delay: newQuantiles(&row.Delay), Spark: row.Spark,
		}
	}
	return connect.NewResponse(answer), nil
}

func (s *visibilityService) Samples(
	ctx context.Context, req *connect.Request[pb.SamplesRequest],
) (*connect.Response[pb.SamplesResponse], error) {
	f := fields{index: -1}
	queue := centrifuge.QueueKey{Source: req.Msg.GetSource(), Destination: req.Msg.GetDestination()}
	if queue.Source == "" || queue.Destination == "" {
		f.fail("source", "and destination name a queue, and one of them is missing")
	}
	if err := s.ready(&f); err != nil {
		return nil, err
	}
	if caller := access.From(ctx); !caller.MayView(queue.Source) {
		return nil, caller.Denied(access.View, queue.Source)
	}
	var code *visibility.Code
	if c := req.Msg.GetCode(); c != "" {
		parsed := visibility.ParseCode(c)
		code = &parsed
	}
	samples, err := s.record.Samples(ctx, queue, code)
	if err != nil {
		return nil, err
	}
	answer := &pb.SamplesResponse{Samples: make([]*pb.Sample, len(samples))}
	for i := range samples {
		answer.Samples[i] = newSample(&samples[i])
	}
	return connect.NewResponse(answer), nil
}

func (s *visibilityService) Alerts(
	ctx context.Context, _ *connect.Request[pb.AlertsRequest],
) (*connect.Response[pb.AlertsResponse], error) {
	answer := &pb.AlertsResponse{}
	if s.alerts == nil {
		return connect.NewResponse(answer), nil
	}
	alerts, err := s.alerts.Alerts(ctx)
	if err != nil {
		return nil, err
	}
	caller := access.From(ctx)
	for i := range alerts {
		a := &alerts[i]
		if !caller.MayView(a.Source) {
			continue
		}
		answer.Alerts = append(answer.Alerts, newAlert(a))
	}
	return connect.NewResponse(answer), nil
}

func newAlert(a *alert.Alert) *pb.Alert {
	return &pb.Alert{
		Rule: a.Rule, Severity: string(a.Severity), Source: text(a.Source), Destination: text(a.Destination),
		Text: text(a.Text), Since: timestamppb.New(a.Since), Ended: timestamp(a.Ended),
	}
}

// ready says why a call cannot be answered from the record.
func (s *visibilityService) ready(f *fields) error {
	if s.record == nil {
		return connect.NewError(connect.CodeUnimplemented, errNoRecord)
	}
	return f.err
}

// visible is the filter as far as the caller may see. Names are found as the wire
// shows them.
func visible(ctx context.Context, f *pb.VisibilityFilter) (visibility.Filter, error) {
	caller := access.From(ctx)
	filter := visibility.Filter{Source: f.GetSource(), Destination: f.GetDestination(), Among: caller.Sources}
	if filter.Source != "" && !caller.MayView(filter.Source) {
		return filter, caller.Denied(access.View, filter.Source)
	}
	return filter, nil
}

// maxRange is more than any record holds.
const maxRange = 400 * 24 * time.Hour

// timeRange reads a range; what is absent is the last day.
func (s *visibilityService) timeRange(f *fields, r *pb.TimeRange) visibility.Range {
	within := visibility.Last(s.now(), 24*time.Hour)
	if to := f.time("range.to", r.GetTo()); !to.IsZero() {
		within.To = to.Truncate(time.Minute)
	}
	within.From = within.To.Add(-24 * time.Hour)
	if from := f.time("range.from", r.GetFrom()); !from.IsZero() {
		within.From = from.Truncate(time.Minute)
	}
	switch d := within.To.Sub(within.From); {
	case d < time.Minute:
		f.fail("range", "ends before it begins, or is shorter than a minute")
	case d > maxRange:
		f.fail("range", "is longer than 400 days")
	}
	return within
}

// step reads the step of a series; absent, it is one that makes 60 points or so.
func (f *fields) step(d *durationpb.Duration, within visibility.Range) time.Duration {
	whole := within.To.Sub(within.From)
	step := f.duration("step", d)
	if d == nil {
		for _, step = range [...]time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour} {
			if whole/step <= 60 {
				return step
			}
		}
		return 24 * time.Hour
	}
	if step%time.Minute != 0 {
		f.fail("step", "is %s; want whole minutes", step)
	} else if whole/step >= visibility.MaxSteps {
		f.fail("step", "makes more than %d points", visibility.MaxSteps)
	}
	return step
}

func newCounts(c *visibility.Counts) *pb.Counts {
	return &pb.Counts{
		Accepted: c.Accepted, Succeeded: c.Succeeded, Retried: c.Retried, Discarded: c.Discarded,
		Archived: c.Archived, Moved: c.Moved, FirstAttempt: c.FirstAttempt,
		Expired: c.Expired, Flushed: c.Flushed, Spent: c.Spent,
		AcceptedBytes: c.AcceptedBytes, DeliveredBytes: c.DeliveredBytes,
	}
}

func newQuantiles(q *visibility.Quantiles) *pb.Quantiles {
	if q.Count == 0 {
		return nil
	}
	return &pb.Quantiles{
		Count: q.Count, P50: durationpb.New(q.P50), P95: durationpb.New(q.P95), P99: durationpb.New(q.P99),
	}
}

func newSample(s *visibility.Sample) *pb.Sample {
	return &pb.Sample{
		JobId: s.JobID.String(), Time: timestamppb.New(s.Time), Attempt: int32(s.Attempt),
		StatusCode: int32(s.Code.Status), ErrorCode: string(s.Code.Error), Duration: durationpb.New(s.Duration),
		Method: text(s.Method), Endpoint: text(s.Endpoint), Body: text(s.Body),
		RequestHeaders: newHeaders(s.RequestHeaders), ResponseHeaders: newHeaders(s.ResponseHeaders),
	}
}

func newHeaders(headers []centrifuge.Header) []*pb.Header {
	out := make([]*pb.Header, len(headers))
	for i, h := range headers {
		out[i] = &pb.Header{Name: text(h.Name), Value: text(h.Value)}
	}
	return out
}
