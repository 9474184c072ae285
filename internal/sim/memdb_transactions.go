package sim

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// tableOf is where a transaction in that state is kept.
func (m *memory) tableOf(s jobdb.TransactionState) map[string]jobdb.Transaction {
	if s == jobdb.TransactionPrepared {
		return m.mu.preparations
	}
	return m.mu.transactions
}

// checkTransactions refuses those that were prepared or have ended before.
func (m *memory) checkTransactions(transactions []jobdb.Transaction) error {
	type key struct {
		id       string
		prepared bool
	}
	seen := make(map[key]bool)
	for i := range transactions {
		t := &transactions[i]
		k := key{t.ID, t.State == jobdb.TransactionPrepared}
		if _, ok := m.tableOf(t.State)[t.ID]; ok || seen[k] {
			return fmt.Errorf("transaction %q is there already", t.ID)
		}
		seen[k] = true
	}
	return nil
}

func (m *memory) log(transactions []jobdb.Transaction) {
	for _, t := range transactions {
		m.tableOf(t.State)[t.ID] = cloneTransaction(t)
	}
}

func (db *memoryDB) Transaction(ctx context.Context, id string) (jobdb.Transaction, error) {
	unlock, err := db.use(ctx)
	if err != nil {
		return jobdb.Transaction{}, err
	}
	defer unlock()
	for _, table := range []map[string]jobdb.Transaction{db.m.mu.transactions, db.m.mu.preparations} {
		if t, ok := table[id]; ok {
			t = cloneTransaction(t)
			t.Drafts = nil
			return t, nil
		}
	}
	return jobdb.Transaction{}, fmt.Errorf("look up transaction %q: %w", id, jobdb.ErrNotFound)
}

func (db *memoryDB) Drafts(ctx context.Context, id string) ([]byte, error) {
	unlock, err := db.use(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	t, ok := db.m.mu.preparations[id]
	if !ok {
		return nil, fmt.Errorf("read the jobs of transaction %q: %w", id, jobdb.ErrNotFound)
	}
	return bytes.Clone(t.Drafts), nil
}

func (db *memoryDB) Prepared(ctx context.Context) ([]jobdb.Prepared, error) {
	unlock, err := db.use(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var prepared []jobdb.Prepared
	for id, t := range db.m.mu.preparations {
		if _, ended := db.m.mu.transactions[id]; !ended {
			prepared = append(prepared, jobdb.Prepared{ID: id, Deadline: t.Deadline, Size: int64(len(t.Drafts))})
		}
	}
	slices.SortFunc(prepared, func(a, b jobdb.Prepared) int { return cmp.Compare(a.ID, b.ID) })
	return prepared, nil
}

func (db *memoryDB) Ended(ctx context.Context, since time.Time) iter.Seq2[jobdb.Transaction, error] {
	return func(yield func(jobdb.Transaction, error) bool) {
		ended, err := db.ended(ctx, since)
		for _, t := range ended {
			if !yield(t, nil) {
				return
			}
		}
		if err != nil {
			yield(jobdb.Transaction{}, err)
		}
	}
}

func (db *memoryDB) ended(ctx context.Context, since time.Time) ([]jobdb.Transaction, error) {
	unlock, err := db.use(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var ended []jobdb.Transaction
	for _, t := range db.m.mu.transactions {
		if !t.CreatedAt.Before(since) {
			ended = append(ended, cloneTransaction(t))
		}
	}
	slices.SortFunc(ended, func(a, b jobdb.Transaction) int { return cmp.Compare(a.ID, b.ID) })
	return ended, nil
}

// Size counts the payloads, so that it grows as a real one's does.
func (db *memoryDB) Size(ctx context.Context) (int64, error) {
	unlock, err := db.use(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	var size int64
	for _, j := range db.m.mu.jobs {
		size += int64(j.job.Size())
	}
	return size, nil
}

// cloneTransaction shares nothing with the transaction that its holder may change.
func cloneTransaction(t jobdb.Transaction) jobdb.Transaction {
	t.JobIDs = append([]centrifuge.ID{}, t.JobIDs...)
	t.Drafts = bytes.Clone(t.Drafts)
	return t
}
