package director_test

import (
	"sync/atomic"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/archive/archivetest"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/schedule"
)

// What operators say while a JobDB is on its way out, or waits to be drained, its jobs
// obey as they arrive; and so do those whose attempts were used up there.
func TestOrdersReachJobsThatAreMoved(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	bucket := &deaf{Bucket: &archivetest.Memory{}}
	y := newTally(func(_ *centrifuge.Job, attempt uint32) delivery.Result {
		if attempt > 1 {
			return status(200)
		}
		r := status(503)
		r.RetryAfter = 2 * time.Hour
		return r
	})
	r := start(t, dir, new(atomic.Uint64), p.serving(y), func(o *director.Options) {
		o.Archive = archive.New(bucket)
		o.ArchiveJobs, o.ShutdownGrace = 1, 100*time.Millisecond
	})
	if err := r.SetPolicy(t.Context(), centrifuge.QueueKey{Destination: "paused.example"}, centrifuge.QueuePolicy{Paused: true}); err != nil {
		t.Fatal(err)
	}
	const retried, flushed, later, spent = 7, 8, 9, 6 // those that fail are each of another queue
	submit(t, r, jobs(retried, "https://retried.example/")...)
	submit(t, r, jobs(flushed, "https://paused.example/")...)
	last := jobs(spent, "https://spent.example/")
	for _, j := range last {
		j.Settings.Retry.MaxAttempts = 1
	}
	submit(t, r, last...)
	await(t, "the archive is waited for", func() bool {
		l := ledger(t, r)
		return l.AwaitingRetry == retried+spent-1 && l.Archiving == 1
	})
	from, to, err := r.Cycle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, order := range []struct {
		give func(schedule.Selector) (int, error)
		dest string
	}{
		{func(sel schedule.Selector) (int, error) { return r.Retry(t.Context(), sel) }, "retried.example"},
		{func(sel schedule.Selector) (int, error) { return r.Expire(t.Context(), sel) }, "paused.example"},
	} {
		if n, err := order.give(schedule.Selector{Destination: order.dest}); n != 0 || err != nil {
			t.Errorf("%s: %d jobs of the new JobDB, %v", order.dest, n, err)
		}
	}
	submit(t, r, jobs(later, "https://paused.example/")...) // after the order
	await(t, "the old one is let go of", func() bool { return p.report(from) != nil })
	bucket.hears.Store(true)
	p.drain(t, from, to, r, dir, func(o *director.DrainOptions) { o.Archive = archive.New(bucket) })
	await(t, "the orders are obeyed", func() bool {
		l := ledger(t, r)
		return l.Succeeded == retried && l.Archived == flushed+spent-1 && l.AwaitingScheduling == later
	})
	reasons := map[centrifuge.ErrorCode]int{}
	page, err := r.ListArchive(t.Context(), archive.Filter{}, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Entries {
		reasons[e.Reason]++
	}
	if reasons[centrifuge.ErrorFlushed] != flushed || reasons[centrifuge.ErrorAttempts] != spent {
		t.Errorf("archived for %v", reasons)
	}
}

// A job whose attempts are used up is known as one by whoever recovers it.
func TestSpentJobsAreKnownAfterARestart(t *testing.T) {
	dir := t.TempDir()
	endpoint := &attempts{answer: always(500)}
	virtual(t, dir, endpoint, func(t *testing.T, r *rig) {
		job := jobs(1, "https://example.com/x")[0]
		job.Settings.Retry.MaxAttempts = 1
		id := submit(t, r, job).JobIDs[0]
		pass(time.Second) // it has failed, and more are gathered for its archive object
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		*r = *startVirtual(t, dir, endpoint)
		pass(time.Minute)
		page, err := r.ListArchive(t.Context(), archive.Filter{}, "", 10)
		if err != nil || len(page.Entries) != 1 || page.Entries[0].JobID != id || page.Entries[0].Reason != centrifuge.ErrorAttempts {
			t.Errorf("archive lists %+v: %v", page.Entries, err)
		}
		if n := len(endpoint.of(id)); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
	})
}

// While the archive refuses what has expired, the Director rests.
func TestNothingIsPolledWhileTheArchiveRefuses(t *testing.T) {
	bucket := &deaf{Bucket: &archivetest.Memory{}}
	var looks atomic.Int64
	endpoint := &attempts{answer: always(500)}
	virtual(t, t.TempDir(), endpoint, func(t *testing.T, r *rig) {
		all := jobs(30, "https://example.com/x")
		for i, j := range all {
			j.ExpireAt = time.Now().Add(time.Duration(1+i) * time.Minute)
		}
		submit(t, r, all...)
		pass(2 * time.Hour)
		looks.Store(0)
		pass(2 * time.Hour)
		if l := ledger(t, r); l.Archiving != 1 || l.Pending() != 30 {
			t.Errorf("%+v", l)
		}
		// The archive is tried each minute, and the disk looked at each second.
		if n := looks.Load(); n > 20_000 {
			t.Errorf("the clock was looked at %d times in two hours", n)
		}
		bucket.hears.Store(true)
		pass(10 * time.Minute)
		if l := ledger(t, r); l.Archived != 30 {
			t.Errorf("when the archive hears: %+v", l)
		}
	}, func(o *director.Options) {
		o.Archive = archive.New(bucket)
		o.ArchiveJobs = 1
		o.Now = func() time.Time {
			looks.Add(1)
			return time.Now()
		}
	})
}
