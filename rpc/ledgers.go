package rpc

import (
	"context"

	"connectrpc.com/connect"

	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
)

// ledgerService serves centrifuge.v1.LedgerService.
type ledgerService struct{ backend LedgerBackend }

func (s *ledgerService) Get(
	ctx context.Context, req *connect.Request[pb.LedgerServiceGetRequest],
) (*connect.Response[pb.LedgerServiceGetResponse], error) {
	var answer pb.LedgerServiceGetResponse
	if req.Msg.GetVerify() {
		booked, recounted, err := s.backend.Verify(ctx)
		if err != nil {
			return nil, err
		}
		answer.Total, answer.Recounted = newLedger(&booked), newLedger(&recounted)
		answer.Balanced = booked.Balanced() && booked == recounted
	} else {
		booked, err := s.backend.Ledger()
		if err != nil {
			return nil, err
		}
		answer.Total, answer.Balanced = newLedger(&booked), booked.Balanced()
	}
	if req.Msg.GetByQueue() {
		queues, err := s.backend.LedgerByQueue(selector(req.Msg.GetSelector()))
		if err != nil {
			return nil, err
		}
		answer.Queues = make([]*pb.QueueLedger, len(queues))
		for i := range queues {
			q := &queues[i]
			answer.Queues[i] = &pb.QueueLedger{
				Source:      text(q.Queue.Source),
				Destination: text(q.Queue.Destination),
				Ledger:      newLedger(&q.Ledger),
			}
		}
	}
	return connect.NewResponse(&answer), nil
}

func newLedger(l *director.Ledger) *pb.Ledger {
	return &pb.Ledger{
		Accepted:           l.Accepted,
		Succeeded:          l.Succeeded,
		Discarded:          l.Discarded,
		Archived:           l.Archived,
		Pending:            l.Pending(),
		AwaitingScheduling: l.AwaitingScheduling,
		Executing:          l.Executing,
		AwaitingRetry:      l.AwaitingRetry,
		Archiving:          l.Archiving,
		Moved:              l.Moved,
	}
}
