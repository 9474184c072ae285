package director_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/archive/archivetest"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb/jobdbtest"
	"centrifuge/schedule"
)

// What operators say while a JobDB is on its way out, or waits to be drained, its jobs
// obey as they arrive; and so do those whose attempts were used up there.
func TestOrdersReachJobsThatAreMoved(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	bucket := &deaf{Bucket: &archivetest.Memory{}}
	y := newTally(func(job *centrifuge.Job, attempt uint32) delivery.Result { return later(t.Context(), job, attempt) })
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

// later answers the first attempt with a Retry-After of two hours, and others well.
func later(_ context.Context, _ *centrifuge.Job, attempt uint32) delivery.Result {
	if attempt > 1 {
		return status(200)
	}
	r := status(503)
	r.RetryAfter = 2 * time.Hour
	return r
}

// laggard is an archive that refuses until its bucket hears, so that of those that
// were flushed all but one stay where they are.
func laggard(bucket *deaf) func(*director.Options) {
	return func(o *director.Options) {
		o.Archive = archive.New(bucket)
		o.ArchiveJobs, o.ShutdownGrace = 1, 100*time.Millisecond
	}
}

// What was ordered and had not reached its jobs when the process ended is obeyed by
// the next one, and by no job that came after the order.
func TestOrdersSurviveARestart(t *testing.T) {
	dir, bucket := t.TempDir(), &deaf{Bucket: &archivetest.Memory{}}
	endpoint := &attempts{answer: later}
	paused := func(t *testing.T, r *rig, is bool, destinations ...string) {
		for _, d := range destinations {
			if err := r.SetPolicy(t.Context(), centrifuge.QueueKey{Destination: d}, centrifuge.QueuePolicy{Paused: is}); err != nil {
				t.Fatal(err)
			}
		}
	}
	virtual(t, dir, endpoint, func(t *testing.T, r *rig) {
		const retried, waiting, flushed, late = 7, 7, 8, 5
		submit(t, r, jobs(retried, "https://retried.example/")...) // each of another queue
		submit(t, r, jobs(waiting, "https://waiting.example/")...)
		pass(time.Second)
		paused(t, r, true, "retried.example", "flushed.example")
		submit(t, r, jobs(flushed, "https://flushed.example/")...)
		if n, err := r.Retry(t.Context(), schedule.Selector{Destination: "retried.example"}); n != retried || err != nil {
			t.Errorf("retried %d: %v", n, err)
		}
		if n, err := r.Expire(t.Context(), schedule.Selector{Destination: "flushed.example"}); n != flushed || err != nil {
			t.Errorf("flushed %d: %v", n, err)
		}
		submit(t, r, jobs(late, "https://flushed.example/")...) // in the same instant, but after the orders
		pass(time.Minute)
		if l := ledger(t, r); l.Archiving != 1 || l.AwaitingRetry != retried+waiting {
			t.Errorf("before: %+v", l)
		}
		for range 2 { // the second time, the order is known from the JobDB alone
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			*r = *startVirtual(t, dir, endpoint, laggard(bucket))
			pass(time.Minute)
		}
		paused(t, r, false, "retried.example")
		bucket.hears.Store(true)
		pass(10 * time.Minute)
		if l := ledger(t, r); l.Archived != flushed || l.Succeeded != retried || l.AwaitingRetry != waiting || l.AwaitingScheduling != late {
			t.Errorf("after: %+v", l)
		}
	}, laggard(bucket))
}

// Jobs that come, or fail, after an order are not touched by it, though the clock was
// set back and says that they were earlier; nor if their Submit was refused once.
func TestOrdersKnowTheirPlaceThoughTheClockIsSetBack(t *testing.T) {
	dir, bucket := t.TempDir(), &deaf{Bucket: &archivetest.Memory{}}
	var back atomic.Int64
	var refuse atomic.Bool
	change := []func(*director.Options){
		laggard(bucket),
		func(o *director.Options) {
			o.Now = func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
		},
		faulty(func(op string) jobdbtest.Fault {
			if op == jobdbtest.OpCommit && refuse.CompareAndSwap(true, false) {
				return jobdbtest.Full
			}
			return jobdbtest.NoFault
		}),
	}
	endpoint := &attempts{answer: later}
	virtual(t, dir, endpoint, func(t *testing.T, r *rig) {
		pause := func(destination string, is bool) {
			if err := r.SetPolicy(t.Context(), centrifuge.QueueKey{Destination: destination}, centrifuge.QueuePolicy{Paused: is}); err != nil {
				t.Fatal(err)
			}
		}
		pause("flushed.example", true)
		pause("failing.example", true)
		restart := func() {
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			*r = *startVirtual(t, dir, endpoint, change...)
		}
		const flushed, late, failing = 3, 4, 5
		submit(t, r, jobs(flushed, "https://flushed.example/")...)
		fail := submit(t, r, jobs(failing, "https://failing.example/")...).JobIDs
		if n, err := r.Expire(t.Context(), schedule.Selector{Destination: "flushed.example"}); n != flushed || err != nil {
			t.Fatalf("%d flushed, %v", n, err)
		}
		pass(time.Second)
		back.Store(int64(time.Hour))
		refuse.Store(true)
		for _, accepted := range []bool{false, true} {
			if _, err := r.Submit(t.Context(), director.Submission{Jobs: jobs(late, "https://flushed.example/")}); (err == nil) != accepted {
				t.Errorf("submit: %v", err)
			}
			pass(time.Second)
		}
		for range 20 {
			if _, err := r.Retry(t.Context(), schedule.Selector{Destination: "failing.example"}); err != nil {
				t.Fatal(err)
			}
		}
		restart()
		pause("failing.example", false)
		pass(time.Second)
		if l := ledger(t, r); l.AwaitingRetry != failing || l.AwaitingScheduling != flushed+late-1 {
			t.Errorf("before: %+v", l)
		}
		restart()
		bucket.hears.Store(true)
		pass(10 * time.Minute)
		if l := ledger(t, r); l.Archived != flushed || l.AwaitingScheduling != late || l.AwaitingRetry != failing {
			t.Errorf("after: %+v", l)
		}
		for _, id := range fail {
			if n := len(endpoint.of(id)); n != 1 {
				t.Errorf("a job that has failed since the order was attempted %d times", n)
			}
		}
		if booked, recounted, err := r.Verify(t.Context()); err != nil || booked != recounted {
			t.Errorf("booked %+v, recounted %+v: %v", booked, recounted, err)
		}
	}, change...)
}

// A commit whose outcome is unknown leaves an order in force if it was kept, and
// otherwise not.
func TestOrderWhoseOutcomeIsUnknown(t *testing.T) {
	for _, fault := range []jobdbtest.Fault{jobdbtest.UnknownLost, jobdbtest.UnknownKept} {
		var strike atomic.Bool
		endpoint := &attempts{answer: always(200)}
		virtual(t, t.TempDir(), endpoint, func(t *testing.T, r *rig) {
			key := centrifuge.QueueKey{Destination: "example.com"}
			if err := r.SetPolicy(t.Context(), key, centrifuge.QueuePolicy{Paused: true}); err != nil {
				t.Fatal(err)
			}
			submit(t, r, jobs(3, "https://example.com/x")...)
			strike.Store(true)
			if _, err := r.Expire(t.Context(), schedule.Selector(key)); !errors.Is(err, director.ErrUnavailable) {
				t.Errorf("fault %d: expire: %v", fault, err)
			}
			pass(time.Minute)
			want := director.Ledger{Accepted: 3, AwaitingScheduling: 3}
			if fault == jobdbtest.UnknownKept {
				want = director.Ledger{Accepted: 3, Archived: 3}
			}
			if l := ledger(t, r); l != want {
				t.Errorf("fault %d: %+v", fault, l)
			}
		}, faulty(func(op string) jobdbtest.Fault {
			if op == jobdbtest.OpCommit && strike.CompareAndSwap(true, false) {
				return fault
			}
			return jobdbtest.NoFault
		}))
	}
}

// What was ordered before a cycle goes with the jobs that are drained: they are
// archived from where they are, or due when they arrive.
func TestOrdersAreDrained(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	bucket := &deaf{Bucket: &archivetest.Memory{}}
	y := newTally(func(job *centrifuge.Job, attempt uint32) delivery.Result { return later(t.Context(), job, attempt) })
	r := start(t, dir, new(atomic.Uint64), p.serving(y), laggard(bucket))
	const retried, flushed, later = 7, 8, 9
	submit(t, r, jobs(retried, "https://retried.example/")...)
	await(t, "they have failed", func() bool { return ledger(t, r).AwaitingRetry == retried })
	for _, d := range []string{"retried.example", "flushed.example"} {
		if err := r.SetPolicy(t.Context(), centrifuge.QueueKey{Destination: d}, centrifuge.QueuePolicy{Paused: true}); err != nil {
			t.Fatal(err)
		}
	}
	submit(t, r, jobs(flushed, "https://flushed.example/")...)
	if n, err := r.Expire(t.Context(), schedule.Selector{Destination: "flushed.example"}); n != flushed || err != nil {
		t.Errorf("flushed %d: %v", n, err)
	}
	if n, err := r.Retry(t.Context(), schedule.Selector{Destination: "retried.example"}); n != retried || err != nil {
		t.Errorf("retried %d: %v", n, err)
	}
	submit(t, r, jobs(later, "https://flushed.example/")...)
	await(t, "the archive is waited for", func() bool { return ledger(t, r).Archiving == 1 })
	from, _, err := r.Cycle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the old one is let go of", func() bool { return p.report(from) != nil })

	// The jobs go to a Director that was told nothing.
	other := start(t, t.TempDir(), new(atomic.Uint64), p.serving(y))
	bucket.hears.Store(true)
	to := other.Status().JobDB
	l := p.drain(t, from, to, other, dir, func(o *director.DrainOptions) { o.Archive = archive.New(bucket) })
	if l.Archived != flushed || l.Moved != retried+later {
		t.Errorf("drained with %+v", l)
	}
	for _, d := range []string{"retried.example", "flushed.example"} {
		if err := other.SetPolicy(t.Context(), centrifuge.QueueKey{Destination: d}, centrifuge.QueuePolicy{Paused: d == "flushed.example"}); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the orders are obeyed", func() bool {
		l := ledger(t, other)
		return l.Succeeded == retried && l.AwaitingScheduling == later
	})
}

// Orders that were given before a cycle, for jobs that arrive after it, are known in
// the next JobDB, also to a process that has seen no other.
func TestOrdersGoWithACycle(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	bucket := &deaf{Bucket: &archivetest.Memory{}}
	y := newTally(succeeds)
	r := start(t, dir, new(atomic.Uint64), p.serving(y), laggard(bucket))
	key := centrifuge.QueueKey{Destination: "example.com"}
	if err := r.SetPolicy(t.Context(), key, centrifuge.QueuePolicy{Paused: true}); err != nil {
		t.Fatal(err)
	}
	const flushed, later = 8, 9
	submit(t, r, jobs(flushed, "https://example.com/")...)
	first, _, err := r.Cycle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Expire(t.Context(), schedule.Selector(key)); n != 0 || err != nil {
		t.Errorf("flushed %d: %v", n, err)
	}
	await(t, "the first is let go of", func() bool { return p.report(first) != nil })
	_, last, err := r.Cycle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	submit(t, r, jobs(later, "https://example.com/")...)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, dir, new(atomic.Uint64), p.serving(y), laggard(bucket), func(o *director.Options) {
		o.Acquire = func(context.Context) (director.Holding, error) { return p.hold(t, last), nil }
	})
	bucket.hears.Store(true)
	p.drain(t, first, last, r, dir, func(o *director.DrainOptions) { o.Archive = archive.New(bucket) })
	await(t, "the order is obeyed", func() bool {
		l := ledger(t, r)
		return l.Archived == flushed && l.AwaitingScheduling == later
	})
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
