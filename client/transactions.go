package client

import (
	"context"
	"fmt"
	"sync"

	"connectrpc.com/connect"

	pb "centrifuge/gen/centrifuge/v1"
)

// Commit commits prepared transactions, wherever in the fleet they are, and repeats
// what fails. It may be called again for those that are committed.
//
// An [*AbortedError] names one that was aborted, an [*UnknownError] one that no
// Director knew, or could be asked about, before ctx ended or RetryFor was over; the
// others of the list may have been committed.
func (f *Fleet) Commit(ctx context.Context, ids ...string) error {
	return f.end(ctx, ids, pb.TransactionState_TRANSACTION_STATE_COMMITTED, func(m *member, ids []string) error {
		_, err := m.client.Jobs.Commit(ctx, connect.NewRequest(&pb.CommitRequest{TransactionIds: ids}))
		return err
	})
}

// Abort gives prepared transactions up. Its errors are as those of Commit; one that
// was committed is a [connect.Error] with the code failed_precondition.
func (f *Fleet) Abort(ctx context.Context, ids ...string) error {
	return f.end(ctx, ids, pb.TransactionState_TRANSACTION_STATE_ABORTED, func(m *member, ids []string) error {
		_, err := m.client.Jobs.Abort(ctx, connect.NewRequest(&pb.AbortRequest{TransactionIds: ids}))
		return err
	})
}

// end ends each of the transactions where it is prepared.
func (f *Fleet) end(ctx context.Context, ids []string, to pb.TransactionState, call func(*member, []string) error) error {
	for _, id := range ids {
		t := f.try()
		for at := f.home(id); ; {
			cause := errNobodyKnows
			if at != nil {
				if cause = call(at, []string{id}); cause == nil {
					break
				}
				if outcomeOf(cause) == refused && connect.CodeOf(cause) == connect.CodeAlreadyExists {
					return fmt.Errorf("end transaction %s: %w", id, cause)
				}
			}
			known, _ := f.ask(ctx, []string{id}, "") // also who refused it, as another may have ended it
			found := known[id]
			state := found.tx.GetState()
			if state == to {
				break
			}
			switch state {
			case pb.TransactionState_TRANSACTION_STATE_ABORTED:
				return &AbortedError{id}
			case pb.TransactionState_TRANSACTION_STATE_COMMITTED:
				return connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("transaction %s was committed", id))
			case pb.TransactionState_TRANSACTION_STATE_PREPARED:
				if at == nil { // where it is has just been found
					at = found.at
					continue
				}
				at = found.at
			default:
				at = nil // until somebody knows it
			}
			if err := t.wait(ctx, retryAfter(cause), cause); err != nil {
				return &UnknownError{id, err}
			}
		}
		f.forget(id)
	}
	return nil
}

// Transactions asks all Directors for transactions, 100 at most, and tells how far
// each has come, in the order of the ids. Those that nobody knew are
// TRANSACTION_STATE_UNKNOWN: one that is, or cannot be reached, may know them later.
func (f *Fleet) Transactions(ctx context.Context, ids ...string) []*pb.Transaction {
	known, _ := f.ask(ctx, ids, "")
	transactions := make([]*pb.Transaction, len(ids))
	for i, id := range ids {
		if transactions[i] = known[id].tx; transactions[i] == nil {
			transactions[i] = &pb.Transaction{Id: id, State: pb.TransactionState_TRANSACTION_STATE_UNKNOWN}
		}
	}
	return transactions
}

// found is a transaction and who knows it.
type found struct {
	tx *pb.Transaction
	at *member
}

// ask asks all Directors at once for transactions, and whether one of them has all
// of a JobDB's, if that is named. What has ended somewhere has ended, whoever else
// has it prepared still.
func (f *Fleet) ask(ctx context.Context, ids []string, jobDB string) (known map[string]found, settled bool) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	members, _ := f.all(ctx) // who is not known is not asked
	known = make(map[string]found)
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, m := range members {
		asking.Go(func() {
			resp, err := m.client.Jobs.Transactions(ctx, connect.NewRequest(&pb.TransactionsRequest{Ids: ids, Jobdb: jobDB}))
			if err != nil {
				return // as if it knew none
			}
			mu.Lock()
			defer mu.Unlock()
			settled = settled || resp.Msg.GetSettled()
			for _, tx := range resp.Msg.GetTransactions() {
				switch tx.GetState() {
				case pb.TransactionState_TRANSACTION_STATE_COMMITTED, pb.TransactionState_TRANSACTION_STATE_ABORTED:
					known[tx.GetId()] = found{tx, m}
				case pb.TransactionState_TRANSACTION_STATE_PREPARED:
					if _, ok := known[tx.GetId()]; !ok {
						known[tx.GetId()] = found{tx, m}
					}
				default:
				}
			}
		})
	}
	asking.Wait()
	return known, settled
}
