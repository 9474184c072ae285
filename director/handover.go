package director

import (
	"context"
	"fmt"
	"maps"
	"time"

	"centrifuge/jobdb"
)

// remembered is for how long a Submit is recognised when it is repeated, whatever
// JobDB is the current one by then.
const remembered = 15 * time.Minute

// handOver makes the transactions that ended not long ago durable in the JobDB that is
// current now. Those that are prepared still are left to the drain: it names where they
// go before they do, so that whoever comes after one that was cut short can tell. If
// they were brought twice, they could be committed in one place and aborted in the other.
func (w *owned) handOver(ctx context.Context, db jobdb.DB) error {
	prepared, err := db.Prepared(ctx)
	if err != nil {
		return fmt.Errorf("list the prepared transactions: %w", err)
	}
	b := bringer{db: db, from: w.Name, pass: func(transactions []jobdb.Transaction) error {
		return w.d.adopt(ctx, w.Name, transactions)
	}}
	// What says that all are there waits for the prepared ones.
	if err := b.bringEnded(ctx, w.d.o.Now(), len(prepared) == 0); err != nil {
		return fmt.Errorf("hand the transactions over: %w", err)
	}
	w.d.leave(prepared)
	w.handedOver.Store(true)
	return nil
}

// leave notes which prepared transactions are in a JobDB that the Director lets go of.
func (d *Director) leave(prepared []jobdb.Prepared) {
	now := d.o.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.mu.left, func(_ string, until time.Time) bool { return until.Before(now) })
	for _, p := range prepared {
		d.mu.left[p.ID] = p.Deadline.Add(remembered)
	}
}

// onItsWay returns an error if the transaction was left to a drain and may not have
// come to where it goes.
func (d *Director) onItsWay(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if until, ok := d.mu.left[id]; ok && d.o.Now().Before(until) {
		return fmt.Errorf("%w: transaction %q is on its way to another JobDB", ErrUnavailable, id)
	}
	return nil
}

// bringer passes on the transactions that must be known where the jobs of a JobDB
// are next: those that are prepared still, those that ended not long ago, and at
// last that these are all.
type bringer struct {
	db   jobdb.DB
	from string                          // its name
	pass func([]jobdb.Transaction) error // makes them durable there

	batch []jobdb.Transaction
	size  int64
}

// bringPrepared returns what is to be logged here of those that it has passed on.
func (b *bringer) bringPrepared(ctx context.Context, now time.Time) (moved []jobdb.Transaction, err error) {
	prepared, err := b.db.Prepared(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the prepared transactions: %w", err)
	}
	for _, p := range prepared {
		tx, err := b.db.Transaction(ctx, p.ID)
		if err != nil {
			return nil, fmt.Errorf("look up transaction %q: %w", p.ID, err)
		}
		if tx.Drafts, err = b.db.Drafts(ctx, p.ID); err != nil {
			return nil, fmt.Errorf("read the drafts of transaction %q: %w", p.ID, err)
		}
		if err := b.add(tx); err != nil {
			return nil, err
		}
		moved = append(moved, movedTransaction(tx.ID, now))
	}
	return moved, b.flush()
}

// bringEnded passes on those that ended not long ago and, if that is so, that all have
// been passed on.
func (b *bringer) bringEnded(ctx context.Context, now time.Time, all bool) error {
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
	if err := b.flush(); err != nil || !all {
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
