package director_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/archive/archivetest"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
	"centrifuge/jobdb/sqlite"
	"centrifuge/schedule"
)

// courierOf stands between a drain and a Director: what it does to the nth transfer
// of jobs is up to the test.
type courierOf struct {
	target director.Target
	meddle func(n int, accept func() error) error
	mu     sync.Mutex
	n      int
}

func (c *courierOf) Accept(ctx context.Context, tr director.Transfer) error {
	if len(tr.Jobs) == 0 {
		return c.target.Accept(ctx, tr)
	}
	c.mu.Lock() // one at a time
	defer c.mu.Unlock()
	c.n++
	return c.meddle(c.n, func() error { return c.target.Accept(ctx, tr) })
}

var errNetwork = errors.New("the network is down")

// backlog makes a JobDB in which n jobs wait, every second of them after a failed
// attempt, and returns their ids. Its Director has let go of it.
func backlog(t *testing.T, p *pool, y *tally, dir string, n int) []centrifuge.ID {
	t.Helper()
	r := start(t, dir, new(atomic.Uint64), p.serving(y))
	for _, d := range []string{"failing.example", "paused.example"} {
		policy := centrifuge.QueuePolicy{RetryStatuses: []int{404}, Paused: d == "paused.example"}
		if err := r.SetPolicy(t.Context(), centrifuge.QueueKey{Destination: d}, policy); err != nil {
			t.Fatal(err)
		}
	}
	var ids []centrifuge.ID
	for len(ids) < n {
		batch := jobs(min(1000, n-len(ids)), "https://failing.example/x")
		for i, j := range batch {
			if i%2 == 1 {
				j.Endpoint = "https://paused.example/x"
			}
		}
		s := director.Submission{TransactionID: fmt.Sprintf("backlog-%d", len(ids)), Jobs: batch}
		receipt, err := r.Submit(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, receipt.JobIDs...)
	}
	await(t, "half of them have failed", func() bool {
		l := ledger(t, r)
		return l.AwaitingScheduling == int64(n/2) && l.AwaitingRetry == int64(n)-int64(n/2)
	})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if report := p.report(jobdb.Name(1)); report == nil || report.Err != nil || report.Cycled || report.Ledger.Pending() != int64(n) {
		t.Fatalf("the JobDB was let go of with %+v", report)
	}
	return ids
}

// firstFails is an endpoint that takes each job at the second attempt, two hours
// after the first at the soonest.
func firstFails(_ *centrifuge.Job, attempt uint32) delivery.Result {
	if attempt > 1 {
		return status(200)
	}
	r := status(404)
	r.RetryAfter = 2 * time.Hour
	return r
}

// finish lets go of what holds the jobs of a backlog back, and checks that each of
// them is delivered once, after all attempts that it had before.
func finish(t *testing.T, r *rig, y *tally, ids []centrifuge.ID) {
	t.Helper()
	for _, d := range []string{"failing.example", "paused.example"} {
		if err := r.SetPolicy(t.Context(), centrifuge.QueueKey{Destination: d}, centrifuge.QueuePolicy{RetryStatuses: []int{404}}); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "all are delivered", func() bool {
		for _, d := range []string{"failing.example", "paused.example"} {
			if _, err := r.Retry(t.Context(), schedule.Selector{Destination: d}); err != nil {
				t.Fatal(err)
			}
		}
		l := ledger(t, r)
		return l.Pending() == 0
	})
	if l := ledger(t, r); l.Succeeded != int64(len(ids)) {
		t.Errorf("of %d jobs the ledger has %+v", len(ids), l)
	}
	for _, id := range ids {
		if got := y.of(id); !slices.Equal(got, []uint32{1, 2}) {
			t.Errorf("job %s had the attempts %v", id, got)
		}
	}
	booked, recounted, err := r.Verify(t.Context())
	if err != nil || booked != recounted {
		t.Errorf("booked %+v, recounted %+v: %v", booked, recounted, err)
	}
}

// A drain moves every job exactly once, with its history, although answers are lost,
// transfers refused, commits in doubt, and the drain itself is cut short.
func TestDrainUnderFaults(t *testing.T) {
	const n = 12_000
	p, dir := newPool(t), t.TempDir()
	y := newTally(firstFails)
	ids := backlog(t, p, y, dir, n)
	traced, err := func() (jobdb.Trace, error) { // of a job that has failed once
		db, err := sqlite.Open(t.Context(), sqlite.Options{Path: p.path(jobdb.Name(1)), Epoch: 1000})
		if err != nil {
			return jobdb.Trace{}, err
		}
		defer db.Close()
		return db.Trace(t.Context(), ids[0])
	}()
	if err != nil {
		t.Fatal(err)
	}

	r := start(t, dir, new(atomic.Uint64), p.serving(y))
	h := p.hold(t, jobdb.Name(1))
	for h.Lease.Epoch() < 1000 {
		if _, err := h.Lease.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var commits atomic.Int64
	p.fault = func(op string) jobdbtest.Fault {
		if op != jobdbtest.OpCommit {
			return jobdbtest.NoFault
		}
		switch commits.Add(1) {
		case 5:
			return jobdbtest.UnknownKept
		case 12:
			return jobdbtest.UnknownLost
		case 20:
			return jobdbtest.Full
		}
		return jobdbtest.NoFault
	}
	var cut context.CancelFunc
	courier := &courierOf{target: r, meddle: func(n int, accept func() error) error {
		switch n % 9 {
		case 0: // it was applied, and nobody heard of it
			return errors.Join(accept(), errNetwork)
		case 4:
			return errNetwork
		case 7: // cut short between the target's commit and one here
			err := accept()
			cut()
			return errors.Join(err, errNetwork)
		}
		return accept()
	}}
	o := director.DrainOptions{
		Holding: h, To: jobdb.Name(2), Target: courier, Archive: archiveIn(t, dir), Logger: slog.New(slog.DiscardHandler),
	}
	var l director.Ledger
	drains := 0
	for err = context.Canceled; err != nil; drains++ {
		var ctx context.Context
		ctx, cut = context.WithCancel(t.Context())
		l, err = director.Drain(ctx, o)
		cut()
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, jobdbtest.ErrInjected) && !errors.Is(err, jobdb.ErrUnknownOutcome) {
			t.Fatal(err)
		}
	}
	if l.Moved != n || l.Pending() != 0 || !l.Balanced() {
		t.Errorf("drained with %+v", l)
	}
	if drains < 5 {
		t.Errorf("it took %d drains only", drains)
	}
	if l := ledger(t, r); l.Accepted != n || l.AwaitingRetry != n/2 || l.AwaitingScheduling != n/2 {
		t.Errorf("the target has %+v", l)
	}
	if l, err := director.Drain(t.Context(), o); err != nil || l.Moved != n {
		t.Errorf("drained once more: %+v, %v", l, err)
	}

	// The trace is the same in its new home, but for the numbers that it has there.
	moved, err := r.Get(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, trace := range []*jobdb.Trace{&traced, &moved} {
		for i := range trace.Transitions {
			trace.Transitions[i].Seq = 0
		}
	}
	if len(traced.Transitions) != 3 || !reflect.DeepEqual(traced, moved) {
		t.Errorf("the trace was\n%+v\nand is\n%+v", traced, moved)
	}
	// A Submit of the time before is recognised, and so is the policy of then.
	again, err := r.Submit(t.Context(), director.Submission{TransactionID: "backlog-0", Jobs: jobs(1, "https://failing.example/x")})
	if err != nil || !again.Repeated || !slices.Equal(again.JobIDs, ids[:1000]) {
		t.Errorf("a repeated Submit: repeated %t, %d jobs, %v", again.Repeated, len(again.JobIDs), err)
	}
	if policy, err := r.Policy(centrifuge.QueueKey{Destination: "paused.example"}); err != nil || !policy.Paused {
		t.Errorf("the policy that was brought is %+v, %v", policy, err)
	}
	finish(t, r, y, ids[0:])
}

// When the target is cycled in the middle of a drain, what it had accepted is found
// in the JobDB that was its, and only the rest goes to the next.
func TestDrainWhoseTargetIsCycled(t *testing.T) {
	const n = 3000
	p, dir := newPool(t), t.TempDir()
	y := newTally(firstFails)
	ids := backlog(t, p, y, dir, n)
	r := start(t, dir, new(atomic.Uint64), p.serving(y))
	first, second, third := jobdb.Name(1), jobdb.Name(2), jobdb.Name(3)
	courier := &courierOf{target: r, meddle: func(n int, accept func() error) error {
		if n == 3 {
			err := accept()
			if _, _, err := r.Cycle(t.Context()); err != nil {
				t.Error(err)
			}
			return errors.Join(err, errNetwork)
		}
		return accept()
	}}
	o := director.DrainOptions{
		Holding: p.hold(t, first), To: second, Target: courier, Archive: archiveIn(t, dir), Logger: slog.New(slog.DiscardHandler),
	}
	l, err := director.Drain(t.Context(), o)
	if !errors.Is(err, director.ErrWrongJobDB) || l.Moved != 1000 {
		t.Fatalf("%d moved, %v", l.Moved, err)
	}
	await(t, "the old JobDB is let go of", func() bool { return p.report(second) != nil })

	h := p.hold(t, second)
	db, err := h.Open(t.Context(), h.Lease.Epoch())
	if err != nil {
		t.Fatal(err)
	}
	o.To, o.Former = third, &director.Former{Name: second, Known: db.Known}
	l, err = director.Drain(t.Context(), o)
	if err != nil || l.Moved != n {
		t.Fatalf("%+v, %v", l, err)
	}
	trace := func(name string, id centrifuge.ID) centrifuge.Transition {
		db, err := sqlite.Open(t.Context(), sqlite.Options{Path: p.path(name), Epoch: 1000})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		trace, err := db.Trace(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return trace.Transitions[len(trace.Transitions)-1]
	}
	for err := range map[error]bool{db.Close(): true, h.Lease.Close(t.Context()): true} {
		if err != nil {
			t.Fatal(err)
		}
	}
	l = p.drain(t, second, third, r, dir)
	if l.Moved != 1500 {
		t.Errorf("the former target is drained with %+v", l)
	}
	finish(t, r, y, ids)
	if last := trace(first, ids[0]); last.State != centrifuge.StateMoved || last.Error != second {
		t.Errorf("the JobDB that was drained says of a job: %+v", last)
	}
}

// A transfer with a history that is none is refused whole.
func TestHostileTransfers(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	r := start(t, dir, new(atomic.Uint64), p.serving(newTally(firstFails)))
	id, other := centrifuge.ID{1}, centrifuge.ID{2}
	now := time.Now().UTC().Truncate(time.Millisecond)
	job := centrifuge.Job{ID: id, Source: "s", Destination: "d", Endpoint: "https://example.com/", Method: "POST", CreatedAt: now, ExpireAt: now.Add(time.Hour)}
	step := func(state centrifuge.State, attempt uint32) centrifuge.Transition {
		return centrifuge.Transition{JobID: id, State: state, Attempt: attempt, Time: now, RetryAt: now}
	}
	for name, history := range map[string][]centrifuge.Transition{
		"does not begin":      {step(centrifuge.StateExecuting, 1), step(centrifuge.StateAwaitingRetry, 1)},
		"leaps":               {step(centrifuge.StateAwaitingScheduling, 0), step(centrifuge.StateAwaitingRetry, 0)},
		"has ended":           {step(centrifuge.StateAwaitingScheduling, 0), step(centrifuge.StateExecuting, 1), step(centrifuge.StateSucceeded, 1)},
		"is under way":        {step(centrifuge.StateAwaitingScheduling, 0), step(centrifuge.StateExecuting, 1)},
		"counts wrongly":      {step(centrifuge.StateAwaitingScheduling, 0), step(centrifuge.StateExecuting, 7)},
		"is another job's":    {{JobID: other, State: centrifuge.StateAwaitingScheduling}},
		"has an unknown step": {step(centrifuge.StateAwaitingScheduling, 0), step(77, 0)},
	} {
		err := r.Accept(t.Context(), director.Transfer{From: "x", To: jobdb.Name(1), Jobs: []jobdb.Trace{{Job: job, Transitions: history}}})
		if _, ok := errors.AsType[*director.InvalidError](err); !ok {
			t.Errorf("a history that %s: %v", name, err)
		}
	}
	twice := []jobdb.Trace{{Job: job}, {Job: job}}
	if _, ok := errors.AsType[*director.InvalidError](r.Accept(t.Context(), director.Transfer{To: jobdb.Name(1), Jobs: twice})); !ok {
		t.Error("a job that comes twice is accepted")
	}
	if err := r.Accept(t.Context(), director.Transfer{To: jobdb.Name(9), Jobs: twice[:1]}); !errors.Is(err, director.ErrWrongJobDB) {
		t.Errorf("for another JobDB: %v", err)
	}
	if l := ledger(t, r); l.Accepted != 0 {
		t.Errorf("%+v", l)
	}
}

// deaf is a bucket that refuses to be written until it is told otherwise.
type deaf struct {
	archive.Bucket

	hears atomic.Bool
}

func (d *deaf) Put(ctx context.Context, name string, data []byte) error {
	if !d.hears.Load() {
		return errNetwork
	}
	return d.Bucket.Put(ctx, name, data)
}

// What was on its way to the archive, or was ordered there, is archived by the drain;
// what has expired since is archived where it is moved to. Each is in the archive once.
func TestDrainArchives(t *testing.T) {
	p, dir := newPool(t), t.TempDir()
	bucket := &deaf{Bucket: &archivetest.Memory{}}
	y := newTally(firstFails)
	change := func(o *director.Options) {
		p.serving(y)(o)
		o.Archive = archive.New(bucket)
		o.ArchiveJobs, o.ShutdownGrace = 10, 100*time.Millisecond
	}
	r := start(t, dir, new(atomic.Uint64), change)
	if err := r.SetPolicy(t.Context(), centrifuge.QueueKey{Destination: "example.com"}, centrifuge.QueuePolicy{Paused: true}); err != nil {
		t.Fatal(err)
	}
	short := jobs(30, "https://example.com/x")
	for _, j := range short[20:] {
		j.ExpireAt = time.Now().Add(time.Second)
	}
	submit(t, r, short[:20]...)
	if n, err := r.Expire(t.Context(), schedule.Selector{Destination: "example.com"}); n != 20 || err != nil {
		t.Fatalf("%d flushed, %v", n, err)
	}
	await(t, "some are archiving", func() bool { return ledger(t, r).Archiving == 10 })
	last := submit(t, r, short[20:]...)
	from, to, err := r.Cycle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The archive refuses, so the JobDB is let go of when the grace is over.
	await(t, "it is let go of", func() bool { return p.report(from) != nil })
	if report := p.report(from); report.Ledger.Archiving != 10 || report.Ledger.Pending() != 30 {
		t.Errorf("let go of with %+v", report)
	}
	await(t, "the last have expired", func() bool { return time.Since(short[20].ExpireAt) > 0 })
	bucket.hears.Store(true)
	l := p.drain(t, from, to, r, dir, func(o *director.DrainOptions) { o.Archive = archive.New(bucket) })
	if l.Archived != 20 || l.Moved != 10 {
		t.Errorf("drained with %+v", l)
	}
	await(t, "the rest is archived", func() bool { return ledger(t, r).Archived == 10 })
	page, err := r.ListArchive(t.Context(), archive.Filter{}, "", 100)
	if err != nil || len(page.Entries) != 30 {
		t.Errorf("the archive lists %d, %v", len(page.Entries), err)
	}
	if trace, err := r.Get(t.Context(), last.JobIDs[0]); err != nil || trace.Transitions[len(trace.Transitions)-1].State != centrifuge.StateArchived {
		t.Errorf("%+v, %v", trace, err)
	}
}
