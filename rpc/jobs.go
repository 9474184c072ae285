package rpc

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
)

// jobService serves centrifuge.v1.JobService.
type jobService struct{ backend JobBackend }

func (s *jobService) Submit(
	ctx context.Context, req *connect.Request[pb.SubmitRequest],
) (*connect.Response[pb.SubmitResponse], error) {
	submission, err := newSubmission(req.Msg, time.Now())
	if err != nil {
		return nil, err
	}
	if err := maySubmit(access.From(ctx), submission.Jobs); err != nil {
		return nil, err
	}
	receipt, err := s.backend.Submit(ctx, submission)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.SubmitResponse{
		TransactionId: receipt.TransactionID,
		JobIds:        idStrings(receipt.JobIDs),
	}), nil
}

func (s *jobService) Get(
	ctx context.Context, req *connect.Request[pb.GetRequest],
) (*connect.Response[pb.GetResponse], error) {
	f := fields{index: -1}
	id := f.id("id", req.Msg.GetId())
	if id.IsZero() {
		f.fail("id", "required")
	}
	if f.err != nil {
		return nil, f.err
	}
	trace, err := s.backend.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if !access.From(ctx).MayView(trace.Job.Source) {
		return nil, director.ErrNotFound // as if it were not there
	}
	return connect.NewResponse(newGetResponse(&trace)), nil
}

// maySubmit refuses a Submit that has a job of another source than its sender's.
func maySubmit(p access.Principal, jobs []*centrifuge.Job) error {
	for i, job := range jobs {
		if !p.May(access.Submit, job.Source) {
			return connect.NewError(connect.CodePermissionDenied,
				fmt.Errorf("jobs[%d].source: %w", i, p.Denied(access.Submit, job.Source)))
		}
	}
	return nil
}
