package jobdbtest_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
	"centrifuge/jobdb/sqlite"
)

func TestFaultyCommit(t *testing.T) {
	for _, test := range []struct {
		fault     jobdbtest.Fault
		want      error
		persisted bool
		goesOn    bool // a second commit succeeds
	}{
		{jobdbtest.NoFault, nil, true, true},
		{jobdbtest.Failed, jobdbtest.ErrInjected, false, true},
		{jobdbtest.Full, jobdb.ErrFull, false, true},
		{jobdbtest.UnknownLost, jobdb.ErrUnknownOutcome, false, false},
		{jobdbtest.UnknownKept, jobdb.ErrUnknownOutcome, true, false},
	} {
		faults := []jobdbtest.Fault{test.fault}
		db := open(t, func(op string) jobdbtest.Fault {
			if op != jobdbtest.OpCommit || len(faults) == 0 {
				return jobdbtest.NoFault
			}
			fault := faults[0]
			faults = faults[1:]
			return fault
		})
		job := &centrifuge.Job{ID: centrifuge.ID{1}}
		if err := db.Commit(t.Context(), &jobdb.Batch{Jobs: []*centrifuge.Job{job}}); !errors.Is(err, test.want) {
			t.Errorf("fault %d: commit: %v, want %v", test.fault, err, test.want)
		}
		known, err := db.Known(t.Context(), []centrifuge.ID{job.ID})
		if err != nil || (len(known) == 1) != test.persisted {
			t.Errorf("fault %d: known: %v, %v, want persisted: %v", test.fault, known, err, test.persisted)
		}
		err = db.Commit(t.Context(), &jobdb.Batch{Jobs: []*centrifuge.Job{{ID: centrifuge.ID{2}}}})
		if (err == nil) != test.goesOn || errors.Is(err, jobdb.ErrUnknownOutcome) {
			t.Errorf("fault %d: second commit: %v, want to go on: %v", test.fault, err, test.goesOn)
		}
	}
}

func TestFaultyReads(t *testing.T) {
	fail := ""
	db := open(t, func(op string) jobdbtest.Fault {
		if op == fail {
			return jobdbtest.Failed
		}
		return jobdbtest.NoFault
	})
	id := centrifuge.ID{1}
	if err := db.Commit(t.Context(), &jobdb.Batch{
		Jobs: []*centrifuge.Job{{ID: id}, {ID: centrifuge.ID{2}}},
		Transactions: []jobdb.Transaction{
			{ID: "tx", JobIDs: []centrifuge.ID{id}}, {ID: "tx", State: jobdb.TransactionPrepared, Drafts: []byte("body")},
		},
	}); err != nil {
		t.Fatal(err)
	}
	reads := map[string]func() error{
		jobdbtest.OpLoad:        func() error { _, err := db.Load(t.Context(), nil, []centrifuge.ID{id}); return err },
		jobdbtest.OpTrace:       func() error { _, err := db.Trace(t.Context(), id); return err },
		jobdbtest.OpTraces:      func() error { _, err := db.Traces(t.Context(), []centrifuge.ID{id}); return err },
		jobdbtest.OpTransaction: func() error { _, err := db.Transaction(t.Context(), "tx"); return err },
		jobdbtest.OpDrafts:      func() error { _, err := db.Drafts(t.Context(), "tx"); return err },
		jobdbtest.OpPrepared:    func() error { _, err := db.Prepared(t.Context()); return err },
		jobdbtest.OpEnded: func() error {
			for _, err := range db.Ended(t.Context(), time.Time{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		jobdbtest.OpSize:     func() error { _, err := db.Size(t.Context()); return err },
		jobdbtest.OpKnown:    func() error { _, err := db.Known(t.Context(), []centrifuge.ID{id}); return err },
		jobdbtest.OpScan:     func() error { return scan(t, db) },
		jobdbtest.OpScanRow:  func() error { return scan(t, db) },
		jobdbtest.OpPolicies: func() error { _, err := db.Policies(t.Context()); return err },
		jobdbtest.OpOrders:   func() error { _, err := db.Orders(t.Context(), time.Time{}); return err },
	}
	for op, read := range reads {
		if err := read(); err != nil {
			t.Errorf("%s: %v", op, err)
		}
		fail = op
		if err := read(); !errors.Is(err, jobdbtest.ErrInjected) {
			t.Errorf("%s: %v, want the injected fault", op, err)
		}
		fail = ""
	}
}

func scan(t *testing.T, db jobdb.DB) error {
	t.Helper()
	for _, err := range db.Scan(t.Context()) {
		if err != nil {
			return err
		}
	}
	return nil
}

func open(t *testing.T, plan func(string) jobdbtest.Fault) jobdb.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "jobs.db"), Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	faulty := jobdbtest.Faulty(db, plan)
	t.Cleanup(func() {
		if err := faulty.Close(); err != nil {
			t.Error(err)
		}
	})
	return faulty
}
