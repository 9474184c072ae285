package jobdbtest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

func testTransaction(t *testing.T, s *store) {
	jobs := s.jobs(5000)
	want := jobdb.Transaction{ID: "a-submit", JobIDs: idsOf(jobs), CreatedAt: epoch0}
	empty := jobdb.Transaction{ID: "of nothing", JobIDs: []centrifuge.ID{}, CreatedAt: epoch0}
	s.commit(&jobdb.Batch{Jobs: jobs, Transactions: []jobdb.Transaction{want, empty}})
	s.mustHaveTransactions(want, empty)
	if _, err := s.db.Transaction(t.Context(), "another"); !errors.Is(err, jobdb.ErrNotFound) {
		t.Errorf("unknown transaction: %v, want ErrNotFound", err)
	}
	if _, err := s.db.Drafts(t.Context(), "a-submit"); !errors.Is(err, jobdb.ErrNotFound) {
		t.Errorf("drafts of one that was not prepared: %v, want ErrNotFound", err)
	}
}

func (s *store) mustHaveTransactions(transactions ...jobdb.Transaction) {
	s.t.Helper()
	for _, want := range transactions {
		want.Drafts = nil
		if got, err := s.db.Transaction(s.t.Context(), want.ID); err != nil || !reflect.DeepEqual(got, want) {
			s.t.Errorf("transaction %q is %v, %v, want %v", want.ID, brief(got), err, brief(want))
		}
	}
}

// brief is a transaction without its drafts.
func brief(t jobdb.Transaction) string {
	size := len(t.Drafts)
	t.Drafts = nil
	return fmt.Sprintf("%+v with %d bytes", t, size)
}

// prepare makes a prepared transaction of two jobs, which it keeps aside.
func (s *store) prepare(id string, size int) (jobdb.Transaction, []*centrifuge.Job) {
	jobs := s.jobs(2)
	drafts := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(drafts) // never fails
	return jobdb.Transaction{
		ID: id, State: jobdb.TransactionPrepared, JobIDs: idsOf(jobs),
		CreatedAt: epoch0, Deadline: epoch0.Add(time.Minute + time.Millisecond), Drafts: drafts,
	}, jobs
}

// end is the transaction as it ends.
func end(t jobdb.Transaction, state jobdb.TransactionState) jobdb.Transaction {
	return jobdb.Transaction{ID: t.ID, State: state, JobIDs: t.JobIDs, CreatedAt: t.CreatedAt.Add(time.Second)}
}

// mustHavePrepared checks that these transactions are prepared, and no others.
func (s *store) mustHavePrepared(transactions ...jobdb.Transaction) {
	s.t.Helper()
	s.mustHaveTransactions(transactions...)
	var want []jobdb.Prepared
	for _, t := range transactions {
		if drafts, err := s.db.Drafts(s.t.Context(), t.ID); err != nil || !bytes.Equal(drafts, t.Drafts) {
			s.t.Errorf("drafts of %q have %d bytes, %v, want %d", t.ID, len(drafts), err, len(t.Drafts))
		}
		want = append(want, jobdb.Prepared{ID: t.ID, Deadline: t.Deadline, Size: int64(len(t.Drafts))})
	}
	got, err := s.db.Prepared(s.t.Context())
	byID := func(a, b jobdb.Prepared) int { return strings.Compare(a.ID, b.ID) }
	slices.SortFunc(want, byID)
	slices.SortFunc(got, byID)
	if err != nil || !slices.Equal(got, want) {
		s.t.Errorf("prepared are %+v, %v, want %+v", got, err, want)
	}
}

// What is prepared is durable with its drafts, of whatever size, and is none of the
// jobs. Jobs with payloads are committed between, so that none can be taken for
// the other's.
func testPreparedTransaction(_ *testing.T, s *store) {
	s.mustHavePrepared()
	const mib = 1 << 20
	var prepared []jobdb.Transaction
	var b jobdb.Batch
	for i, size := range []int{1, 100, mib - 1, mib, mib + 1, 2 * mib, 5*mib + 7} {
		tx, _ := s.prepare(awkward()[i], size)
		prepared = append(prepared, tx)
		b.Transactions = append(b.Transactions, tx)
		if i%2 == 0 {
			b.Jobs = append(b.Jobs, s.job(), s.job())
			s.commit(&b)
			b.Reset()
		}
	}
	s.mustHavePrepared(prepared...)
	s.reopen()
	s.mustHavePrepared(prepared...)
	for _, row := range s.scan() {
		j := s.load(row.ID)[row.ID].Job
		if want := "payload of " + row.ID.String(); string(j.Payload) != want {
			s.t.Errorf("payload is %.40q, want %q", j.Payload, want)
		}
	}
	if n := len(s.scan()); n != 8 {
		s.t.Errorf("%d jobs, want 8", n)
	}
	s.commitJobs(s.job())
}

func testPreparedTransactionEnds(t *testing.T, s *store) {
	var prepared, ended []jobdb.Transaction
	for i, state := range []jobdb.TransactionState{
		jobdb.TransactionCommitted, jobdb.TransactionAborted, jobdb.TransactionMoved, jobdb.TransactionPrepared,
	} {
		tx, jobs := s.prepare(fmt.Sprint("tx-", i), 1000)
		s.commit(&jobdb.Batch{Transactions: []jobdb.Transaction{tx}})
		if state == jobdb.TransactionPrepared {
			prepared = append(prepared, tx)
			continue
		}
		b := &jobdb.Batch{Transactions: []jobdb.Transaction{end(tx, state)}}
		if state == jobdb.TransactionCommitted {
			b.Jobs = jobs
		}
		s.commit(b)
		ended = append(ended, b.Transactions...)
	}
	tx, _ := s.prepare("at once", 10)
	s.commit(&jobdb.Batch{Transactions: []jobdb.Transaction{end(tx, jobdb.TransactionAborted), tx}})
	ended = append(ended, end(tx, jobdb.TransactionAborted))
	for range 2 { // as seen by this owner and by the next
		s.mustHavePrepared(prepared...)
		s.mustHaveTransactions(ended...)
		if n := len(s.scan()); n != 2 {
			t.Errorf("%d jobs, want the 2 of the committed one", n)
		}
		s.reopen()
	}
}

// A batch that would prepare a transaction again, or end one again, fails whole.
func testTransactionEndsOnce(t *testing.T, s *store) {
	committed := jobdb.Transaction{ID: "committed", JobIDs: []centrifuge.ID{}, CreatedAt: epoch0}
	aborted, jobs := s.prepare("aborted", 10)
	open, _ := s.prepare("open", 10)
	s.commit(&jobdb.Batch{Transactions: []jobdb.Transaction{committed, aborted, end(aborted, jobdb.TransactionAborted), open}})
	for _, b := range []*jobdb.Batch{
		{Transactions: []jobdb.Transaction{end(aborted, jobdb.TransactionCommitted)}, Jobs: jobs},
		{Transactions: []jobdb.Transaction{end(aborted, jobdb.TransactionAborted)}, Jobs: s.jobs(1)},
		{Transactions: []jobdb.Transaction{end(committed, jobdb.TransactionAborted)}, Jobs: s.jobs(1)},
		{Transactions: []jobdb.Transaction{open}, Jobs: s.jobs(1)},
		{Transactions: []jobdb.Transaction{aborted}, Jobs: s.jobs(1)},
	} {
		if err := s.db.Commit(t.Context(), b); err == nil || errors.Is(err, jobdb.ErrUnknownOutcome) {
			t.Errorf("commit of %s: %v, want a plain error", brief(b.Transactions[0]), err)
		}
	}
	if n := len(s.scan()); n != 0 {
		t.Errorf("%d jobs", n)
	}
	s.mustHavePrepared(open)
	s.mustHaveTransactions(committed, end(aborted, jobdb.TransactionAborted))
	s.commitJobs(s.job())
}

// Each step of a transaction goes wrong, with and without being persisted. The
// next owner finds the state before it or after it, whole, and can go on from
// there.
func testTransactionFaults(t *testing.T, s *store) {
	for i, state := range []jobdb.TransactionState{
		jobdb.TransactionPrepared, jobdb.TransactionCommitted, jobdb.TransactionAborted, jobdb.TransactionMoved,
	} {
		for _, fault := range []Fault{Failed, Full, UnknownLost, UnknownKept} {
			before := len(s.scan())
			tx, jobs := s.prepare(fmt.Sprintf("tx-%d-%d", i, fault), 100)
			step := &jobdb.Batch{Transactions: []jobdb.Transaction{tx}}
			if state != jobdb.TransactionPrepared {
				s.commit(step)
				step = &jobdb.Batch{Transactions: []jobdb.Transaction{end(tx, state)}}
			}
			if state == jobdb.TransactionCommitted {
				step.Jobs = jobs
			}
			if err := Faulty(s.db, func(string) Fault { return fault }).Commit(t.Context(), step); !errors.Is(err, ErrInjected) {
				t.Fatalf("commit: %v", err)
			}
			s.reopen()
			want, kept := step.Transactions[0], fault == UnknownKept
			got, err := s.db.Transaction(t.Context(), tx.ID)
			switch {
			case kept:
				s.mustHaveTransactions(want)
			case state == jobdb.TransactionPrepared:
				if !errors.Is(err, jobdb.ErrNotFound) {
					t.Errorf("state %d, fault %d: %s, %v", state, fault, brief(got), err)
				}
			default:
				s.mustHaveTransactions(tx)
			}
			if err := s.db.Commit(t.Context(), step); (err == nil) == kept {
				t.Errorf("state %d, fault %d: the step once more: %v", state, fault, err)
			}
			s.mustHaveTransactions(want)
			if n := len(s.scan()) - before; n != len(step.Jobs) {
				t.Errorf("state %d, fault %d: %d more jobs, want %d", state, fault, n, len(step.Jobs))
			}
		}
	}
}

func testEnded(t *testing.T, s *store) {
	const n = 1000
	want := map[string]jobdb.Transaction{}
	names := awkward()
	for i := len(names); i < n; i++ {
		names = append(names, fmt.Sprint("tx-", i))
	}
	since := epoch0.Add(n / 4 * time.Millisecond)
	var b jobdb.Batch
	for i, name := range names {
		tx := jobdb.Transaction{
			ID: name, JobIDs: idsOf(s.jobs(i % 5)), CreatedAt: epoch0.Add(time.Duration(i) * time.Millisecond),
			State: []jobdb.TransactionState{jobdb.TransactionCommitted, jobdb.TransactionAborted, jobdb.TransactionMoved}[i%3],
		}
		b.Transactions = append(b.Transactions, tx)
		if !tx.CreatedAt.Before(since) {
			want[name] = tx
		}
	}
	open, _ := s.prepare("open", 10)
	open.CreatedAt = since
	b.Transactions = append(b.Transactions, open)
	s.commit(&b)
	got := map[string]jobdb.Transaction{}
	for tx, err := range s.db.Ended(t.Context(), since) {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := got[tx.ID]; ok {
			t.Errorf("transaction %q came twice", tx.ID)
		}
		got[tx.ID] = tx
		if len(got) == 1 { // writing and reading on the way is allowed
			s.commitJobs(s.job())
			s.mustHaveTransactions(tx)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%d transactions since %s, want %d", len(got), since, len(want))
	}
	for _, err := range s.db.Ended(t.Context(), since) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	for tx, err := range s.db.Ended(t.Context(), epoch0.Add(n*time.Millisecond)) {
		t.Errorf("transaction %q, which ended before, %v", tx.ID, err)
	}
}

// The size is no less than a good part of what incompressible payloads take; a
// server's statistics may lag, so it is awaited.
func testSize(t *testing.T, s *store) {
	const payload, n = 64 << 10, 64
	random := rand.NewChaCha8([32]byte{})
	var b jobdb.Batch
	for range n {
		j := s.job()
		j.Payload = make([]byte, payload)
		_, _ = random.Read(j.Payload) // never fails
		b.Jobs = append(b.Jobs, j)
	}
	s.commit(&b)
	for {
		size, err := s.db.Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if size > 4*n*payload {
			t.Fatalf("size is %d for %d bytes", size, n*payload)
		}
		if size >= n*payload/2 {
			break
		}
	}
	s.reopen()
	if size, err := s.db.Size(t.Context()); err != nil || size < n*payload/2 {
		t.Errorf("size is %d, %v when opened again", size, err)
	}
}
