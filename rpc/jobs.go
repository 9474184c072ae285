package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/jobdb"
)

// jobService serves centrifuge.v1.JobService.
type jobService struct {
	backend JobBackend
	submits atomic.Int32 // under way
}

// load is how many Submits are under way.
func (s *jobService) load() uint32 { return uint32(max(0, s.submits.Load())) }

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
	s.submits.Add(1)
	defer s.submits.Add(-1)
	receipt, err := s.backend.Submit(ctx, submission)
	if err != nil {
		return nil, err
	}
	response := &pb.SubmitResponse{
		TransactionId: receipt.TransactionID,
		JobIds:        idStrings(receipt.JobIDs),
		State:         newTransactionState(receipt.State),
		Jobdb:         receipt.JobDB,
		Load:          s.load(),
	}
	if receipt.State == jobdb.TransactionPrepared {
		response.Deadline = timestamppb.New(receipt.Deadline)
	}
	return connect.NewResponse(response), nil
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
	caller := access.From(ctx)
	trace, err := s.backend.Get(ctx, id)
	if errors.Is(err, director.ErrNotFound) && caller.Sources != nil {
		err = director.ErrNotFound // why would tell it from what is there, and not for this caller
	}
	if err != nil {
		return nil, err
	}
	if !caller.MayView(trace.Job.Source) {
		return nil, director.ErrNotFound // as if it were not there
	}
	trace.Job.Endpoint, trace.Job.Headers = shownEndpoint(ctx, trace.Job.Endpoint), shownHeaders(ctx, trace.Job.Headers)
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
