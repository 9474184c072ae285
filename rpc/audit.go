package rpc

import (
	"context"
	"errors"
	"log/slog"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/access"
	"centrifuge/access/audit"
	pb "centrifuge/gen/centrifuge/v1"
)

// auditService serves centrifuge.v1.AuditService.
type auditService struct {
	log    *audit.Log // nil: none is kept
	logger *slog.Logger
}

func (s *auditService) List(
	ctx context.Context, req *connect.Request[pb.AuditServiceListRequest],
) (*connect.Response[pb.AuditServiceListResponse], error) {
	if s.log == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("this server keeps no audit log"))
	}
	f := fields{index: -1}
	limit := f.pageSize(req.Msg.GetPageSize(), 100)
	filter := audit.Filter{
		Who:         req.Msg.GetWho(),
		Action:      req.Msg.GetAction(),
		Destination: req.Msg.GetDestination(),
		Since:       f.time("since", req.Msg.GetSince()),
	}
	if f.err != nil {
		return nil, f.err
	}
	var err error
	if filter.Source, err = access.From(ctx).Narrow(req.Msg.GetSource()); err != nil {
		return nil, err
	}
	page, err := s.log.List(filter, req.Msg.GetPageToken(), limit)
	if err != nil {
		return nil, err
	}
	for _, problem := range page.Problems {
		s.logger.WarnContext(ctx, "a listing of the audit log is incomplete", "err", problem)
	}
	entries := make([]*pb.AuditEntry, len(page.Entries))
	for i := range page.Entries {
		entries[i] = newAuditEntry(&page.Entries[i])
	}
	return connect.NewResponse(&pb.AuditServiceListResponse{Entries: entries, NextPageToken: page.Next}), nil
}

func newAuditEntry(e *audit.Entry) *pb.AuditEntry {
	return &pb.AuditEntry{
		Id:          e.ID,
		Time:        timestamp(e.Time),
		Who:         text(e.Who),
		Role:        text(e.Role),
		Address:     text(e.Address),
		Action:      text(e.Action),
		Source:      text(e.Source),
		Destination: text(e.Destination),
		Detail:      text(e.Detail),
		Outcome:     text(e.Outcome),
		Jobs:        e.Jobs,
		Took:        durationpb.New(e.Took),
	}
}
