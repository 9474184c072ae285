package rpc

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"centrifuge/fanout"
	pb "centrifuge/gen/centrifuge/v1"
)

// What the Directors of a fleet ask of each other. Each answers for itself alone. Who
// gave an order, and whether they may, is for the Director to know that they gave it
// to: it writes that to its audit log, and passes it on as a process of the fleet.

var errNoFleet = connect.NewError(connect.CodeUnimplemented, errors.New("this Director is of no fleet"))

func (s *directorService) Survey(
	ctx context.Context, req *connect.Request[pb.SurveyRequest],
) (*connect.Response[pb.SurveyResponse], error) {
	if s.own == nil {
		return nil, errNoFleet
	}
	m := req.Msg
	f := fields{index: -1}
	q := fanout.Question{
		Selector: selector(m.GetSelector()), After: scope(m.GetAfter()), Queues: int(m.GetQueues()), Destinations: int(m.GetDestinations()),
		Ledgers: m.GetLedgers(), Within: f.duration("expiring_within", m.GetExpiringWithin()),
	}
	if f.err != nil {
		return nil, f.err
	}
	now, err := s.own.Survey(ctx, q)
	if err != nil {
		return nil, err
	}
	answer := &pb.SurveyResponse{
		Jobdbs: now.JobDBs, Queues: newQueues(now.Queues), MoreQueues: now.MoreQueues,
		Destinations: newDestinations(now.Destinations), MoreDestinations: now.MoreDestinations,
		Ledgers: newQueueLedgers(now.Ledgers), Oldest: timestamp(now.Oldest), Expiring: now.Expiring,
	}
	if !now.Said.Time.IsZero() {
		answer.Said = newPolicy(&now.Said)
	}
	return connect.NewResponse(answer), nil
}

func (s *directorService) Policies(
	ctx context.Context, req *connect.Request[pb.PoliciesRequest],
) (*connect.Response[pb.PoliciesResponse], error) {
	if s.own == nil {
		return nil, errNoFleet
	}
	policies, err := s.own.Policies(ctx, req.Msg.GetKnown())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.PoliciesResponse{Policies: newPolicies(policies)}), nil
}

func (s *directorService) Learn(
	ctx context.Context, req *connect.Request[pb.LearnRequest],
) (*connect.Response[pb.LearnResponse], error) {
	if s.own == nil {
		return nil, errNoFleet
	}
	f := fields{index: -1}
	policies := f.policies(req.Msg.GetPolicies())
	if f.err != nil {
		return nil, f.err
	}
	instead, err := s.own.Learn(ctx, policies...)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.LearnResponse{Later: newPolicies(instead)}), nil
}

func (s *directorService) Order(
	ctx context.Context, req *connect.Request[pb.OrderRequest],
) (*connect.Response[pb.OrderResponse], error) {
	if s.own == nil {
		return nil, errNoFleet
	}
	jobs, err := s.own.Order(ctx, selector(req.Msg.GetSelector()), req.Msg.GetExpire())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.OrderResponse{Jobs: int64(jobs)}), nil
}

func (s *directorService) Search(
	ctx context.Context, req *connect.Request[pb.DirectorServiceSearchRequest],
) (*connect.Response[pb.DirectorServiceSearchResponse], error) {
	if s.own == nil {
		return nil, errNoFleet
	}
	m := req.Msg
	f := fields{index: -1}
	filter := f.jobFilter(m.GetSearch())
	budget := f.duration("budget", m.GetBudget())
	if f.err != nil {
		return nil, f.err
	}
	if m.GetBound() {
		filter.Among = append([]string{}, m.GetAmong()...)
	}
	page, err := s.own.SearchOwn(ctx, filter, m.GetSearch().GetPageToken(), int(m.GetSearch().GetPageSize()), budget)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.DirectorServiceSearchResponse{Page: newSearchPage(ctx, &page)}), nil
}

func (s *directorService) Watch(
	ctx context.Context, req *connect.Request[pb.WatchRequest],
) (*connect.Response[pb.WatchResponse], error) {
	if s.own == nil {
		return nil, errNoFleet
	}
	alerts, streaks, err := s.own.Watched(ctx, req.Msg.GetStreaks())
	if err != nil {
		return nil, err
	}
	answer := &pb.WatchResponse{}
	for i := range alerts {
		answer.Alerts = append(answer.Alerts, newAlert(&alerts[i]))
	}
	for i := range streaks {
		streak := &streaks[i]
		answer.Streaks = append(answer.Streaks, &pb.Streak{
			Source: text(streak.Queue.Source), Destination: text(streak.Queue.Destination),
			Code: int32(streak.Code), Count: streak.Count, Since: timestamp(streak.Since),
		})
	}
	return connect.NewResponse(answer), nil
}
