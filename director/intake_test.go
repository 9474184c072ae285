package director_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
)

func TestRefusedJobs(t *testing.T) {
	good := func() *centrifuge.Job {
		return &centrifuge.Job{Source: "s", Endpoint: "https://example.com/x"}
	}
	for name, c := range map[string]struct {
		change func(*centrifuge.Job)
		field  string
	}{
		"no source":           {func(j *centrifuge.Job) { j.Source = "" }, "source"},
		"long source":         {func(j *centrifuge.Job) { j.Source = strings.Repeat("s", 257) }, "source"},
		"control character":   {func(j *centrifuge.Job) { j.Destination = "a\nb" }, "destination"},
		"not UTF-8":           {func(j *centrifuge.Job) { j.Source = "\xff" }, "source"},
		"no endpoint":         {func(j *centrifuge.Job) { j.Endpoint = "" }, "endpoint"},
		"other scheme":        {func(j *centrifuge.Job) { j.Endpoint = "ftp://example.com" }, "endpoint"},
		"reserved header":     {func(j *centrifuge.Job) { j.Headers = []centrifuge.Header{{Name: "Connection", Value: "close"}} }, "headers"},
		"large payload":       {func(j *centrifuge.Job) { j.Payload = make([]byte, 1<<20+1) }, "payload"},
		"expired":             {func(j *centrifuge.Job) { j.ExpireAt = time.Now().Add(-time.Second) }, "expire_at"},
		"expires too late":    {func(j *centrifuge.Job) { j.ExpireAt = time.Now().Add(8 * 24 * time.Hour) }, "expire_at"},
		"long timeout":        {func(j *centrifuge.Job) { j.Settings.Timeout = time.Hour }, "timeout"},
		"negative backoff":    {func(j *centrifuge.Job) { j.Settings.Retry.MinBackoff = -1 }, "retry.min_backoff"},
		"backoffs crossed":    {func(j *centrifuge.Job) { j.Settings.Retry = centrifuge.RetryPolicy{MinBackoff: 2e9, MaxBackoff: 1e9} }, "retry.max_backoff"},
		"unheard-of encoding": {func(j *centrifuge.Job) { j.Settings.Encoding = 9 }, "encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
				bad := good()
				c.change(bad)
				_, err := r.Submit(t.Context(), director.Submission{Jobs: []*centrifuge.Job{good(), bad}})
				var invalid *director.InvalidError
				if !errors.As(err, &invalid) || invalid.Index != 1 || invalid.Field != c.field {
					t.Errorf("got %v, want jobs[1].%s", err, c.field)
				}
				if l := ledger(t, r); l.Accepted != 0 {
					t.Errorf("a refused batch left %+v", l)
				}
			})
		})
	}
}

func TestRefusedBatches(t *testing.T) {
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		big := jobs(40, "https://example.com/x")
		for _, j := range big {
			j.Payload = make([]byte, 1<<20)
		}
		for field, s := range map[string]director.Submission{
			"jobs":           {},
			"jobs ":          {Jobs: jobs(director.MaxJobs+1, "https://example.com/x")},
			"jobs  ":         {Jobs: big},
			"transaction_id": {TransactionID: strings.Repeat("x", 129), Jobs: jobs(1, "https://example.com/x")},
		} {
			_, err := r.Submit(t.Context(), s)
			var invalid *director.InvalidError
			if !errors.As(err, &invalid) || invalid.Field != strings.TrimSpace(field) {
				t.Errorf("got %v, want %s", err, field)
			}
		}
		if l := ledger(t, r); l.Accepted != 0 {
			t.Errorf("refused batches left %+v", l)
		}
	})
}

// A repeated transaction gives the same answer and enqueues nothing, also at the
// same time, and after a restart.
func TestRepeatedTransaction(t *testing.T) {
	dir, epoch := t.TempDir(), new(atomic.Uint64)
	endpoint := &attempts{answer: always(200)}
	var first director.Receipt
	for round := range 2 {
		r := start(t, dir, epoch, func(o *director.Options) { o.Deliverer = endpoint })
		var wg sync.WaitGroup
		receipts := make([]director.Receipt, 8)
		for i := range receipts {
			wg.Go(func() {
				receipt, err := r.Submit(t.Context(), director.Submission{TransactionID: "one", Jobs: jobs(3, "https://example.com/x")})
				if err != nil {
					t.Error(err)
				}
				receipts[i] = receipt
			})
		}
		wg.Wait()
		if round == 0 {
			first = receipts[0]
		}
		for _, receipt := range receipts {
			if !slices.Equal(receipt.JobIDs, first.JobIDs) || receipt.TransactionID != "one" {
				t.Errorf("round %d: answered %v, first %v", round, receipt, first)
			}
		}
		if l := ledger(t, r); l.Accepted != 3 {
			t.Errorf("round %d: %+v", round, l)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTakenIDs(t *testing.T) {
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		id := submit(t, r, jobs(1, "https://example.com/x")...).JobIDs[0]
		again := jobs(3, "https://example.com/x")
		again[2].ID = id
		_, err := r.Submit(t.Context(), director.Submission{Jobs: again})
		var exists *director.ExistsError
		if !errors.As(err, &exists) || exists.Index != 2 || exists.ID != id {
			t.Errorf("got %v", err)
		}
		twice := jobs(2, "https://example.com/x")
		twice[0].ID[3], twice[1].ID[3] = 7, 7
		if _, err := r.Submit(t.Context(), director.Submission{Jobs: twice}); !errors.As(err, &exists) || exists.Index != 1 {
			t.Errorf("the same id twice in a batch: %v", err)
		}
		pass(time.Second)
		if l := ledger(t, r); l.Accepted != 1 {
			t.Errorf("%+v", l)
		}
	})
}

func TestTooManyPending(t *testing.T) {
	virtual(t, t.TempDir(), &attempts{answer: always(500)}, func(t *testing.T, r *rig) {
		submit(t, r, jobs(10, "https://example.com/x")...)
		_, err := r.Submit(t.Context(), director.Submission{Jobs: jobs(1, "https://example.com/x")})
		var exhausted *director.ExhaustedError
		if !errors.As(err, &exhausted) || exhausted.RetryAfter == 0 {
			t.Errorf("got %v", err)
		}
	}, func(o *director.Options) { o.MaxPending = 10 })
}

func TestNearlyFullDisk(t *testing.T) {
	var free atomic.Uint64
	free.Store(1000)
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		pass(2 * time.Second)
		_, err := r.Submit(t.Context(), director.Submission{Jobs: jobs(1, "https://example.com/x")})
		if _, ok := errors.AsType[*director.ExhaustedError](err); !ok {
			t.Errorf("with little room: %v", err)
		}
		if err := r.Ready(); err == nil {
			t.Error("ready with little room")
		}
		free.Store(5000)
		pass(2 * time.Second)
		submit(t, r, jobs(1, "https://example.com/x")...)
	}, func(o *director.Options) {
		o.MinFreeDisk, o.FreeDisk = 2000, func() (uint64, error) { return free.Load(), nil }
	})
}

// faulty opens the JobDB behind injected faults.
func faulty(plan func(op string) jobdbtest.Fault) func(*director.Options) {
	return func(o *director.Options) {
		acquire := o.Acquire
		o.Acquire = func(ctx context.Context) (director.Holding, error) {
			h, err := acquire(ctx)
			open := h.Open
			h.Open = func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
				db, err := open(ctx, epoch)
				if err != nil {
					return nil, err
				}
				return jobdbtest.Faulty(db, plan), nil
			}
			return h, err
		}
	}
}

// While the storage is full, Submits are refused and nothing is attempted; the
// outcomes of what was under way are kept and logged when there is room.
func TestFullStorage(t *testing.T) {
	var full atomic.Bool
	plan := func(op string) jobdbtest.Fault {
		if op == jobdbtest.OpCommit && full.Load() {
			return jobdbtest.Full
		}
		return jobdbtest.NoFault
	}
	var release chan struct{} // made in the bubble
	endpoint := &attempts{answer: func(context.Context, *centrifuge.Job, uint32) delivery.Result {
		<-release
		return status(200)
	}}
	virtual(t, t.TempDir(), endpoint, func(t *testing.T, r *rig) {
		release = make(chan struct{})
		submit(t, r, jobs(5, "https://example.com/x")...)
		pass(time.Second)
		full.Store(true)
		close(release)
		_, err := r.Submit(t.Context(), director.Submission{Jobs: jobs(5, "https://example.com/x")})
		if _, ok := errors.AsType[*director.ExhaustedError](err); !ok {
			t.Errorf("a Submit while the storage is full: %v", err)
		}
		pass(time.Minute)
		if l := ledger(t, r); l.Succeeded != 0 || l.Accepted != 5 {
			t.Errorf("while full: %+v", l)
		}
		full.Store(false)
		pass(2 * time.Second)
		if l := ledger(t, r); l.Succeeded != 5 {
			t.Errorf("when there is room again: %+v", l)
		}
		submit(t, r, jobs(5, "https://example.com/x")...)
	}, faulty(plan))
}

// When a commit's outcome is unknown, the Submit is refused as unavailable, and
// whether it was stored shows when it is repeated under its transaction id.
func TestUnknownOutcome(t *testing.T) {
	for fault, persisted := range map[jobdbtest.Fault]bool{jobdbtest.UnknownLost: false, jobdbtest.UnknownKept: true} {
		t.Run(fmt.Sprintf("persisted=%v", persisted), func(t *testing.T) {
			var armed atomic.Bool
			plan := func(op string) jobdbtest.Fault {
				if op == jobdbtest.OpCommit && armed.CompareAndSwap(true, false) {
					return fault
				}
				return jobdbtest.NoFault
			}
			virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
				armed.Store(true)
				s := director.Submission{TransactionID: "tx", Jobs: jobs(4, "https://example.com/x")}
				if _, err := r.Submit(t.Context(), s); !errors.Is(err, director.ErrUnavailable) {
					t.Fatalf("got %v", err)
				}
				pass(2 * time.Second)
				s.Jobs = jobs(4, "https://example.com/x")
				receipt, err := r.Submit(t.Context(), s)
				if err != nil || receipt.Repeated != persisted {
					t.Errorf("the repetition: %+v, %v", receipt, err)
				}
				pass(time.Second)
				if l := ledger(t, r); l.Accepted != 4 || l.Succeeded != 4 {
					t.Errorf("%+v", l)
				}
			}, faulty(plan))
		})
	}
}

// Jobs whose payloads the cache has no room for are read back when they are due.
func TestSpill(t *testing.T) {
	var wrong atomic.Int64
	var healed time.Time
	endpoint := &attempts{answer: func(_ context.Context, job *centrifuge.Job, _ uint32) delivery.Result {
		if len(job.Payload) != 1000 || job.Payload[0] != job.Source[len(job.Source)-1] {
			wrong.Add(1)
		}
		if time.Now().Before(healed) {
			return status(500)
		}
		return status(200)
	}}
	virtual(t, t.TempDir(), endpoint, func(t *testing.T, r *rig) {
		healed = time.Now().Add(time.Minute)
		batch := jobs(500, "https://example.com/x")
		for _, j := range batch {
			j.Payload = slices.Repeat([]byte{j.Source[len(j.Source)-1]}, 1000)
		}
		submit(t, r, batch...)
		pass(30 * time.Minute)
		if l := ledger(t, r); l.Succeeded != 500 {
			t.Errorf("%+v", l)
		}
		if n := wrong.Load(); n != 0 {
			t.Errorf("%d attempts had another payload", n)
		}
	}, func(o *director.Options) { o.CacheBytes = 5000 })
}
