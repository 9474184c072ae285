package rpc

import (
	"context"
	"errors"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
)

// searchBudget is how long a search looks before it answers with what it found.
const searchBudget = 2 * time.Second

// Search serves VisibilityService.Search.
func (s *visibilityService) Search(
	ctx context.Context, req *connect.Request[pb.SearchRequest],
) (*connect.Response[pb.SearchResponse], error) {
	m := req.Msg
	f := fields{index: -1}
	id := f.id("job_id", m.GetJobId())
	filter := f.jobFilter(m)
	f.mayMatch(ctx, "endpoint", filter.Endpoint)
	limit := f.pageSize(m.GetPageSize(), 100)
	switch {
	case f.err != nil:
		return nil, f.err
	case s.search == nil:
		return nil, connect.NewError(connect.CodeUnimplemented, errors.New("this server does not search"))
	}
	caller := access.From(ctx)
	if filter.Source != "" && !caller.MayView(filter.Source) {
		return nil, caller.Denied(access.View, filter.Source)
	}
	filter.Among = caller.Sources
	if !id.IsZero() {
		return s.one(ctx, id)
	}
	page, missing, err := s.search.Search(ctx, filter, m.GetPageToken(), limit, searchBudget)
	if err != nil {
		return nil, err
	}
	answer := newSearchPage(ctx, &page)
	answer.Missing = newMissing(missing)
	return connect.NewResponse(answer), nil
}

// jobFilter reads what is looked for.
func (f *fields) jobFilter(m *pb.SearchRequest) director.JobFilter {
	filter := director.JobFilter{
		Source: m.GetSource(), Destination: m.GetDestination(), Endpoint: m.GetEndpoint(),
		From: f.time("from", m.GetFrom()), To: f.time("to", m.GetTo()),
	}
	if name := m.GetState(); name != "" {
		var err error
		if filter.State, err = centrifuge.ParseState(name); err != nil {
			f.fail("state", "is %q; want one of %v", clip(name), centrifuge.States)
		}
	}
	if n, err := strconv.Atoi(m.GetCode()); err == nil {
		filter.StatusCode = n
	} else {
		filter.ErrorCode = centrifuge.ErrorCode(m.GetCode())
	}
	return filter
}

func newSearchPage(ctx context.Context, page *director.SearchPage) *pb.SearchResponse {
	m := &pb.SearchResponse{NextPageToken: page.Next, Cut: page.Cut, Looked: int64(page.Looked)}
	for i := range page.Jobs {
		m.Jobs = append(m.Jobs, newFound(ctx, &page.Jobs[i]))
	}
	return m
}

// one finds a job by its id; none is found where there is none that the caller may
// see.
func (s *visibilityService) one(ctx context.Context, id centrifuge.ID) (*connect.Response[pb.SearchResponse], error) {
	answer := &pb.SearchResponse{Looked: 1}
	trace, err := s.search.Get(ctx, id)
	if errors.Is(err, director.ErrNotFound) {
		return connect.NewResponse(answer), nil
	}
	if err != nil {
		return nil, err
	}
	if !access.From(ctx).MayView(trace.Job.Source) {
		return connect.NewResponse(answer), nil
	}
	found := director.Found{
		ID: id, Queue: trace.Job.Queue(), Endpoint: trace.Job.Endpoint, CreatedAt: trace.Job.CreatedAt, ExpireAt: trace.Job.ExpireAt,
	}
	for i := range trace.Transitions {
		t := &trace.Transitions[i]
		found.State, found.Attempts, found.ChangedAt, found.RetryAt = t.State, t.Attempt, t.Time, t.RetryAt
		if t.StatusCode != 0 || t.ErrorCode != "" {
			found.StatusCode, found.ErrorCode = t.StatusCode, t.ErrorCode
		}
	}
	answer.Jobs = []*pb.FoundJob{newFound(ctx, &found)}
	return connect.NewResponse(answer), nil
}

func newFound(ctx context.Context, j *director.Found) *pb.FoundJob {
	at := func(t time.Time) *timestamppb.Timestamp {
		if t.IsZero() {
			return nil
		}
		return timestamppb.New(t)
	}
	return &pb.FoundJob{
		Id: j.ID.String(), Source: text(j.Queue.Source), Destination: text(j.Queue.Destination), Endpoint: shownEndpoint(ctx, text(j.Endpoint)),
		State: j.State.String(), Attempts: int32(j.Attempts), StatusCode: int32(j.StatusCode), ErrorCode: string(j.ErrorCode),
		CreatedAt: at(j.CreatedAt), ExpireAt: at(j.ExpireAt), ChangedAt: at(j.ChangedAt), RetryAt: at(j.RetryAt),
	}
}
