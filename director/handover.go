package director

import (
	"context"
	"fmt"
	"time"

	"centrifuge/jobdb"
)

// remembered is for how long a Submit is recognised when it is repeated, whatever
// JobDB is the current one by then.
const remembered = 15 * time.Minute

// handOver makes the recent transactions durable in the JobDB that is current now.
func (w *owned) handOver(ctx context.Context, db jobdb.DB) error {
	b := bringer{db: db, from: w.Name, pass: func(transactions []jobdb.Transaction) error {
		return w.d.adopt(ctx, w.Name, transactions)
	}}
	if err := b.bring(ctx, w.d.o.Now()); err != nil {
		return fmt.Errorf("hand the transactions over: %w", err)
	}
	if err := db.Commit(ctx, &jobdb.Batch{Transactions: b.moved}); err != nil {
		return fmt.Errorf("log that prepared transactions were handed over: %w", err)
	}
	w.handedOver.Store(true)
	return nil
}

// bringer passes on the transactions that must be known where the jobs of a JobDB
// are next: those that are prepared still, those that ended not long ago, and at
// last that these are all.
type bringer struct {
	db    jobdb.DB
	from  string                          // its name
	pass  func([]jobdb.Transaction) error // makes them durable there
	moved []jobdb.Transaction             // to be logged here: the ends of the prepared ones

	batch []jobdb.Transaction
	size  int64
}

func (b *bringer) bring(ctx context.Context, now time.Time) error {
	prepared, err := b.db.Prepared(ctx)
	if err != nil {
		return fmt.Errorf("list the prepared transactions: %w", err)
	}
	for _, p := range prepared {
		tx, err := b.db.Transaction(ctx, p.ID)
		if err != nil {
			return fmt.Errorf("look up transaction %q: %w", p.ID, err)
		}
		if tx.Drafts, err = b.db.Drafts(ctx, p.ID); err != nil {
			return fmt.Errorf("read the drafts of transaction %q: %w", p.ID, err)
		}
		if err := b.add(tx); err != nil {
			return err
		}
		b.moved = append(b.moved, movedTransaction(tx.ID, now))
	}
	settled := []jobdb.Transaction{settledTransaction(b.from, now)}
	for tx, err := range b.db.Ended(ctx, now.Add(-remembered)) {
		if err != nil {
			return fmt.Errorf("read the recent transactions: %w", err)
		}
		if isSettled(tx.ID) {
			settled = append(settled, tx)
			continue
		}
		if err := b.add(tx); err != nil {
			return err
		}
	}
	if err := b.flush(); err != nil {
		return err
	}
	for _, tx := range settled {
		if err := b.add(tx); err != nil {
			return err
		}
	}
	return b.flush()
}

// movedTransaction is the end of a prepared transaction that goes on elsewhere.
func movedTransaction(id string, now time.Time) jobdb.Transaction {
	return jobdb.Transaction{ID: id, State: jobdb.TransactionMoved, CreatedAt: now.UTC().Truncate(time.Millisecond)}
}

func (b *bringer) add(tx jobdb.Transaction) error {
	b.batch = append(b.batch, tx)
	b.size += transactionSize(&tx)
	if len(b.batch) < transferCount && b.size < transferBytes {
		return nil
	}
	return b.flush()
}

func (b *bringer) flush() error {
	if len(b.batch) == 0 {
		return nil
	}
	err := b.pass(b.batch)
	b.batch, b.size = nil, 0
	return err
}
