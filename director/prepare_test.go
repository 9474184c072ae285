package director_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"centrifuge"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
	"centrifuge/jobdb/sqlite"
	"centrifuge/lease/leasetest"
)

func prepare(t *testing.T, r *rig, id string, ttl time.Duration, n int) director.Receipt {
	t.Helper()
	receipt, err := r.Submit(t.Context(), director.Submission{
		TransactionID: id, Jobs: jobs(n, "https://example.com/x"), Prepare: true, PrepareTTL: ttl,
	})
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// stateOf is what the Director says of the transaction, "unknown" if it does not
// know it.
func stateOf(t *testing.T, r *rig, id string) string {
	t.Helper()
	known, err := r.Transactions(t.Context(), []string{id})
	if err != nil {
		t.Fatal(err)
	}
	if len(known) == 0 {
		return "unknown"
	}
	return map[jobdb.TransactionState]string{
		jobdb.TransactionCommitted: "committed", jobdb.TransactionPrepared: "prepared", jobdb.TransactionAborted: "aborted",
	}[known[0].State]
}

// inState reports whether the error says that a transaction is in that state.
func inState(err error, state jobdb.TransactionState) bool {
	e, ok := errors.AsType[*director.TransactionError](err)
	return ok && e.Found && e.State == state
}

func TestPreparedIsDeliveredOnceCommitted(t *testing.T) {
	endpoint := &attempts{answer: always(200)}
	rounds(t, endpoint, []func(*testing.T, *rig){
		func(t *testing.T, r *rig) {
			receipt := prepare(t, r, "tx", 10*time.Minute, 3)
			if receipt.State != jobdb.TransactionPrepared || time.Until(receipt.Deadline).Round(time.Second) != 10*time.Minute {
				t.Errorf("receipt is %+v", receipt)
			}
			again := prepare(t, r, "tx", 10*time.Minute, 3)
			if !slices.Equal(again.JobIDs, receipt.JobIDs) || !again.Repeated || !again.Deadline.Equal(receipt.Deadline) {
				t.Errorf("repeated: %+v, first %+v", again, receipt)
			}
			pass(time.Minute)
			if l := ledger(t, r); l.Accepted != 0 || len(endpoint.of(receipt.JobIDs[0])) != 0 {
				t.Errorf("what is only prepared was accepted: %+v", l)
			}
			if _, err := r.Submit(t.Context(), director.Submission{TransactionID: "tx", Jobs: jobs(3, "https://example.com/x")}); !inState(err, jobdb.TransactionPrepared) {
				t.Errorf("submit under the id of a prepared one: %v", err)
			}
		},
		func(t *testing.T, r *rig) { // after a restart
			if got := stateOf(t, r, "tx"); got != "prepared" {
				t.Errorf("transaction is %s after a restart", got)
			}
			tx, err := r.Commit(t.Context(), "tx")
			if err != nil || tx.State != jobdb.TransactionCommitted || len(tx.JobIDs) != 3 {
				t.Fatalf("commit: %+v, %v", tx, err)
			}
			pass(time.Second)
			if l := ledger(t, r); l.Accepted != 3 || l.Succeeded != 3 {
				t.Errorf("ledger %+v", l)
			}
			for _, id := range tx.JobIDs {
				if n := len(endpoint.of(id)); n != 1 {
					t.Errorf("%d attempts", n)
				}
				trace, err := r.Get(t.Context(), id)
				if err != nil || trace.Job.Source == "" || trace.Job.ExpireAt.Sub(trace.Job.CreatedAt) != centrifuge.DefaultTTL {
					t.Errorf("job %+v, %v", trace.Job, err)
				}
			}
			if tx, err := r.Commit(t.Context(), "tx"); err != nil || len(tx.JobIDs) != 3 {
				t.Errorf("second commit: %+v, %v", tx, err)
			}
		},
		func(t *testing.T, r *rig) { // and after another one
			if _, err := r.Commit(t.Context(), "tx"); err != nil {
				t.Errorf("third commit: %v", err)
			}
			if _, err := r.Abort(t.Context(), "tx"); !inState(err, jobdb.TransactionCommitted) {
				t.Errorf("abort of a committed one: %v", err)
			}
			if again := prepare(t, r, "tx", 0, 3); again.State != jobdb.TransactionCommitted || !again.Repeated || len(again.JobIDs) != 3 {
				t.Errorf("prepared again: %+v", again)
			}
			pass(time.Hour)
			if l := ledger(t, r); l.Accepted != 3 {
				t.Errorf("ledger %+v", l)
			}
		},
	})
}

// rounds runs one Director after the other on one JobDB, each in virtual time from
// the same moment on.
func rounds(t *testing.T, d director.Deliverer, rounds []func(*testing.T, *rig)) {
	t.Helper()
	dir := t.TempDir()
	for _, round := range rounds {
		virtual(t, dir, d, round)
	}
}

// counted is a counter with one label.
func counted(t *testing.T, r *rig, name, label string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(r.Collector())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestPreparedIsAbortedAfterItsDeadline(t *testing.T) {
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		for i := range 200 {
			prepare(t, r, fmt.Sprint("many-", i), 2*time.Second, 1)
		}
		prepare(t, r, "default", 0, 1)
		prepare(t, r, "long", 15*time.Minute, 1)
		prepare(t, r, "short", time.Second, 1)
		for _, step := range []struct {
			wait                 time.Duration
			short, normal, great string
		}{
			{900 * time.Millisecond, "prepared", "prepared", "prepared"},
			{200 * time.Millisecond, "aborted", "prepared", "prepared"},
			{58 * time.Second, "aborted", "prepared", "prepared"},
			{time.Second, "aborted", "aborted", "prepared"},
			{13 * time.Minute, "aborted", "aborted", "prepared"},
			{time.Minute, "aborted", "aborted", "aborted"},
		} {
			pass(step.wait)
			if a, b, c := stateOf(t, r, "short"), stateOf(t, r, "default"), stateOf(t, r, "long"); a != step.short || b != step.normal || c != step.great {
				t.Errorf("%s later: %s, %s, %s", step.wait, a, b, c)
			}
		}
		for i := range 200 {
			if got := stateOf(t, r, fmt.Sprint("many-", i)); got != "aborted" {
				t.Errorf("one of many is %s", got)
			}
		}
		if _, err := r.Commit(t.Context(), "short"); !inState(err, jobdb.TransactionAborted) {
			t.Errorf("commit of an aborted one: %v", err)
		}
		if _, err := r.Submit(t.Context(), director.Submission{TransactionID: "short", Jobs: jobs(1, "https://example.com/x")}); !inState(err, jobdb.TransactionAborted) {
			t.Errorf("submit under the id of an aborted one: %v", err)
		}
		if l := ledger(t, r); l.Accepted != 0 {
			t.Errorf("ledger %+v", l)
		}
		if n := counted(t, r, "centrifuge_prepared_transactions_total", "expired"); n != 203 {
			t.Errorf("%v expired, want 203", n)
		}
	})
}

// The deadline of what was prepared before a restart still holds.
func TestPreparedIsAbortedAfterARestart(t *testing.T) {
	rounds(t, &attempts{answer: always(200)}, []func(*testing.T, *rig){
		func(t *testing.T, r *rig) { prepare(t, r, "tx", 20*time.Second, 1) },
		func(t *testing.T, r *rig) {
			pass(15 * time.Second)
			if got := stateOf(t, r, "tx"); got != "prepared" {
				t.Errorf("transaction is %s", got)
			}
			pass(6 * time.Second)
			if got := stateOf(t, r, "tx"); got != "aborted" {
				t.Errorf("transaction is %s", got)
			}
		},
	})
}

func TestUnknownTransactions(t *testing.T) {
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		for name, end := range map[string]func(context.Context, string) (jobdb.Transaction, error){"commit": r.Commit, "abort": r.Abort} {
			_, err := end(t.Context(), "nobody's")
			if e, ok := errors.AsType[*director.TransactionError](err); !ok || e.Found || e.ID != "nobody's" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := stateOf(t, r, "nobody's"); got != "unknown" {
			t.Errorf("transaction is %s", got)
		}
		for _, ttl := range []time.Duration{-1, time.Microsecond, 15*time.Minute + 1} {
			_, err := r.Submit(t.Context(), director.Submission{Jobs: jobs(1, "https://example.com/x"), Prepare: true, PrepareTTL: ttl})
			if e, ok := errors.AsType[*director.InvalidError](err); !ok || e.Field != "prepare_ttl" {
				t.Errorf("prepared for %s: %v", ttl, err)
			}
		}
	})
}

// What is prepared is bounded by its bytes, and makes room when it ends.
func TestPreparedIsBounded(t *testing.T) {
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		refused := func() bool {
			_, err := r.Submit(t.Context(), director.Submission{Jobs: jobs(1, "https://example.com/x"), Prepare: true})
			_, exhausted := errors.AsType[*director.ExhaustedError](err)
			if err != nil && !exhausted {
				t.Fatal(err)
			}
			return exhausted
		}
		prepare(t, r, "tx", 0, 10)
		n := 0
		for ; n < 100 && !refused(); n++ {
		}
		if n == 0 || n == 100 {
			t.Fatalf("%d fitted", n)
		}
		if _, err := r.Commit(t.Context(), "tx"); err != nil {
			t.Fatal(err)
		}
		if refused() {
			t.Error("there is no room after a commit")
		}
		pass(2 * time.Minute)
		for range n {
			if refused() {
				t.Error("there is no room after all were aborted")
			}
		}
	}, func(o *director.Options) { o.MaxPreparedBytes = 8 << 10 })
}

// A job that came by the same id meanwhile keeps a transaction from being
// committed, and does nobody else any harm.
func TestJobOfTheSameIDCameBeforeTheCommit(t *testing.T) {
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		named := func() []*centrifuge.Job {
			j := jobs(2, "https://example.com/x")
			j[1].ID = centrifuge.ID{1, 2, 3}
			return j
		}
		if _, err := r.Submit(t.Context(), director.Submission{TransactionID: "tx", Jobs: named(), Prepare: true}); err != nil {
			t.Fatal(err)
		}
		submit(t, r, named()...)
		_, err := r.Commit(t.Context(), "tx")
		if e, ok := errors.AsType[*director.ExistsError](err); !ok || e.Index != 1 || e.ID != (centrifuge.ID{1, 2, 3}) {
			t.Errorf("commit: %v", err)
		}
		if got := stateOf(t, r, "tx"); got != "prepared" {
			t.Errorf("transaction is %s", got)
		}
		submit(t, r, jobs(1, "https://example.com/x")...)
		pass(time.Second)
		if l := ledger(t, r); l.Accepted != 3 || l.Succeeded != 3 {
			t.Errorf("ledger %+v", l)
		}
	})
}

// Of commits, aborts and the deadline exactly one decides, and everybody is told
// the same, also by the next Director.
func TestCommitAbortAndDeadlineRace(t *testing.T) {
	dir, epoch := t.TempDir(), new(atomic.Uint64)
	const n = 60
	decided := make([]string, n)
	r := start(t, dir, epoch, func(o *director.Options) { o.Deliverer = &attempts{answer: always(200)} })
	var wg sync.WaitGroup
	for i := range n {
		id := fmt.Sprint("tx-", i)
		ttl := time.Minute
		if i%3 == 0 {
			ttl = time.Duration(i) * time.Millisecond
		}
		prepare(t, r, id, max(ttl, time.Millisecond), 2)
		for k := range 4 {
			wg.Go(func() {
				var err error
				if k%2 == 0 {
					_, err = r.Commit(t.Context(), id)
				} else {
					_, err = r.Abort(t.Context(), id)
				}
				if _, other := errors.AsType[*director.TransactionError](err); err != nil && !other {
					t.Errorf("%s: %v", id, err)
				}
			})
		}
	}
	wg.Wait()
	want := int64(0)
	for i := range decided {
		if decided[i] = stateOf(t, r, fmt.Sprint("tx-", i)); decided[i] == "committed" {
			want += 2
		} else if decided[i] != "aborted" {
			t.Errorf("transaction %d is %s", i, decided[i])
		}
	}
	if l := ledger(t, r); l.Accepted != want {
		t.Errorf("accepted %d, want %d", l.Accepted, want)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, dir, epoch, func(o *director.Options) { o.Deliverer = &attempts{answer: always(200)} })
	for i, was := range decided {
		if got := stateOf(t, r, fmt.Sprint("tx-", i)); got != was {
			t.Errorf("transaction %d is %s after a restart, was %s", i, got, was)
		}
	}
}

// Each step is hit by each fault of a commit. Nothing is guessed: what the Director
// says in the end is what happened, and repeating the step ends well.
func TestTransactionStepsUnderFaults(t *testing.T) {
	for _, step := range []string{"prepare", "commit", "abort"} {
		for _, fault := range []jobdbtest.Fault{jobdbtest.Failed, jobdbtest.Full, jobdbtest.UnknownLost, jobdbtest.UnknownKept} {
			t.Run(fmt.Sprint(step, "-", fault), func(t *testing.T) {
				dir, epoch := t.TempDir(), new(atomic.Uint64)
				var armed atomic.Bool
				plan := func(op string) jobdbtest.Fault {
					if op == jobdbtest.OpCommit && armed.CompareAndSwap(true, false) {
						return fault
					}
					return jobdbtest.NoFault
				}
				virtual(t, dir, &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
					do := map[string]func() error{
						"prepare": func() error {
							_, err := r.Submit(t.Context(), director.Submission{TransactionID: "tx", Jobs: jobs(2, "https://example.com/x"), Prepare: true})
							return err
						},
						"commit": func() error { _, err := r.Commit(t.Context(), "tx"); return err },
						"abort":  func() error { _, err := r.Abort(t.Context(), "tx"); return err },
					}
					if step != "prepare" {
						if err := do["prepare"](); err != nil {
							t.Fatal(err)
						}
					}
					armed.Store(true)
					if err := do[step](); err == nil {
						t.Error("the step succeeded in spite of the fault")
					}
					pass(5 * time.Second) // in which the Director recovers
					after := map[string]string{"prepare": "prepared", "commit": "committed", "abort": "aborted"}[step]
					want := map[string]string{"prepare": "unknown", "commit": "prepared", "abort": "prepared"}[step]
					if fault == jobdbtest.UnknownKept {
						want = after
					}
					if got := stateOf(t, r, "tx"); got != want {
						t.Errorf("transaction is %s, want %s", got, want)
					}
					if err := do[step](); err != nil {
						t.Errorf("the step once more: %v", err)
					}
					pass(time.Second)
					if got := stateOf(t, r, "tx"); got != after {
						t.Errorf("transaction is %s, want %s", got, after)
					}
					accepted := int64(0)
					if step == "commit" {
						accepted = 2
					}
					if l := ledger(t, r); l.Accepted != accepted || l.Succeeded != accepted {
						t.Errorf("ledger %+v, want %d accepted", l, accepted)
					}
				}, func(o *director.Options) {
					o.Acquire = func(context.Context) (director.Holding, error) {
						return director.Holding{
							Name: jobdb.Name(1), Lease: leasetest.New(0),
							Open: func(ctx context.Context, _ uint64) (jobdb.DB, error) {
								db, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "jobs.db"), Epoch: epoch.Add(1)})
								if err != nil {
									return nil, err
								}
								return jobdbtest.Faulty(db, plan), nil
							},
						}, nil
					}
				})
			})
		}
	}
}

// A Submit that names a JobDB whose transactions the Director does not know is
// refused, unless the transaction itself is known.
func TestForeignJobDB(t *testing.T) {
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		s := func(id, jobDB string) director.Submission {
			return director.Submission{TransactionID: id, Jobs: jobs(1, "https://example.com/x"), JobDB: jobDB}
		}
		receipt, err := r.Submit(t.Context(), s("one", jobdb.Name(1)))
		if err != nil || receipt.JobDB != jobdb.Name(1) {
			t.Fatalf("receipt %+v, %v", receipt, err)
		}
		if _, err := r.Submit(t.Context(), s("two", jobdb.Name(2))); !errors.Is(err, director.ErrForeignJobDB) {
			t.Errorf("another JobDB: %v", err)
		}
		if receipt, err := r.Submit(t.Context(), s("one", jobdb.Name(2))); err != nil || !receipt.Repeated {
			t.Errorf("another JobDB, known transaction: %+v, %v", receipt, err)
		}
		if l := ledger(t, r); l.Accepted != 1 {
			t.Errorf("ledger %+v", l)
		}
	})
}
