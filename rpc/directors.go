package rpc

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
)

// directorService serves centrifuge.v1.DirectorService.
type directorService struct {
	name    string
	backend DirectorBackend
	own     OwnBackend // nil: what Directors ask of each other is not answered
}

func (s *directorService) Status(
	context.Context, *connect.Request[pb.DirectorServiceStatusRequest],
) (*connect.Response[pb.DirectorServiceStatusResponse], error) {
	answer := &pb.DirectorServiceStatusResponse{Name: s.name, Jobdb: s.backend.Status().JobDB}
	ledgers, err := s.backend.Ledgers()
	if err != nil && !errors.Is(err, director.ErrUnavailable) { // that it has none is an answer
		return nil, err
	}
	for i := range ledgers {
		answer.Ledgers = append(answer.Ledgers, &pb.JobDBLedger{Jobdb: ledgers[i].Name, Ledger: newLedger(&ledgers[i].Ledger)})
	}
	return connect.NewResponse(answer), nil
}

func (s *directorService) Cycle(
	ctx context.Context, _ *connect.Request[pb.DirectorServiceCycleRequest],
) (*connect.Response[pb.DirectorServiceCycleResponse], error) {
	before, now, err := s.backend.Cycle(ctx)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.DirectorServiceCycleResponse{Before: before, Now: now}), nil
}

func (s *directorService) Accept(
	ctx context.Context, req *connect.Request[pb.AcceptRequest],
) (*connect.Response[pb.AcceptResponse], error) {
	transfer, err := readTransfer(req.Msg)
	if err != nil {
		return nil, err
	}
	if err := s.backend.Accept(ctx, transfer); err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.AcceptResponse{}), nil
}
