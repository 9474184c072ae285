package director_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
	"centrifuge/schedule"
)

// While a Director is cycled again and again under load, no Submit fails, and when
// what was left behind is drained, each job was delivered exactly once.
func TestCycleUnderLoad(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	y := newTally(func(*centrifuge.Job, uint32) delivery.Result { return status(200) })
	r := start(t, dir, new(atomic.Uint64), p.serving(y))

	var stop atomic.Bool
	var clients sync.WaitGroup
	var mu sync.Mutex
	var ids []centrifuge.ID
	for c := range 4 {
		clients.Go(func() {
			for n := 0; !stop.Load(); n++ {
				s := director.Submission{TransactionID: fmt.Sprintf("%d-%d", c, n), Jobs: jobs(20, "https://example.com/x")}
				receipt, err := r.Submit(t.Context(), s)
				if err != nil {
					t.Errorf("submit %s: %v", s.TransactionID, err)
					return
				}
				mu.Lock()
				ids = append(ids, receipt.JobIDs...)
				mu.Unlock()
			}
		})
	}
	accepted := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(ids)
	}
	const cycles = 5
	for n := range cycles {
		await(t, "more jobs are accepted", func() bool { return accepted() > 400*(n+1) })
		from, to, err := r.Cycle(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s := r.Status(); s.JobDB != to || from == to {
			t.Errorf("cycled from %s to %s, and it holds %s", from, to, s.JobDB)
		}
		await(t, from+" is let go of", func() bool { return p.report(from) != nil })
		if report := p.report(from); report.Err != nil || !report.Cycled {
			t.Errorf("%s was let go of: %v, cycled %t", from, report.Err, report.Cycled)
		}
		p.drain(t, from, to, r, dir)
	}
	stop.Store(true)
	clients.Wait()
	await(t, "all are delivered", func() bool { l := ledger(t, r); return l.Pending() == 0 })
	for _, id := range ids {
		if got := y.of(id); len(got) != 1 {
			t.Errorf("job %s was attempted as %v", id, got)
		}
	}
	if y.made.Load() != int64(len(ids)) {
		t.Errorf("%d attempts of %d jobs", y.made.Load(), len(ids))
	}
}

// Attempts under way end in the JobDB in which they began, and their jobs are found
// there for as long. No more than two JobDBs retire at a time.
func TestCycleWaitsForAttempts(t *testing.T) {
	p := newPool(t)
	endpoint := &attempts{answer: func(context.Context, *centrifuge.Job, uint32) delivery.Result {
		pass(10 * time.Second)
		return status(200)
	}}
	virtual(t, t.TempDir(), endpoint, func(t *testing.T, r *rig) {
		id := submit(t, r, jobs(3, "https://example.com/x")...).JobIDs[0]
		pass(2 * time.Second)
		for n := range 3 {
			_, _, err := r.Cycle(t.Context())
			if n < 2 && err != nil || n == 2 && !errors.Is(err, director.ErrRetiring) {
				t.Fatalf("cycle %d: %v", n, err)
			}
			if n == 0 {
				submit(t, r, jobs(2, "https://example.com/x")...)
				pass(2 * time.Second)
			}
		}
		s := r.Status()
		if s.JobDB != jobdb.Name(3) || !s.Ready || len(s.Retiring) != 2 || s.InFlight != 5 {
			t.Errorf("it holds %+v", s)
		}
		if trace, err := r.Get(t.Context(), id); err != nil || len(trace.Transitions) != 2 {
			t.Errorf("a job whose attempt is under way: %+v, %v", trace, err)
		}
		if l := ledger(t, r); l.Accepted != 5 || l.Executing != 5 {
			t.Errorf("over all JobDBs: %+v", l)
		}
		if queues, err := r.LedgerByQueue(schedule.Selector{Source: "source-0"}); err != nil || len(queues) != 1 || queues[0].Ledger.Accepted != 2 {
			t.Errorf("over all JobDBs: %+v, %v", queues, err)
		}
		pass(20 * time.Second)
		for n, want := range map[uint64]int64{1: 3, 2: 2} {
			if report := p.report(jobdb.Name(n)); report == nil || report.Err != nil || report.Ledger.Succeeded != want || report.Ledger.Pending() != 0 {
				t.Errorf("%s was let go of with %+v", jobdb.Name(n), report)
			}
		}
		if s := r.Status(); len(s.Retiring) != 0 || s.InFlight != 0 {
			t.Errorf("it holds %+v", s)
		}
		if _, _, err := r.Cycle(t.Context()); err != nil {
			t.Errorf("cycled again: %v", err)
		}
	}, func(o *director.Options) { o.Acquire, o.Released = p.acquire, p.release })
}

// A cycle that fails changes nothing.
func TestCycleFails(t *testing.T) {
	p := newPool(t)
	broken := errors.New("no JobDB is to be had")
	n := 0
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		for range 2 {
			if _, _, err := r.Cycle(t.Context()); !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
			if s := r.Status(); s.JobDB != jobdb.Name(1) || !s.Ready || len(s.Retiring) != 0 {
				t.Errorf("it holds %+v", s)
			}
			submit(t, r, jobs(3, "https://example.com/x")...)
		}
		pass(time.Minute)
		if l := ledger(t, r); l.Succeeded != 6 {
			t.Errorf("%+v", l)
		}
		if report := p.report(jobdb.Name(2)); report != nil {
			t.Errorf("a JobDB that was never used is reported: %+v", report)
		}
	}, func(o *director.Options) {
		o.Released = p.release
		o.Acquire = func(ctx context.Context) (director.Holding, error) {
			if n++; n == 2 {
				return director.Holding{}, broken
			}
			h, err := p.acquire(ctx)
			if n == 3 {
				h.Open = func(context.Context, uint64) (jobdb.DB, error) { return nil, broken }
			}
			return h, err
		}
	})
}

// Of two policies of a scope the later holds, in whatever order they come, and
// though the clock is set back.
func TestPoliciesThatAreBrought(t *testing.T) {
	p := newPool(t)
	var back atomic.Int64
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		scope := centrifuge.QueueKey{Destination: "d"}
		set := func(rate float64) {
			if err := r.SetPolicy(t.Context(), scope, centrifuge.QueuePolicy{Rate: rate}); err != nil {
				t.Fatal(err)
			}
		}
		bring := func(rate float64, at time.Time) {
			said := []jobdb.Policy{{Scope: scope, Policy: centrifuge.QueuePolicy{Rate: rate}, Time: at}}
			if err := r.Accept(t.Context(), director.Transfer{To: jobdb.Name(1), Policies: said}); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(rate float64) {
			t.Helper()
			if got, err := r.Policy(scope); err != nil || got.Rate != rate {
				t.Errorf("the rate is %v, want %v: %v", got.Rate, rate, err)
			}
		}
		began := time.Now().UTC()
		set(1)
		bring(2, began.Add(-time.Minute))
		expect(1)
		bring(3, began.Add(time.Minute))
		expect(3)
		back.Store(int64(time.Hour))
		set(4)
		bring(5, began.Add(time.Minute))
		expect(4)
	}, func(o *director.Options) {
		o.Acquire = p.acquire
		o.Now = func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
	})
}

// A Submit that was under way when its Director was cycled ends as it would have.
func TestCycleWaitsForCalls(t *testing.T) {
	p := newPool(t)
	var slow atomic.Bool
	p.fault = func(op string) jobdbtest.Fault {
		if op == jobdbtest.OpTransaction && slow.CompareAndSwap(true, false) {
			pass(5 * time.Second)
		}
		return jobdbtest.NoFault
	}
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		slow.Store(true)
		answered := make(chan error, 1)
		go func() {
			receipt, err := r.Submit(t.Context(), director.Submission{TransactionID: "slow", Jobs: jobs(3, "https://example.com/x")})
			if err == nil && receipt.JobDB != jobdb.Name(1) {
				err = fmt.Errorf("it went to %s", receipt.JobDB)
			}
			answered <- err
		}()
		pass(time.Second)
		if _, _, err := r.Cycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Repeated meanwhile, it waits for the first and is recognised.
		receipt, err := r.Submit(t.Context(), director.Submission{TransactionID: "slow", Jobs: jobs(3, "https://example.com/x")})
		if err != nil || !receipt.Repeated {
			t.Errorf("repeated: %+v, %v", receipt, err)
		}
		if err := <-answered; err != nil {
			t.Errorf("under way during the cycle: %v", err)
		}
		pass(time.Minute)
		if report := p.report(jobdb.Name(1)); report == nil || report.Err != nil || report.Ledger.Accepted != 3 {
			t.Errorf("let go of with %+v", report)
		}
	}, func(o *director.Options) { o.Acquire, o.Released = p.acquire, p.release })
}
