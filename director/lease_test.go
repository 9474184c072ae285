package director_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlite"
)

// leaseLost runs a Director whose endpoint takes a minute, has the lease taken away
// while attempts are under way, and returns the jobs that were accepted before.
func leaseLost(t *testing.T, lose func(*pool)) {
	p := newPool(t)
	p.fake = true
	var began atomic.Int64
	endpoint := &attempts{answer: func(ctx context.Context, _ *centrifuge.Job, _ uint32) delivery.Result {
		began.Add(1)
		select {
		case <-ctx.Done():
			return delivery.Result{Outcome: centrifuge.OutcomeRetry, ErrorCode: centrifuge.ErrorInterrupted}
		case <-time.After(time.Minute):
			return status(200)
		}
	}}
	virtual(t, t.TempDir(), endpoint, func(t *testing.T, r *rig) {
		submit(t, r, jobs(30, "https://example.com/x")...)
		pass(2 * time.Second)
		before := began.Load()
		if before == 0 {
			t.Fatal("nothing is under way")
		}
		lose(p)
		pass(10 * time.Minute)
		// It has another JobDB, in which nothing is, and made no further attempt.
		if s := r.Status(); s.JobDB != jobdb.Name(2) || !s.Ready {
			t.Errorf("it holds %+v", s)
		}
		if began.Load() != before {
			t.Errorf("%d attempts were begun without the lease", began.Load()-before)
		}
		report := p.report(jobdb.Name(1))
		if report == nil || report.Err == nil {
			t.Fatalf("the JobDB was let go of with %+v", report)
		}
		db, err := sqlite.Open(t.Context(), sqlite.Options{Path: p.path(jobdb.Name(1)), Epoch: 1000})
		if err != nil {
			t.Fatal(err)
		}
		states := make(map[centrifuge.State]int64)
		for row, err := range db.Scan(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			states[row.Last.State]++
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if states[centrifuge.StateExecuting] != before || states[centrifuge.StateAwaitingScheduling] != 30-before {
			t.Errorf("without the lease something was written: %v", states)
		}
		submit(t, r, jobs(5, "https://example.com/x")...)
		pass(10 * time.Minute)
		if l := ledger(t, r); l.Succeeded != 5 {
			t.Errorf("in the next JobDB: %+v", l)
		}
	}, func(o *director.Options) { o.Acquire, o.Released = p.acquire, p.release })
}

// When the lease is lost, attempts are cut off, nothing more is written, and another
// JobDB is acquired.
func TestLeaseLost(t *testing.T) {
	leaseLost(t, func(p *pool) { p.lease(jobdb.Name(1)).Lose() })
}

// A process that was frozen past the end of its lease notices before it does
// anything: nobody has told it yet.
func TestLeaseLapsed(t *testing.T) {
	leaseLost(t, func(p *pool) { p.lease(jobdb.Name(1)).Lapse() })
}
