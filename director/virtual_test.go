package director_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/schedule"
)

// attempts is a Deliverer that answers with a function and remembers when each
// attempt began.
type attempts struct {
	answer func(ctx context.Context, job *centrifuge.Job, attempt uint32) delivery.Result

	mu struct {
		sync.Mutex
		at map[centrifuge.ID][]time.Time
	}
}

func (a *attempts) Deliver(ctx context.Context, job *centrifuge.Job, attempt uint32) delivery.Result {
	a.mu.Lock()
	if a.mu.at == nil {
		a.mu.at = map[centrifuge.ID][]time.Time{}
	}
	a.mu.at[job.ID] = append(a.mu.at[job.ID], time.Now())
	a.mu.Unlock()
	return a.answer(ctx, job, attempt)
}

func (a *attempts) of(id centrifuge.ID) []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.mu.at[id])
}

func status(code int) delivery.Result {
	return delivery.Result{Outcome: centrifuge.ClassifyStatus(code), StatusCode: code, Error: "said so", Sent: true}
}

func always(code int) func(context.Context, *centrifuge.Job, uint32) delivery.Result {
	return func(context.Context, *centrifuge.Job, uint32) delivery.Result { return status(code) }
}

// virtual runs a Director in a bubble of virtual time, which begins in 2026 as ids
// know no time before 2014.
func virtual(t *testing.T, dir string, d director.Deliverer, test func(*testing.T, *rig), change ...func(*director.Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)))
		r := startVirtual(t, dir, d, change...)
		test(t, r)
		if err := r.stop(); err != nil {
			t.Errorf("the Director ended with: %v", err)
		}
	})
}

// pass lets virtual time pass.
func pass(d time.Duration) { time.Sleep(d) }

var epochs atomic.Uint64

func startVirtual(t *testing.T, dir string, d director.Deliverer, change ...func(*director.Options)) *rig {
	t.Helper()
	folder, err := archive.OpenFolder(filepath.Join(dir, "archive"))
	if err != nil {
		t.Fatal(err)
	}
	o := director.Options{
		Logger:    slog.New(slog.DiscardHandler),
		Acquire:   acquire(dir, &epochs),
		Deliverer: d,
		Archive:   archive.New(folder),
	}
	for _, f := range change {
		f(&o)
	}
	dir0, err := director.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- dir0.Run(ctx) }()
	synctest.Wait()
	return &rig{Director: dir0, dir: dir, stop: func() error {
		cancel()
		return errors.Join(<-done, folder.Close())
	}}
}

func TestRetriesUntilItExpiresAndIsArchivedOnce(t *testing.T) {
	endpoint := &attempts{answer: always(503)}
	virtual(t, t.TempDir(), endpoint, func(t *testing.T, r *rig) {
		receipt := submit(t, r, jobs(1, "https://example.com/x")...)
		id, began := receipt.JobIDs[0], time.Now()
		time.Sleep(4*time.Hour + time.Minute)
		if l := ledger(t, r); l.Archived != 1 || l.Pending() != 0 {
			t.Fatalf("after its time: %+v", l)
		}
		at := endpoint.of(id)
		if len(at) < 8 {
			t.Errorf("%d attempts in 4 hours, want at least 8", len(at))
		}
		trace, err := r.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var retryAt time.Time
		n := 0
		for _, step := range trace.Transitions {
			switch step.State {
			case centrifuge.StateExecuting:
				if at[n].Before(retryAt) {
					t.Errorf("attempt %d at %v, due %v", n+1, at[n], retryAt)
				}
				n++
				if step.Attempt != uint32(n) {
					t.Errorf("attempt %d is logged as %d", n, step.Attempt)
				}
			case centrifuge.StateAwaitingRetry:
				retryAt = step.RetryAt
				if step.StatusCode != 503 || step.Error != "said so" {
					t.Errorf("the failure is logged as %+v", step)
				}
			default:
			}
		}
		if n != len(at) {
			t.Errorf("%d attempts logged, %d made", n, len(at))
		}
		if last := at[len(at)-1]; last.Sub(began) > 4*time.Hour {
			t.Errorf("attempted %v after it was accepted", last.Sub(began))
		}
		page, err := r.ListArchive(t.Context(), archive.Filter{StatusCode: 503}, "", 10)
		if err != nil || len(page.Entries) != 1 || page.Entries[0].JobID != id || page.Entries[0].Reason != centrifuge.ErrorExpired {
			t.Errorf("archive lists %+v: %v", page.Entries, err)
		}
	})
}

func TestReplayIsSafeToRunTwice(t *testing.T) {
	healthy := atomic.Bool{}
	endpoint := &attempts{answer: func(context.Context, *centrifuge.Job, uint32) delivery.Result {
		if healthy.Load() {
			return status(200)
		}
		return status(500)
	}}
	virtual(t, t.TempDir(), endpoint, func(t *testing.T, r *rig) {
		submit(t, r, jobs(25, "https://example.com/x")...)
		time.Sleep(5 * time.Hour)
		healthy.Store(true)
		until := time.Now()
		for i, want := range []director.ReplayPage{{Replayed: 25}, {Skipped: 25}} {
			page, err := r.Replay(t.Context(), archive.Filter{To: until}, "", 100, 10)
			if err != nil || !reflect.DeepEqual(page, want) {
				t.Errorf("replay %d: %+v, %v; want %+v", i, page, err, want)
			}
		}
		time.Sleep(time.Minute)
		if l := ledger(t, r); l.Accepted != 50 || l.Archived != 25 || l.Succeeded != 25 {
			t.Errorf("after the replay: %+v", l)
		}
		page, err := r.ListArchive(t.Context(), archive.Filter{}, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		trace, err := r.Get(t.Context(), page.Entries[0].ReplayedAs)
		if err != nil || trace.Job.ReplayOf != page.Entries[0].JobID {
			t.Errorf("the replayed job names %s, want %s: %v", trace.Job.ReplayOf, page.Entries[0].JobID, err)
		}
	})
}

func TestForeignPageToken(t *testing.T) {
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		_, err := r.ListArchive(t.Context(), archive.Filter{}, "elsewhere", 1)
		invalid, ok := errors.AsType[*director.InvalidError](err)
		if !ok || invalid.Field != "page_token" {
			t.Errorf("got %v", err)
		}
	})
}

func TestMaxAttempts(t *testing.T) {
	endpoint := &attempts{answer: always(500)}
	virtual(t, t.TempDir(), endpoint, func(t *testing.T, r *rig) {
		job := jobs(1, "https://example.com/x")[0]
		job.Settings.Retry = centrifuge.RetryPolicy{MinBackoff: time.Second, MaxBackoff: time.Second, MaxAttempts: 3}
		id := submit(t, r, job).JobIDs[0]
		time.Sleep(time.Minute)
		if n := len(endpoint.of(id)); n != 3 {
			t.Errorf("%d attempts, want 3", n)
		}
		page, err := r.ListArchive(t.Context(), archive.Filter{ErrorCode: centrifuge.ErrorAttempts}, "", 10)
		if err != nil || len(page.Entries) != 1 || page.Entries[0].Attempts != 3 {
			t.Errorf("archive lists %+v: %v", page.Entries, err)
		}
	})
}

func TestRetryAfterIsRespected(t *testing.T) {
	endpoint := &attempts{answer: func(_ context.Context, _ *centrifuge.Job, attempt uint32) delivery.Result {
		if attempt > 1 {
			return status(200)
		}
		r := status(429)
		r.RetryAfter = 10 * time.Minute
		return r
	}}
	virtual(t, t.TempDir(), endpoint, func(t *testing.T, r *rig) {
		id := submit(t, r, jobs(1, "https://example.com/x")...).JobIDs[0]
		time.Sleep(11 * time.Minute)
		at := endpoint.of(id)
		if len(at) != 2 || at[1].Sub(at[0]) < 10*time.Minute {
			t.Errorf("attempts at %v, want the second 10 minutes after the first", at)
		}
	})
}

func TestPanicInDeliveryIsOneFailedAttempt(t *testing.T) {
	endpoint := &attempts{answer: func(_ context.Context, _ *centrifuge.Job, attempt uint32) delivery.Result {
		if attempt == 1 {
			panic("a bug")
		}
		return status(200)
	}}
	virtual(t, t.TempDir(), endpoint, func(t *testing.T, r *rig) {
		id := submit(t, r, jobs(1, "https://example.com/x")...).JobIDs[0]
		time.Sleep(time.Minute)
		trace, err := r.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if step := trace.Transitions[2]; step.ErrorCode != centrifuge.ErrorInternal {
			t.Errorf("after the panic: %+v", step)
		}
		if l := ledger(t, r); l.Succeeded != 1 {
			t.Errorf("%+v", l)
		}
	})
}

func TestOperators(t *testing.T) {
	endpoint := &attempts{answer: func(_ context.Context, _ *centrifuge.Job, attempt uint32) delivery.Result {
		if attempt > 1 {
			return status(200)
		}
		return status(500)
	}}
	virtual(t, t.TempDir(), endpoint, func(t *testing.T, r *rig) {
		paused := centrifuge.QueueKey{Destination: "paused.example"}
		if err := r.SetPolicy(t.Context(), paused, centrifuge.QueuePolicy{Paused: true}); err != nil {
			t.Fatal(err)
		}
		job := jobs(1, "https://paused.example/x")[0]
		id := submit(t, r, job).JobIDs[0]
		time.Sleep(time.Minute)
		if n := len(endpoint.of(id)); n != 0 {
			t.Fatalf("a paused destination got %d attempts", n)
		}
		if err := r.SetPolicy(t.Context(), paused, centrifuge.QueuePolicy{Retry: centrifuge.RetryPolicy{MinBackoff: time.Hour, MaxBackoff: time.Hour}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := len(endpoint.of(id)); n != 1 {
			t.Fatalf("after it was resumed: %d attempts, want 1", n)
		}
		if n, err := r.Retry(t.Context(), schedule.Selector{Destination: "paused.example"}); n != 1 || err != nil {
			t.Fatalf("retry now: %d, %v", n, err)
		}
		time.Sleep(time.Second)
		if l := ledger(t, r); l.Succeeded != 1 {
			t.Errorf("after retry now: %+v", l)
		}

		if err := r.SetPolicy(t.Context(), paused, centrifuge.QueuePolicy{Paused: true}); err != nil {
			t.Fatal(err)
		}
		submit(t, r, jobs(3, "https://paused.example/x")...)
		if n, err := r.Expire(t.Context(), schedule.Selector{Destination: "paused.example"}); n != 3 || err != nil {
			t.Fatalf("expire now: %d, %v", n, err)
		}
		time.Sleep(time.Minute)
		if l := ledger(t, r); l.Archived != 3 || l.Pending() != 0 {
			t.Errorf("after expire now: %+v", l)
		}
	})
}

func TestPoliciesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	endpoint := &attempts{answer: always(404)}
	virtual(t, dir, endpoint, func(t *testing.T, r *rig) {
		scope := centrifuge.QueueKey{Destination: "example.com"}
		if err := r.SetPolicy(t.Context(), scope, centrifuge.QueuePolicy{RetryStatuses: []int{404}}); err != nil {
			t.Fatal(err)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		*r = *startVirtual(t, dir, endpoint)
		submit(t, r, jobs(1, "https://example.com/x")...)
		time.Sleep(time.Second)
		if l := ledger(t, r); l.AwaitingRetry != 1 {
			t.Errorf("a 404 that the policy retries: %+v", l)
		}
	})
}

func TestShutdownCutsOffWhatTakesTooLong(t *testing.T) {
	dir := t.TempDir()
	endpoint := &attempts{answer: func(ctx context.Context, _ *centrifuge.Job, attempt uint32) delivery.Result {
		if attempt > 1 {
			return status(200)
		}
		<-ctx.Done()
		return delivery.Result{Outcome: centrifuge.OutcomeRetry, ErrorCode: centrifuge.ErrorInterrupted}
	}}
	virtual(t, dir, endpoint, func(t *testing.T, r *rig) {
		id := submit(t, r, jobs(1, "https://example.com/x")...).JobIDs[0]
		time.Sleep(time.Second)
		began := time.Now()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began).Truncate(time.Second); took != 15*time.Second {
			t.Errorf("the shutdown took %v, want the grace of 15 s", took)
		}
		if _, err := r.Submit(t.Context(), director.Submission{Jobs: jobs(1, "https://example.com/x")}); !errors.Is(err, director.ErrUnavailable) {
			t.Errorf("a Submit after the shutdown: %v", err)
		}
		*r = *startVirtual(t, dir, endpoint)
		time.Sleep(time.Second)
		trace, err := r.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if step := trace.Transitions[2]; step.State != centrifuge.StateAwaitingRetry || step.ErrorCode != centrifuge.ErrorInterrupted {
			t.Errorf("the attempt that was cut off: %+v", step)
		}
		if l := ledger(t, r); l.Succeeded != 1 {
			t.Errorf("%+v", l)
		}
	})
}
