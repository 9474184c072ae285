package rpc

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/jobdb"
)

const (
	maxTransactions = 100 // a call
	endsAtOnce      = 16  // of a call; more would only wait for the same commit
)

func (s *jobService) Commit(
	ctx context.Context, req *connect.Request[pb.CommitRequest],
) (*connect.Response[pb.CommitResponse], error) {
	ended, err := endAll(ctx, req.Msg.GetTransactionIds(), s.backend.Commit)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.CommitResponse{Transactions: ended}), nil
}

func (s *jobService) Abort(
	ctx context.Context, req *connect.Request[pb.AbortRequest],
) (*connect.Response[pb.AbortResponse], error) {
	ended, err := endAll(ctx, req.Msg.GetTransactionIds(), s.backend.Abort)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.AbortResponse{Transactions: ended}), nil
}

// endAll ends each of the transactions, some of them at a time. The error is that
// of the first in the list that has one.
func endAll(
	ctx context.Context, ids []string, end func(context.Context, string) (jobdb.Transaction, error),
) ([]*pb.Transaction, error) {
	if len(ids) == 0 {
		return nil, &director.InvalidError{Index: -1, Field: "transaction_ids", Reason: "is empty"}
	}
	if err := checkIDs("transaction_ids", ids); err != nil {
		return nil, err
	}
	ended := make([]*pb.Transaction, len(ids))
	errs := make([]error, len(ids))
	var ends sync.WaitGroup
	turns := make(chan struct{}, endsAtOnce)
	for i, id := range ids {
		turns <- struct{}{}
		ends.Go(func() {
			defer func() { <-turns }()
			var tx jobdb.Transaction
			if tx, errs[i] = end(ctx, id); errs[i] == nil {
				ended[i] = newTransaction(&tx)
			}
		})
	}
	ends.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return ended, nil
}

func (s *jobService) Transactions(
	ctx context.Context, req *connect.Request[pb.TransactionsRequest],
) (*connect.Response[pb.TransactionsResponse], error) {
	ids := req.Msg.GetIds()
	if err := checkIDs("ids", ids); err != nil {
		return nil, err
	}
	jobDB := s.backend.Status().JobDB // before looking: what is found may be in a later one
	settled := ""
	asked := ids
	if of := req.Msg.GetJobdb(); of != "" {
		settled = director.SettledID(of)
		asked = slices.Concat([]string{settled}, ids) // it first: what is unknown then, stays so
	}
	known, err := s.backend.Transactions(ctx, asked)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*pb.Transaction, len(known))
	for i := range known {
		byID[known[i].ID] = newTransaction(&known[i])
	}
	response := &pb.TransactionsResponse{Jobdb: jobDB, Load: s.load(), Settled: byID[settled] != nil}
	for _, id := range ids {
		tx := byID[id]
		if tx == nil {
			tx = &pb.Transaction{Id: id, State: pb.TransactionState_TRANSACTION_STATE_UNKNOWN}
		}
		response.Transactions = append(response.Transactions, tx)
	}
	return connect.NewResponse(response), nil
}

func checkIDs(field string, ids []string) error {
	if len(ids) > maxTransactions {
		return &director.InvalidError{Index: -1, Field: field, Reason: fmt.Sprintf("holds %d ids; at most %d are accepted", len(ids), maxTransactions)}
	}
	for i, id := range ids {
		if id == "" || len(id) > director.MaxTransactionID {
			return &director.InvalidError{
				Index: -1, Field: fmt.Sprintf("%s[%d]", field, i),
				Reason: fmt.Sprintf("has %d bytes; want 1 to %d", len(id), director.MaxTransactionID),
			}
		}
	}
	return nil
}

func newTransaction(tx *jobdb.Transaction) *pb.Transaction {
	m := &pb.Transaction{
		Id: tx.ID, State: newTransactionState(tx.State), JobIds: idStrings(tx.JobIDs), Time: timestamppb.New(tx.CreatedAt),
	}
	if tx.State == jobdb.TransactionPrepared {
		m.Deadline = timestamppb.New(tx.Deadline)
	}
	return m
}

func newTransactionState(s jobdb.TransactionState) pb.TransactionState {
	switch s {
	case jobdb.TransactionCommitted:
		return pb.TransactionState_TRANSACTION_STATE_COMMITTED
	case jobdb.TransactionPrepared:
		return pb.TransactionState_TRANSACTION_STATE_PREPARED
	case jobdb.TransactionAborted:
		return pb.TransactionState_TRANSACTION_STATE_ABORTED
	case jobdb.TransactionMoved:
	}
	return pb.TransactionState_TRANSACTION_STATE_UNKNOWN // here, at least
}

// transactionError is the answer to a call that a transaction is in the wrong
// state for.
func transactionError(e *director.TransactionError) *connect.Error {
	if !e.Found {
		return newAnswer(connect.CodeNotFound, e)
	}
	return newAnswer(connect.CodeFailedPrecondition, e)
}

// notStored is the reason by which a client can tell that nothing was stored.
const notStored = "NOT_STORED"

// foreignJobDB is the reason of a Submit that names a JobDB whose transactions the
// Director does not know.
const foreignJobDB = "FOREIGN_JOBDB"
