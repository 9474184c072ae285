package rpc

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"centrifuge/access"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/schedule"
)

// ledgerService serves centrifuge.v1.LedgerService.
type ledgerService struct{ backend LedgerBackend }

func (s *ledgerService) Get(
	ctx context.Context, req *connect.Request[pb.LedgerServiceGetRequest],
) (*connect.Response[pb.LedgerServiceGetResponse], error) {
	p := access.From(ctx)
	sel := selector(req.Msg.GetSelector())
	var err error
	if sel.Source, err = p.Narrow(sel.Source); err != nil {
		return nil, err
	}
	var answer pb.LedgerServiceGetResponse
	switch {
	case p.Sources != nil:
		// Of one source there is no total but the sum of its queues.
		if req.Msg.GetVerify() {
			return nil, connect.NewError(connect.CodePermissionDenied, errors.New("a recount counts the jobs of all sources"))
		}
		queues, err := s.backend.LedgerByQueue(schedule.Selector{Source: sel.Source})
		if err != nil {
			return nil, err
		}
		total := sum(queues)
		answer.Total, answer.Balanced = newLedger(&total), total.Balanced()
	case req.Msg.GetVerify():
		booked, recounted, err := s.backend.Verify(ctx)
		if err != nil {
			return nil, err
		}
		answer.Total, answer.Recounted = newLedger(&booked), newLedger(&recounted)
		answer.Balanced = booked.Balanced() && booked == recounted
	default:
		booked, err := s.backend.Ledger()
		if err != nil {
			return nil, err
		}
		answer.Total, answer.Balanced = newLedger(&booked), booked.Balanced()
	}
	if req.Msg.GetByQueue() {
		queues, err := s.backend.LedgerByQueue(sel)
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

func sum(queues []director.QueueLedger) (total director.Ledger) {
	for i := range queues {
		l := &queues[i].Ledger
		total.Accepted += l.Accepted
		total.Succeeded += l.Succeeded
		total.Discarded += l.Discarded
		total.Archived += l.Archived
		total.Moved += l.Moved
		total.AwaitingScheduling += l.AwaitingScheduling
		total.Executing += l.Executing
		total.AwaitingRetry += l.AwaitingRetry
		total.Archiving += l.Archiving
	}
	return total
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
