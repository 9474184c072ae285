package rpc

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
	"centrifuge/manager"
)

// Peer is a Director of another process. It is safe for concurrent use.
type Peer struct {
	client centrifugev1connect.DirectorServiceClient
}

var _ director.Target = (*Peer)(nil)

// NewPeer returns the Director that the client reaches.
func NewPeer(client centrifugev1connect.DirectorServiceClient) *Peer { return &Peer{client} }

// Status asks the Director what it holds. The address is for the caller to fill in.
func (p *Peer) Status(ctx context.Context) (manager.Director, error) {
	resp, err := p.client.Status(ctx, connect.NewRequest(&pb.DirectorServiceStatusRequest{}))
	if err != nil {
		return manager.Director{}, fmt.Errorf("ask for its status: %w", err)
	}
	d := manager.Director{
		Name: resp.Msg.GetName(), JobDB: resp.Msg.GetJobdb(),
		Ledgers: make(map[string]manager.Ledger, len(resp.Msg.GetLedgers())),
	}
	for _, l := range resp.Msg.GetLedgers() {
		d.Ledgers[l.GetJobdb()] = manager.Ledger(readLedger(l.GetLedger()))
	}
	return d, nil
}

// Cycle is as [director.Director.Cycle].
func (p *Peer) Cycle(ctx context.Context) (before, now string, err error) {
	resp, err := p.client.Cycle(ctx, connect.NewRequest(&pb.DirectorServiceCycleRequest{}))
	if err != nil {
		return "", "", fmt.Errorf("cycle: %w", err)
	}
	return resp.Msg.GetBefore(), resp.Msg.GetNow(), nil
}

// Accept is as [director.Director.Accept]. Any error but [director.ErrWrongJobDB]
// and [director.InvalidError] leaves open whether the transfer is durable.
func (p *Peer) Accept(ctx context.Context, tr director.Transfer) error {
	_, err := p.client.Accept(ctx, connect.NewRequest(newTransfer(&tr)))
	switch {
	case err == nil:
		return nil
	case answered(err, connect.CodeFailedPrecondition):
		return fmt.Errorf("%w: %w", director.ErrWrongJobDB, err)
	case answered(err, connect.CodeInvalidArgument):
		return fmt.Errorf("%w: %w", &director.InvalidError{Index: -1, Field: "transfer", Reason: "was refused"}, err)
	default:
		return fmt.Errorf("bring a transfer: %w", err)
	}
}

// answered reports whether the Director itself answered so.
func answered(err error, code connect.Code) bool {
	answer, told := errors.AsType[*connect.Error](err)
	return told && connect.IsWireError(err) && answer.Code() == code
}

// ReadBooks reads the books of a fleet, as FleetService tells them.
func ReadBooks(m *pb.FleetServiceLedgerResponse) manager.Books {
	return manager.Books{Total: manager.Ledger(readLedger(m.GetTotal())), Uncounted: m.GetUncounted()}
}

func readLedger(l *pb.Ledger) director.Ledger {
	return director.Ledger{
		Accepted:           l.GetAccepted(),
		Succeeded:          l.GetSucceeded(),
		Discarded:          l.GetDiscarded(),
		Archived:           l.GetArchived(),
		Moved:              l.GetMoved(),
		AwaitingScheduling: l.GetAwaitingScheduling(),
		Executing:          l.GetExecuting(),
		AwaitingRetry:      l.GetAwaitingRetry(),
		Archiving:          l.GetArchiving(),
	}
}
