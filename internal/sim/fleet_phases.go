package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"centrifuge"
	"centrifuge/director"
	"centrifuge/jobdb"
)

// fleetPhased is what a client was told of a transaction that it had prepared.
type fleetPhased struct {
	ids       []centrifuge.ID
	committed bool
	aborted   bool
}

// prepare is a client that prepares transactions and commits them, or aborts them, or
// leaves them to their deadline.
func (f *fleet) prepare(client uint64) {
	d := dice(f.seed, "fleet phases", client)
	for n := 0; !f.calm.Load(); n++ {
		time.Sleep(between(d, 0, time.Minute))
		o := fleetOrder{transaction: fmt.Sprintf("%d-prepared-%d", client, n), jobs: 1 + d.IntN(4), at: oneOf(d, f.members[:]...)}
		s := o.submission()
		s.Prepare, s.PrepareTTL = true, oneOf(d, 0, between(d, time.Millisecond, 15*time.Minute))
		p := o.at.current.Load()
		receipt, err := p.director.Submit(p.life, s)
		if err != nil || p.dead.Load() {
			continue
		}
		tx := &fleetPhased{ids: receipt.JobIDs}
		f.mu.Lock()
		f.mu.phased[o.transaction] = tx
		f.mu.Unlock()
		time.Sleep(between(d, 0, oneOf(d, 0, time.Second, 5*time.Minute)))
		if end := d.IntN(5); end < 4 {
			f.end(o.transaction, tx, end < 3)
		}
	}
}

// end commits the transaction, or aborts it, wherever it is by now.
func (f *fleet) end(id string, tx *fleetPhased, commit bool) {
	for try := range 40 {
		p := f.members[try%len(f.members)].current.Load()
		call := p.director.Abort
		if commit {
			call = p.director.Commit
		}
		got, err := call(context.Background(), id)
		if p.dead.Load() {
			continue
		}
		ended, refused := errors.AsType[*director.TransactionError](err)
		f.mu.Lock()
		switch {
		case err == nil:
			tx.committed = tx.committed || got.State == jobdb.TransactionCommitted
			tx.aborted = tx.aborted || got.State == jobdb.TransactionAborted
		case refused && ended.Found:
			tx.committed = tx.committed || ended.State == jobdb.TransactionCommitted
			tx.aborted = tx.aborted || ended.State == jobdb.TransactionAborted
		}
		f.mu.Unlock()
		if err == nil || refused && ended.Found {
			return
		}
		time.Sleep(time.Second)
	}
}

// auditPhased checks that each transaction which was prepared has ended once, as was
// said, and that its jobs are there exactly if it was committed.
func (f *fleet) auditPhased(homes map[centrifuge.ID]*memoryJob, bad func(string, ...any)) {
	ends := make(map[string]map[jobdb.TransactionState]string) // the JobDB that says so
	for _, r := range f.mu.records {
		for id, t := range r.store.mu.transactions {
			if ends[id] == nil {
				ends[id] = make(map[jobdb.TransactionState]string)
			}
			ends[id][t.State] = r.name
		}
		for id := range r.store.mu.preparations {
			if _, ended := r.store.mu.transactions[id]; !ended {
				bad("transaction %s is prepared in %s at rest", id, r.name)
			}
		}
	}
	for id, tx := range f.mu.phased {
		committed, aborted := ends[id][jobdb.TransactionCommitted], ends[id][jobdb.TransactionAborted]
		if committed != "" && aborted != "" || committed == "" && aborted == "" {
			bad("transaction %s is committed in %q and aborted in %q", id, committed, aborted)
		}
		if tx.committed && committed == "" || tx.aborted && aborted == "" {
			bad("transaction %s was answered as committed %t and aborted %t, and is committed in %q and aborted in %q", id, tx.committed, tx.aborted, committed, aborted)
		}
		for _, job := range tx.ids {
			if there := homes[job] != nil; there != (committed != "") {
				bad("transaction %s is committed in %q and aborted in %q, and that its job %s is there is %t", id, committed, aborted, job, there)
			}
		}
	}
}
