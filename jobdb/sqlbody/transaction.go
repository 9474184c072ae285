package sqlbody

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"
	"time"

	"centrifuge/jobdb"
)

// A prepared transaction is a row of table preparations, and its drafts lie in
// payloads, in pieces with ids that follow each other, since a server may take no
// more in one value. Its end is a row of table transactions with its id, like any
// other, so that the primary key alone keeps it from ending twice.

// draftsPiece is how many bytes of drafts are one payload. It is part of the schema.
const draftsPiece = 1 << 20

func pieces(size int64) int64 { return (size + draftsPiece - 1) / draftsPiece }

// insertPreparations inserts the prepared ones of the transactions. Their payloads
// get the ids after last; it returns the last of them.
func (w *writer) insertPreparations(ctx context.Context, transactions []jobdb.Transaction, last int64) (int64, error) {
	payload := last
	for i := range transactions {
		if t := &transactions[i]; t.State == jobdb.TransactionPrepared {
			for piece := range slices.Chunk(t.Drafts, draftsPiece) {
				last++
				w.args = append(w.args, last, piece)
			}
		}
	}
	if err := w.flush(ctx, &w.payloads); err != nil {
		return last, err
	}
	for i := range transactions {
		if t := &transactions[i]; t.State == jobdb.TransactionPrepared {
			start := len(w.arena)
			w.arena = appendIDs(w.arena, t.JobIDs)
			size := int64(len(t.Drafts))
			w.args = append(w.args, t.ID, t.CreatedAt.UnixMilli(), t.Deadline.UnixMilli(), blob(w.arena[start:]), size, payload+1)
			payload += pieces(size)
		}
	}
	return last, w.flush(ctx, &w.preparations)
}

func (w *writer) insertTransactions(ctx context.Context, transactions []jobdb.Transaction) error {
	for i := range transactions {
		if t := &transactions[i]; t.State != jobdb.TransactionPrepared {
			start := len(w.arena)
			w.arena = appendIDs(w.arena, t.JobIDs)
			w.args = append(w.args, t.ID, t.CreatedAt.UnixMilli(), blob(w.arena[start:]), int64(t.State))
		}
	}
	return w.flush(ctx, &w.transactions)
}

// Transaction implements [jobdb.DB].
func (b *Body) Transaction(ctx context.Context, id string) (jobdb.Transaction, error) {
	t := jobdb.Transaction{ID: id}
	err := b.snapshot(ctx, func(tx *sql.Tx) error {
		ended := false
		err := eachRow(ctx, tx.StmtContext(ctx, b.reads.transaction), func(rows *sql.Rows) error {
			ended = true
			return scanTransaction(rows, &t)
		}, id)
		if err != nil || ended {
			return err
		}
		_, _, err = b.loadPreparation(ctx, tx, &t)
		return err
	})
	if err != nil {
		return jobdb.Transaction{}, fmt.Errorf("look up transaction %q: %w", id, err)
	}
	return t, nil
}

// Drafts implements [jobdb.DB].
func (b *Body) Drafts(ctx context.Context, id string) ([]byte, error) {
	var drafts []byte
	err := b.snapshot(ctx, func(tx *sql.Tx) error {
		size, first, err := b.loadPreparation(ctx, tx, &jobdb.Transaction{ID: id})
		if err == nil {
			drafts, err = b.loadDrafts(ctx, tx, size, first)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the jobs of transaction %q: %w", id, err)
	}
	return drafts, nil
}

// loadPreparation fills t, whose id is given, and returns the size of its drafts and
// the id of their first piece.
func (b *Body) loadPreparation(ctx context.Context, tx *sql.Tx, t *jobdb.Transaction) (size, first int64, err error) {
	found := false
	err = eachRow(ctx, tx.StmtContext(ctx, b.reads.preparation), func(rows *sql.Rows) error {
		found = true
		var created, deadline int64
		var ids sql.RawBytes
		if err := rows.Scan(&created, &deadline, &ids, &size, &first); err != nil {
			return err
		}
		t.State, t.CreatedAt, t.Deadline = jobdb.TransactionPrepared, fromMilli(created), fromMilli(deadline)
		var err error
		t.JobIDs, err = parseIDs(ids)
		return err
	}, t.ID)
	switch {
	case err != nil:
		return 0, 0, err
	case !found:
		return 0, 0, jobdb.ErrNotFound
	case size < 0:
		return 0, 0, fmt.Errorf("drafts of %d bytes: %w", size, jobdb.ErrCorrupt)
	}
	return size, first, nil
}

// loadDrafts puts the pieces together, which come in any order.
func (b *Body) loadDrafts(ctx context.Context, tx *sql.Tx, size, first int64) ([]byte, error) {
	bySeq := make([][]byte, pieces(size))
	piece := func(i int) any { return first + int64(i) }
	err := b.reads.payloads.each(ctx, tx, len(bySeq), piece, func(rows *sql.Rows) error {
		var id int64
		var raw sql.RawBytes
		err := rows.Scan(&id, &raw)
		if err == nil {
			bySeq[id-first] = bytes.Clone(raw)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	drafts := slices.Concat(bySeq...)
	if int64(len(drafts)) != size {
		return nil, fmt.Errorf("%d of %d bytes of them are there: %w", len(drafts), size, jobdb.ErrCorrupt)
	}
	return drafts, nil
}

// Prepared implements [jobdb.DB].
func (b *Body) Prepared(ctx context.Context) ([]jobdb.Prepared, error) {
	var prepared []jobdb.Prepared
	err := b.snapshot(ctx, func(tx *sql.Tx) error {
		return eachRow(ctx, tx.StmtContext(ctx, b.reads.prepared), func(rows *sql.Rows) error {
			var p jobdb.Prepared
			var deadline int64
			err := rows.Scan(&p.ID, &deadline, &p.Size)
			p.Deadline = fromMilli(deadline)
			prepared = append(prepared, p)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("look for prepared transactions: %w", err)
	}
	return prepared, nil
}

// endedPage is how many transactions Ended holds at a time.
const endedPage = 128

// Ended implements [jobdb.DB]. It walks through all transactions, in the order of
// their ids and page by page; no snapshot is held while the caller is busy.
func (b *Body) Ended(ctx context.Context, since time.Time) iter.Seq2[jobdb.Transaction, error] {
	return func(yield func(jobdb.Transaction, error) bool) {
		after := ""
		for {
			page, err := b.ended(ctx, after, since)
			for _, t := range page {
				if !yield(t, nil) {
					return
				}
			}
			if err != nil {
				yield(jobdb.Transaction{}, fmt.Errorf("look for transactions since %s: %w", since.Format(time.RFC3339), err))
			}
			if err != nil || len(page) < endedPage {
				return
			}
			after = page[len(page)-1].ID
		}
	}
}

func (b *Body) ended(ctx context.Context, after string, since time.Time) (page []jobdb.Transaction, err error) {
	err = b.snapshot(ctx, func(tx *sql.Tx) error {
		return eachRow(ctx, tx.StmtContext(ctx, b.reads.ended), func(rows *sql.Rows) error {
			var t jobdb.Transaction
			err := scanTransaction(rows, &t)
			page = append(page, t)
			return err
		}, after, since.UnixMilli(), endedPage)
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// scanTransaction reads transactionColumns.
func scanTransaction(rows *sql.Rows, t *jobdb.Transaction) error {
	var created, state int64
	var ids sql.RawBytes
	err := rows.Scan(&t.ID, &created, &ids, &state)
	if err != nil {
		return err
	}
	t.CreatedAt = fromMilli(created)
	if t.State = jobdb.TransactionState(state); int64(t.State) != state || !t.State.Valid() {
		return fmt.Errorf("transaction %q: state %d: %w", t.ID, state, jobdb.ErrCorrupt)
	}
	t.JobIDs, err = parseIDs(ids)
	return err
}
