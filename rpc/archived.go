package rpc

import (
	"context"
	"log/slog"

	"connectrpc.com/connect"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/archive"
	pb "centrifuge/gen/centrifuge/v1"
)

// archiveService serves centrifuge.v1.ArchiveService.
type archiveService struct {
	backend ArchiveBackend
	logger  *slog.Logger
}

func (s *archiveService) List(
	ctx context.Context, req *connect.Request[pb.ArchiveServiceListRequest],
) (*connect.Response[pb.ArchiveServiceListResponse], error) {
	f := fields{index: -1}
	filter := f.filter(req.Msg.GetFilter())
	f.mayMatch(ctx, "filter.endpoint", filter.Endpoint)
	limit := f.pageSize(req.Msg.GetPageSize(), 100)
	if f.err != nil {
		return nil, f.err
	}
	var err error
	if filter.Source, err = access.From(ctx).Narrow(filter.Source); err != nil {
		return nil, err
	}
	page, err := s.backend.ListArchive(ctx, filter, req.Msg.GetPageToken(), limit)
	if err != nil {
		return nil, err
	}
	for _, damage := range page.Damaged {
		s.logger.WarnContext(ctx, "a listing of the archive met damage", "error", damage)
	}
	jobs := make([]*pb.ArchivedJob, len(page.Entries))
	for i := range page.Entries {
		jobs[i] = newArchivedJob(&page.Entries[i])
		jobs[i].Endpoint = shownEndpoint(ctx, jobs[i].GetEndpoint())
	}
	return connect.NewResponse(&pb.ArchiveServiceListResponse{
		Jobs: jobs, NextPageToken: page.Next, Damaged: newDamagedObjects(page.Damaged),
	}), nil
}

func (s *archiveService) Replay(
	ctx context.Context, req *connect.Request[pb.ReplayRequest],
) (*connect.Response[pb.ReplayResponse], error) {
	f := fields{index: -1}
	filter := f.filter(req.Msg.GetFilter())
	if filter == (archive.Filter{}) {
		f.fail("filter", "chooses the whole archive; give at least one field of it")
	}
	limit := f.pageSize(req.Msg.GetPageSize(), 500)
	rate := f.number("rate", req.Msg.GetRate())
	if f.err != nil {
		return nil, f.err
	}
	page, err := s.backend.Replay(ctx, filter, req.Msg.GetPageToken(), limit, rate)
	if err != nil {
		return nil, err
	}
	for _, damage := range page.Damaged {
		s.logger.WarnContext(ctx, "a replay met damage", "error", damage)
	}
	return connect.NewResponse(&pb.ReplayResponse{
		Replayed:      int64(page.Replayed),
		Skipped:       int64(page.Skipped),
		NextPageToken: page.Next,
		LeftOut:       int64(page.LeftOut),
		Damaged:       newDamagedObjects(page.Damaged),
	}), nil
}

func newDamagedObjects(damaged []*archive.DamagedError) []*pb.DamagedObject {
	objects := make([]*pb.DamagedObject, len(damaged))
	for i, d := range damaged {
		objects[i] = &pb.DamagedObject{Name: d.Stored, Reason: d.Err.Error(), MadeUpFor: d.MadeUpFor}
	}
	return objects
}

// filter reads which archived jobs are meant; absent is all of them.
func (f *fields) filter(m *pb.ArchiveFilter) archive.Filter {
	filter := archive.Filter{
		From:        f.time("filter.since", m.GetSince()),
		To:          f.time("filter.until", m.GetUntil()),
		Source:      m.GetSource(),
		Destination: m.GetDestination(),
		Endpoint:    m.GetEndpoint(),
		StatusCode:  f.count("filter.status_code", m.GetStatusCode()),
		ErrorCode:   centrifuge.ErrorCode(m.GetErrorCode()),
		JobID:       f.id("filter.job_id", m.GetJobId()),
	}
	if !filter.To.IsZero() && !filter.From.Before(filter.To) {
		f.fail("filter.until", "is not after since, so nothing can match")
	}
	return filter
}

func newArchivedJob(e *archive.Entry) *pb.ArchivedJob {
	return &pb.ArchivedJob{
		Id:          e.JobID.String(),
		Source:      text(e.Source),
		Destination: text(e.Destination),
		Endpoint:    text(e.Endpoint),
		CreatedAt:   timestamp(e.CreatedAt),
		ArchivedAt:  timestamp(e.ArchivedAt),
		Attempts:    e.Attempts,
		Reason:      string(e.Reason),
		StatusCode:  int32(e.StatusCode),
		ErrorCode:   string(e.ErrorCode),
		ReplayedAs:  idText(e.ReplayedAs),
	}
}
