package director_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlite"
)

func succeeds(*centrifuge.Job, uint32) delivery.Result { return status(200) }

// Transactions are committed and aborted while the Director is cycled from one JobDB
// to the next: each is found wherever it is by then, and ends once. What they left in
// the old ones comes back by no drain.
func TestPreparedTransactionsInACycle(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	y := newTally(succeeds)
	r := start(t, dir, new(atomic.Uint64), p.serving(y))
	const n, cycles = 120, 3
	name := func(i int) string { return fmt.Sprint("tx-", i) }
	for i := range n {
		prepare(t, r, name(i), 10*time.Minute, 2)
	}
	plain := director.Submission{TransactionID: "plain", Jobs: jobs(1, "https://example.com/x")}
	if _, err := r.Submit(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	var ending sync.WaitGroup
	for i := range n {
		ending.Go(func() {
			end := r.Commit
			if i%3 == 0 {
				end = r.Abort
			}
			await(t, name(i)+" has ended", func() bool {
				_, err := end(t.Context(), name(i))
				if err != nil && !errors.Is(err, director.ErrUnavailable) {
					t.Errorf("%s: %v", name(i), err)
				}
				return err == nil
			})
		})
		if i%(n/cycles) == n/cycles/2 {
			from, to, err := r.Cycle(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			await(t, from+" is let go of", func() bool { return p.report(from) != nil })
			if report := p.report(from); report.Err != nil {
				t.Errorf("%s was let go of: %v", from, report.Err)
			}
			p.drain(t, from, to, r, dir)
		}
	}
	ending.Wait()
	for i := range n {
		want := "committed"
		if i%3 == 0 {
			want = "aborted"
		}
		if got := stateOf(t, r, name(i)); got != want {
			t.Errorf("%s is %s, want %s", name(i), got, want)
		}
	}
	// A Submit of three JobDBs ago is still recognised, and a new one is not stored
	// under the name of that JobDB, of which it is known that nothing else will come.
	again := director.Submission{TransactionID: "plain", Jobs: jobs(1, "https://example.com/x"), JobDB: jobdb.Name(1)}
	if receipt, err := r.Submit(t.Context(), again); err != nil || !receipt.Repeated {
		t.Errorf("repeated: %+v, %v", receipt, err)
	}
	again.TransactionID, again.Jobs = "new", jobs(1, "https://example.com/x")
	if _, err := r.Submit(t.Context(), again); !errors.Is(err, director.ErrForeignJobDB) {
		t.Errorf("submit that names the first JobDB: %v", err)
	}
	if state := stateOf(t, r, director.SettledID(jobdb.Name(1))); state != "committed" {
		t.Errorf("the first JobDB is %s to be settled", state)
	}
	if state := stateOf(t, r, director.SettledID(r.Status().JobDB)); state == "committed" {
		t.Error("the current JobDB is said to be settled")
	}
	want := int64(n/3*2*2 + 1)
	await(t, "all are delivered", func() bool { l := ledger(t, r); return l.Pending() == 0 && y.made.Load() >= want })
	if got := y.made.Load(); got != want {
		t.Errorf("%d attempts, want %d", got, want)
	}
}

// A Director dies with prepared transactions. They go on where its JobDB is drained.
func TestPreparedTransactionsAreDrained(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	y := newTally(succeeds)
	old := start(t, dir, new(atomic.Uint64), p.serving(y))
	kept := prepare(t, old, "kept", 10*time.Minute, 3)
	prepare(t, old, "dropped", 10*time.Minute, 3)
	prepare(t, old, "ended", 10*time.Minute, 3)
	if _, err := old.Commit(t.Context(), "ended"); err != nil {
		t.Fatal(err)
	}
	await(t, "all are delivered", func() bool { l := ledger(t, old); return l.Succeeded == 3 })
	if err := old.stop(); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, new(atomic.Uint64), p.serving(y))
	if got := stateOf(t, r, "kept"); got != "unknown" {
		t.Fatalf("transaction is %s before the drain", got)
	}
	for range 2 { // the second drain finds nothing left
		p.drain(t, jobdb.Name(1), jobdb.Name(2), r, dir)
	}
	for id, want := range map[string]string{"kept": "prepared", "dropped": "prepared", "ended": "committed"} {
		if got := stateOf(t, r, id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	tx, err := r.Commit(t.Context(), "kept")
	if err != nil || len(tx.JobIDs) != 3 || tx.JobIDs[0] != kept.JobIDs[0] {
		t.Errorf("commit: %+v, %v", tx, err)
	}
	if _, err := r.Abort(t.Context(), "dropped"); err != nil {
		t.Error(err)
	}
	p.drain(t, jobdb.Name(1), jobdb.Name(2), r, dir) // as by a drainer that has forgotten it had been there
	// Another drain, into a third JobDB, does not bring them there as well.
	other := start(t, t.TempDir(), new(atomic.Uint64), p.serving(y))
	p.drain(t, jobdb.Name(1), jobdb.Name(3), other, dir)
	for _, id := range []string{"kept", "dropped"} {
		if got := stateOf(t, other, id); got != "unknown" {
			t.Errorf("%s is %s in a third JobDB", id, got)
		}
	}
	await(t, "all are delivered", func() bool { l := ledger(t, r); return l.Succeeded == 3 })
	if got := y.made.Load(); got != 6 {
		t.Errorf("%d attempts, want 6", got)
	}
}

// While a JobDB is on its way out, what is prepared in it is known and can neither be
// ended nor brought again.
func TestPreparedTransactionInARetiringJobDB(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	begun, finish := make(chan struct{}, 1), make(chan struct{})
	y := newTally(func(job *centrifuge.Job, _ uint32) delivery.Result {
		if job.Source == "slow" {
			begun <- struct{}{}
			<-finish
		}
		return status(200)
	})
	r := start(t, dir, new(atomic.Uint64), p.serving(y))
	receipt := prepare(t, r, "tx", 10*time.Minute, 2)
	submit(t, r, &centrifuge.Job{Source: "slow", Endpoint: "https://example.com/x"})
	<-begun
	from, to, err := r.Cycle(t.Context()) // which leaves the old one waiting for the attempt
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Commit(t.Context(), "tx"); !errors.Is(err, director.ErrUnavailable) {
		t.Errorf("commit: %v", err)
	}
	if _, err := r.Abort(t.Context(), "tx"); !errors.Is(err, director.ErrUnavailable) {
		t.Errorf("abort: %v", err)
	}
	if again := prepare(t, r, "tx", 10*time.Minute, 2); !again.Repeated || again.JobIDs[0] != receipt.JobIDs[0] {
		t.Errorf("prepared again: %+v", again)
	}
	if got := stateOf(t, r, "tx"); got != "prepared" {
		t.Errorf("transaction is %s", got)
	}
	close(finish)
	await(t, from+" is let go of", func() bool { return p.report(from) != nil })
	if _, err := r.Commit(t.Context(), "tx"); !errors.Is(err, director.ErrUnavailable) {
		t.Errorf("commit before the drain: %v", err)
	}
	again := director.Submission{TransactionID: "tx", Jobs: jobs(2, "https://example.com/x"), Prepare: true}
	if _, err := r.Submit(t.Context(), again); !errors.Is(err, director.ErrUnavailable) {
		t.Errorf("prepared again before the drain: %v", err)
	}
	if state := stateOf(t, r, director.SettledID(from)); state != "unknown" {
		t.Errorf("%s is %s to be settled before the drain", from, state)
	}
	p.drain(t, from, to, r, dir)
	if _, err := r.Commit(t.Context(), "tx"); err != nil {
		t.Fatal(err)
	}
	if state := stateOf(t, r, director.SettledID(from)); state != "committed" {
		t.Errorf("%s is %s to be settled after the drain", from, state)
	}
	await(t, "all are delivered", func() bool { return y.made.Load() == 3 })
}

// What is prepared in a JobDB that was cycled goes where that is drained to, and nowhere
// else: not even to the Director that had it.
func TestPreparedTransactionGoesOneWay(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	y := newTally(succeeds)
	r := start(t, dir, new(atomic.Uint64), p.serving(y))
	prepare(t, r, "tx", 10*time.Minute, 2)
	from, _, err := r.Cycle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	await(t, from+" is let go of", func() bool { return p.report(from) != nil })
	other := start(t, t.TempDir(), new(atomic.Uint64), p.serving(y))
	p.drain(t, from, other.Status().JobDB, other, dir)
	if got := stateOf(t, other, "tx"); got != "prepared" {
		t.Errorf("transaction is %s where it was drained to", got)
	}
	if got := stateOf(t, r, "tx"); got != "unknown" {
		t.Errorf("transaction is %s where it came from", got)
	}
	if _, err := r.Abort(t.Context(), "tx"); !errors.Is(err, director.ErrUnavailable) {
		t.Errorf("abort where it came from: %v", err)
	}
	if _, err := other.Commit(t.Context(), "tx"); err != nil {
		t.Fatal(err)
	}
	await(t, "all are delivered", func() bool { return y.made.Load() == 2 })
}

type targetFunc func(context.Context, director.Transfer) error

func (f targetFunc) Accept(ctx context.Context, tr director.Transfer) error { return f(ctx, tr) }

// A drain is cut short when it has brought a prepared transaction and has not logged
// so. The next one, towards another JobDB, finds out.
func TestPreparedTransactionThatWasBroughtUnlogged(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	y := newTally(succeeds)
	old := start(t, dir, new(atomic.Uint64), p.serving(y))
	prepare(t, old, "kept", 10*time.Minute, 1)
	prepare(t, old, "later", 10*time.Minute, 1)
	if err := old.stop(); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, new(atomic.Uint64), p.serving(y))
	to := jobdb.Name(2)
	ctx, cancel := context.WithCancel(t.Context())
	courier := targetFunc(func(ctx context.Context, tr director.Transfer) error {
		defer cancel()
		return errors.Join(r.Accept(ctx, tr), errNetwork)
	})
	h := p.hold(t, jobdb.Name(1))
	if _, err := director.Drain(ctx, director.DrainOptions{
		Holding: h, To: to, Target: courier, Archive: archiveIn(t, dir), Logger: slog.New(slog.DiscardHandler),
	}); err == nil {
		t.Error("the drain came to its end")
	}
	if err := h.Lease.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Commit(t.Context(), "kept"); err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), sqlite.Options{Path: p.path(to), Epoch: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	other := start(t, t.TempDir(), new(atomic.Uint64), p.serving(y))
	p.drain(t, jobdb.Name(1), jobdb.Name(3), other, dir, func(o *director.DrainOptions) {
		o.Former = &director.Former{Name: to, Known: db.Known, Transaction: db.Transaction}
	})
	for _, id := range []string{"kept", "later"} { // which are to be drained from the second JobDB
		if got := stateOf(t, other, id); got != "unknown" {
			t.Errorf("%s is %s in a third JobDB", id, got)
		}
	}
}
