package director

import (
	"context"
	"errors"
	"fmt"
	"time"

	"centrifuge/jobdb"
)

// How long a prepared transaction may stay so.
const (
	DefaultPrepareTTL = time.Minute
	MaxPrepareTTL     = 15 * time.Minute
)

// TransactionError says that a transaction is not in a state in which a call can
// do what it is asked for. Nothing was stored.
type TransactionError struct {
	ID    string
	Found bool                   // the Director knows it
	State jobdb.TransactionState // if it does
}

func (e *TransactionError) Error() string {
	switch {
	case !e.Found:
		return fmt.Sprintf("transaction %q is unknown", e.ID)
	case e.State == jobdb.TransactionAborted:
		return fmt.Sprintf("transaction %q was aborted", e.ID)
	case e.State == jobdb.TransactionCommitted:
		return fmt.Sprintf("transaction %q was committed", e.ID)
	default:
		return fmt.Sprintf("transaction %q is prepared; commit or abort it", e.ID)
	}
}

// ErrForeignJobDB means that the Director's JobDB is another than a Submission names.
// Nothing was stored.
var ErrForeignJobDB = errors.New("the director has another JobDB than the one named")

// Commit accepts the jobs of a prepared transaction and returns it as committed; it
// is durable then. One that was committed before stays so. Of all calls to Commit
// and Abort and the passing of the deadline exactly one decides.
//
// It returns a [TransactionError] if the transaction was aborted or is unknown, an
// [ExistsError] if another job has come by the id of one of its jobs, an
// [ExhaustedError] if nothing was done and may be repeated, and [ErrUnavailable] if
// it may be repeated and the outcome may be unknown.
func (d *Director) Commit(ctx context.Context, id string) (jobdb.Transaction, error) {
	return d.endTransaction(ctx, id, jobdb.TransactionCommitted)
}

// Abort gives a prepared transaction up and returns it as aborted; it is durable
// then. One that was aborted before stays so. Its errors are those of Commit.
func (d *Director) Abort(ctx context.Context, id string) (jobdb.Transaction, error) {
	return d.endTransaction(ctx, id, jobdb.TransactionAborted)
}

func (d *Director) endTransaction(ctx context.Context, id string, to jobdb.TransactionState) (jobdb.Transaction, error) {
	t, leave, err := d.enter()
	if err != nil {
		return jobdb.Transaction{}, err
	}
	defer leave()
	tx, ended, err := t.endTransaction(ctx, id, to)
	if ended {
		d.metrics.transactionEnded(to)
	}
	return tx, err
}

// Transactions returns those of the transactions that the Director knows, in the
// order of their ids. What was submitted before the last 15 minutes may be
// forgotten.
func (d *Director) Transactions(ctx context.Context, ids []string) ([]jobdb.Transaction, error) {
	t, leave, err := d.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	var known []jobdb.Transaction
	for _, id := range ids {
		tx, err := t.transaction(ctx, id)
		switch {
		case err == nil:
			known = append(known, tx)
		case !errors.Is(err, jobdb.ErrNotFound):
			return nil, fmt.Errorf("look up transaction %q: %w", id, err)
		}
	}
	return known, nil
}

// again answers a Submit whose transaction is known.
func (t *tenure) again(s *Submission, known *jobdb.Transaction) (Receipt, error) {
	if known.State == jobdb.TransactionCommitted || known.State == jobdb.TransactionPrepared && s.Prepare {
		return t.receipt(known, true), nil
	}
	return Receipt{}, &TransactionError{ID: known.ID, Found: true, State: known.State}
}

func (t *tenure) receipt(tx *jobdb.Transaction, repeated bool) Receipt {
	return Receipt{
		TransactionID: tx.ID, JobIDs: tx.JobIDs, State: tx.State, Deadline: tx.Deadline, JobDB: t.name, Repeated: repeated,
	}
}

// draft makes the transaction a prepared one that holds the jobs.
func draft(tx *jobdb.Transaction, s *Submission) error {
	ttl := s.PrepareTTL
	if ttl == 0 {
		ttl = DefaultPrepareTTL
	}
	if ttl < time.Millisecond || ttl > MaxPrepareTTL {
		return &InvalidError{-1, "prepare_ttl", fmt.Sprintf("is %s; want 1ms to %s", ttl, MaxPrepareTTL)}
	}
	drafts, err := encodeDrafts(s.Jobs)
	if err != nil {
		return fmt.Errorf("encode %d jobs: %w", len(s.Jobs), err)
	}
	tx.State, tx.Deadline, tx.Drafts = jobdb.TransactionPrepared, tx.CreatedAt.Add(ttl), drafts
	return nil
}

// endTransaction ends a transaction that is prepared, unless it has ended like that
// before. It has the transaction to itself meanwhile. ended tells that it was this
// call.
func (t *tenure) endTransaction(ctx context.Context, id string, to jobdb.TransactionState) (tx jobdb.Transaction, ended bool, err error) {
	if err := checkTransactionID(id); err != nil {
		return tx, false, err
	}
	free, err := t.intake.register(ctx, id)
	if err != nil {
		return tx, false, err
	}
	defer free()
	known, err := t.mine(ctx, id)
	switch {
	case errors.Is(err, jobdb.ErrNotFound):
		return tx, false, &TransactionError{ID: id}
	case err != nil:
		return tx, false, fmt.Errorf("look up transaction %q: %w", id, err)
	case known.State == to:
		return known, false, nil
	case known.State != jobdb.TransactionPrepared:
		return tx, false, &TransactionError{ID: id, Found: true, State: known.State}
	}
	now := t.o.Now().UTC().Truncate(time.Millisecond)
	tx = jobdb.Transaction{ID: id, State: to, JobIDs: known.JobIDs, CreatedAt: now}
	if to == jobdb.TransactionCommitted {
		err = t.commitDrafts(ctx, tx)
	} else {
		err = t.storeTransaction(&intake{tx: tx})
	}
	return tx, err == nil, err
}

// mine looks for a transaction that may be ended here. One that is prepared in a
// JobDB which is on its way out is not, until a drain has brought it here.
func (t *tenure) mine(ctx context.Context, id string) (jobdb.Transaction, error) {
	for _, w := range t.others(t) {
		known, err := w.transaction(ctx, id)
		switch {
		case errors.Is(err, jobdb.ErrNotFound):
		case err == nil && known.State == jobdb.TransactionPrepared:
			return known, fmt.Errorf("%w: it is on its way from %s to another JobDB", ErrUnavailable, w.Name)
		default:
			return known, err
		}
	}
	return t.here(ctx, id)
}

// here looks a transaction up in the JobDB, where one that the Director left to a drain
// may still come to.
func (t *tenure) here(ctx context.Context, id string) (jobdb.Transaction, error) {
	known, err := t.db.Transaction(ctx, id)
	if errors.Is(err, jobdb.ErrNotFound) {
		if left := t.onItsWay(id); left != nil {
			return known, left
		}
	}
	return known, err
}

// commitDrafts accepts the jobs that a transaction holds.
func (t *tenure) commitDrafts(ctx context.Context, tx jobdb.Transaction) error {
	size := t.prepared.size(tx.ID)
	if err := t.admit(size); err != nil {
		return err
	}
	defer t.intake.bytes.Add(-size)
	drafts, err := t.db.Drafts(ctx, tx.ID)
	if err != nil {
		return err
	}
	jobs, err := decodeDrafts(drafts)
	if err != nil {
		return fmt.Errorf("decode the jobs of transaction %q: %w", tx.ID, err)
	}
	var given givenIDs // by now another job may have come by one of them
	for i, job := range jobs {
		given.ids, given.indexes = append(given.ids, job.ID), append(given.indexes, i)
	}
	if err := t.reserve(ctx, given); err != nil {
		return err
	}
	defer t.intake.release(given.ids)
	return t.storeTransaction(&intake{jobs: jobs, tx: tx})
}

// storeTransaction waits until the intake is durable, for as long as it takes: what
// keeps its transaction and ids from being brought twice must last until then.
func (t *tenure) storeTransaction(in *intake) error {
	in.done = make(chan error, 1)
	if err := t.log.submit(in); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return <-in.done
}

// register waits until no other call is busy with the transaction, and has it
// registered as under way until free is called.
func (s *intakes) register(ctx context.Context, id string) (free func(), err error) {
	for {
		other, free := s.begin(id)
		if other == nil {
			return free, nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
