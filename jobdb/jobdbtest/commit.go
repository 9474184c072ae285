package jobdbtest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"

	"centrifuge"
	"centrifuge/jobdb"
)

func testCommitIsDurable(t *testing.T, s *store) {
	j := s.job()
	b := &jobdb.Batch{
		Jobs:         []*centrifuge.Job{j},
		Transactions: []jobdb.Transaction{{ID: "tx", JobIDs: []centrifuge.ID{j.ID}, CreatedAt: epoch0}},
		Policies:     []jobdb.Policy{{Scope: centrifuge.QueueKey{Source: "a"}, Policy: centrifuge.QueuePolicy{Paused: true}, Time: epoch0}},
	}
	appended := s.append(b, j.ID, accepted(), centrifuge.StateExecuting, centrifuge.StateSucceeded)
	s.commit(b)
	for range 2 { // as seen by this owner and by the next
		trace, err := s.db.Trace(t.Context(), j.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(trace.Job, *j) {
			t.Errorf("job is %+v, want %+v", trace.Job, *j)
		}
		if got := trace.Transitions[1:]; !reflect.DeepEqual(got, appended) {
			t.Errorf("transitions are %+v, want %+v", got, appended)
		}
		if tx, err := s.db.Transaction(t.Context(), "tx"); err != nil || !reflect.DeepEqual(tx, b.Transactions[0]) {
			t.Errorf("transaction is %+v, %v", tx, err)
		}
		if p, err := s.db.Policies(t.Context()); err != nil || !reflect.DeepEqual(p, b.Policies) {
			t.Errorf("policies are %+v, %v", p, err)
		}
		s.reopen()
	}
}

func testEmptyBatch(t *testing.T, s *store) {
	s.commit(&jobdb.Batch{})
	if rows := s.scan(); len(rows) != 0 {
		t.Errorf("%d jobs", len(rows))
	}
}

func testBatchCanBeReused(t *testing.T, s *store) {
	var b jobdb.Batch
	first := s.job()
	b.Jobs = append(b.Jobs, first)
	s.commit(&b)
	kept := *first
	kept.Payload = append([]byte(nil), first.Payload...)
	b.Reset()
	for i := range first.Payload {
		first.Payload[i] = 'x' // the batch is the caller's again, and what it holds
	}
	b.Jobs = append(b.Jobs, s.job())
	s.commit(&b)
	if got := s.load(kept.ID)[kept.ID].Job; !reflect.DeepEqual(got, kept) {
		t.Errorf("job is %+v, want %+v", got, kept)
	}
}

// Every number of rows up to beyond what one statement can hold, so that each way
// of sharing rows out among statements is taken.
func testBatchOfManyRows(t *testing.T, s *store) {
	want := 0
	for _, n := range []int{1, 2, 3, 7, 8, 15, 31, 32, 33, 63, 64, 65, 100, 127, 129, 1000} {
		b := &jobdb.Batch{Jobs: s.jobs(n)}
		for i, j := range b.Jobs {
			if i%3 == 0 {
				j.Payload = nil
			}
			s.append(b, j.ID, accepted(), centrifuge.StateExecuting, centrifuge.StateSucceeded)
		}
		s.commit(b)
		want += n
		loaded := s.load(idsOf(b.Jobs)...)
		for _, j := range b.Jobs {
			if got := loaded[j.ID]; !reflect.DeepEqual(got.Job, *j) || got.Life.State != centrifuge.StateSucceeded {
				t.Fatalf("batch of %d: got %+v, want %+v", n, got, *j)
			}
		}
	}
	if rows := s.scan(); len(rows) != want {
		t.Errorf("%d jobs, want %d", len(rows), want)
	}
}

func testKnownIDFailsTheBatch(t *testing.T, s *store) {
	old := s.job()
	s.commitJobs(old)
	b := &jobdb.Batch{
		Jobs:         append(s.jobs(40), old),
		Transactions: []jobdb.Transaction{{ID: "tx", CreatedAt: epoch0}},
		Policies:     []jobdb.Policy{{Scope: centrifuge.QueueKey{Source: "a"}, Time: epoch0}},
	}
	s.append(b, old.ID, accepted(), centrifuge.StateExecuting)
	s.mustFailWhole(b, 1)
}

func testRepeatedIDFailsTheBatch(_ *testing.T, s *store) {
	jobs := s.jobs(3)
	s.mustFailWhole(&jobdb.Batch{Jobs: append(jobs, jobs[1])}, 0)
}

// mustFailWhole commits b, which must fail for good and leave the JobDB with want
// jobs, none of which has a transition, and in use.
func (s *store) mustFailWhole(b *jobdb.Batch, want int) {
	s.t.Helper()
	err := s.db.Commit(s.t.Context(), b)
	if err == nil {
		s.t.Fatal("the commit succeeded")
	}
	for _, special := range []error{jobdb.ErrUnknownOutcome, jobdb.ErrFull, jobdb.ErrSuperseded, jobdb.ErrCorrupt} {
		if errors.Is(err, special) {
			s.t.Errorf("commit: %v, want a plain error", err)
		}
	}
	rows := s.scan()
	if len(rows) != want {
		s.t.Errorf("%d jobs after the failed commit, want %d", len(rows), want)
	}
	for _, row := range rows {
		if row.Last.State != centrifuge.StateAwaitingScheduling {
			s.t.Errorf("job %s is %s", row.ID, row.Last.State)
		}
	}
	if _, err := s.db.Transaction(s.t.Context(), "tx"); !errors.Is(err, jobdb.ErrNotFound) {
		s.t.Errorf("transaction: %v, want ErrNotFound", err)
	}
	if policies, err := s.db.Policies(s.t.Context()); err != nil || len(policies) != 0 {
		s.t.Errorf("policies: %v, %v", policies, err)
	}
	s.commitJobs(s.job())
	if n := len(s.scan()); n != want+1 {
		s.t.Errorf("%d jobs after one more commit, want %d", n, want+1)
	}
}

func testIllegalTransitionIsNotAppended(t *testing.T, s *store) {
	j := s.job()
	b := &jobdb.Batch{Jobs: []*centrifuge.Job{j}}
	_, err := b.Append(accepted(), centrifuge.Transition{JobID: j.ID, Seq: 1, State: centrifuge.StateSucceeded})
	if !errors.Is(err, centrifuge.ErrIllegalTransition) {
		t.Errorf("append: %v, want ErrIllegalTransition", err)
	}
	s.commit(b)
	if got := s.load(j.ID)[j.ID].Life; got != accepted() {
		t.Errorf("life is %+v", got)
	}
}

func testEndedContext(t *testing.T, s *store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &jobdb.Batch{Jobs: s.jobs(1)}
	if err := s.db.Commit(ctx, b); !errors.Is(err, context.Canceled) || errors.Is(err, jobdb.ErrUnknownOutcome) {
		t.Errorf("commit: %v, want context.Canceled and a known outcome", err)
	}
	if n := len(s.scan()); n != 0 {
		t.Errorf("%d jobs", n)
	}
	s.commit(b)
}

func testSuperseded(t *testing.T, s *store) {
	s.commitJobs(s.job())
	old := s.db
	s.open()
	if err := old.Commit(t.Context(), &jobdb.Batch{Jobs: s.jobs(1)}); !errors.Is(err, jobdb.ErrSuperseded) {
		t.Errorf("commit of the old owner: %v, want ErrSuperseded", err)
	}
	s.commitJobs(s.job())
	if err := old.Commit(t.Context(), &jobdb.Batch{Jobs: s.jobs(1)}); !errors.Is(err, jobdb.ErrSuperseded) {
		t.Errorf("second commit of the old owner: %v, want ErrSuperseded", err)
	}
	if n := len(s.scan()); n != 2 {
		t.Errorf("%d jobs, want 2", n)
	}
	if err := old.Close(); err != nil {
		t.Errorf("close by the old owner: %v", err)
	}
	s.commitJobs(s.job())
}

func testEpochMustRise(t *testing.T, s *store) {
	s.epoch = 6
	s.reopen()
	for _, epoch := range []uint64{1, 6, 7} {
		db, err := s.create(t.Context(), epoch)
		if err == nil {
			t.Errorf("opened with epoch %d after 7", epoch)
			_ = db.Close()
		} else if !errors.Is(err, jobdb.ErrSuperseded) {
			t.Errorf("open with epoch %d: %v, want ErrSuperseded", epoch, err)
		}
	}
	if _, err := s.create(t.Context(), 0); err == nil {
		t.Error("opened with epoch 0")
	}
	s.commitJobs(s.job()) // those that were refused took nothing away
}

func testClosed(t *testing.T, s *store) {
	db := s.db
	s.reopen()
	if err := db.Commit(t.Context(), &jobdb.Batch{Jobs: s.jobs(1)}); err == nil || errors.Is(err, jobdb.ErrUnknownOutcome) {
		t.Errorf("commit when closed: %v", err)
	}
	if _, err := db.Load(t.Context(), nil, []centrifuge.ID{{1}}); err == nil {
		t.Error("load when closed succeeded")
	}
	for _, err := range db.Scan(t.Context()) {
		if err == nil {
			t.Error("scan when closed yielded")
		}
	}
	if err := db.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// A batch holds a job with its attempt, so a reader that sees the job without it
// has seen half a batch.
func testReadersBesideTheWriter(t *testing.T, s *store) {
	const batches, size, readers = 60, 20, 3
	var wg sync.WaitGroup
	written := make(chan struct{})
	for range readers {
		wg.Go(func() {
			for done := false; !done; {
				select {
				case <-written:
					done = true
				default:
				}
				n := 0
				for row, err := range s.db.Scan(t.Context()) {
					if err != nil {
						t.Errorf("scan: %v", err)
						return
					}
					if row.Last.State != centrifuge.StateSucceeded {
						t.Errorf("job %s is %s: half a batch", row.ID, row.Last.State)
						return
					}
					n++
				}
				if n%size != 0 || done && n != batches*size {
					t.Errorf("%d jobs, written to the end: %v", n, done)
					return
				}
			}
		})
	}
	for range batches {
		b := &jobdb.Batch{Jobs: s.jobs(size)}
		for _, j := range b.Jobs {
			s.append(b, j.ID, accepted(), centrifuge.StateExecuting, centrifuge.StateSucceeded)
		}
		if err := s.db.Commit(t.Context(), b); err != nil {
			t.Errorf("commit: %v", err)
			break
		}
	}
	close(written)
	wg.Wait()
}
