package rpc

import (
	"context"
	"errors"
	"slices"

	"connectrpc.com/connect"

	"centrifuge/access"
	"centrifuge/director"
	"centrifuge/fanout"
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
	var missing []fanout.Missing
	switch {
	case p.Sources != nil:
		// Of one source there is no total but the sum of its queues.
		if req.Msg.GetVerify() {
			return nil, connect.NewError(connect.CodePermissionDenied, errors.New("a recount counts the jobs of all sources"))
		}
		queues, without, err := s.backend.LedgerByQueue(ctx, schedule.Selector{Source: sel.Source})
		if err != nil {
			return nil, err
		}
		var total director.Ledger
		for i := range queues {
			total.Add(&queues[i].Ledger)
		}
		answer.Total, answer.Balanced, missing = newLedger(&total), total.Balanced(), without
	case req.Msg.GetVerify():
		booked, recounted, err := s.backend.Verify(ctx)
		if err != nil {
			return nil, err
		}
		answer.Total, answer.Recounted = newLedger(&booked), newLedger(&recounted)
		answer.Balanced = booked.Balanced() && booked == recounted
	default:
		booked, without, err := s.backend.Ledger(ctx)
		if err != nil {
			return nil, err
		}
		answer.Total, answer.Balanced, missing = newLedger(&booked), booked.Balanced(), without
	}
	if req.Msg.GetByQueue() {
		queues, without, err := s.backend.LedgerByQueue(ctx, sel)
		if err != nil {
			return nil, err
		}
		answer.Queues = newQueueLedgers(queues)
		for _, m := range without {
			if !slices.Contains(missing, m) {
				missing = append(missing, m)
			}
		}
	}
	answer.Missing, answer.Balanced = newMissing(missing), answer.GetBalanced() && len(missing) == 0
	return connect.NewResponse(&answer), nil
}

func newQueueLedgers(queues []director.QueueLedger) []*pb.QueueLedger {
	ledgers := make([]*pb.QueueLedger, len(queues))
	for i := range queues {
		q := &queues[i]
		ledgers[i] = &pb.QueueLedger{
			Source:      text(q.Queue.Source),
			Destination: text(q.Queue.Destination),
			Ledger:      newLedger(&q.Ledger),
		}
	}
	return ledgers
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
