package director_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/director"
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
