package director_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/archive/s3/s3test"
	"centrifuge/delivery"
	"centrifuge/director"
)

// halfDown is an endpoint that fails at one host only.
func halfDown(_ context.Context, job *centrifuge.Job, _ uint32) delivery.Result {
	if strings.Contains(job.Endpoint, "down.example") {
		return status(http.StatusServiceUnavailable)
	}
	return status(http.StatusOK)
}

// refusals counts what the Director logs of an archive that refuses.
type refusals struct {
	slog.Handler
	n *atomic.Int64
}

func (r refusals) Handle(_ context.Context, rec slog.Record) error {
	if strings.HasPrefix(rec.Message, "the archive refused") {
		r.n.Add(1)
	}
	return nil
}

// onS3 has the Director archive to the server, in objects of ten jobs.
func onS3(t *testing.T, server *s3test.Server, refused *atomic.Int64) func(*director.Options) {
	return func(o *director.Options) {
		o.Archive = archive.New(server.Open(t, "jobs"))
		o.Deliverer = &attempts{answer: halfDown}
		o.ArchiveJobs = 10
		o.Logger = slog.New(refusals{slog.Default().Handler(), refused})
	}
}

// expire submits n jobs that fail and soon run out of time.
func expire(t *testing.T, r *rig, n int) {
	t.Helper()
	all := jobs(n, "https://down.example/x")
	for _, job := range all {
		job.ExpireAt = time.Now().Add(300 * time.Millisecond)
	}
	submit(t, r, all...)
}

// wantArchived checks that the archive has n jobs, each once.
func wantArchived(t *testing.T, server *s3test.Server, n int) {
	t.Helper()
	page, err := archive.New(server.Open(t, "jobs")).List(t.Context(), archive.Filter{}, "", 2*n+1)
	if err != nil || len(page.Damaged) > 0 {
		t.Fatalf("list: %v, %v", err, page.Damaged)
	}
	seen := map[centrifuge.ID]bool{}
	for _, e := range page.Entries {
		if seen[e.JobID] {
			t.Errorf("job %s is there twice", e.JobID)
		}
		seen[e.JobID] = true
	}
	if len(seen) != n {
		t.Errorf("%d jobs are archived, want %d", len(seen), n)
	}
}

// While S3 is down, one object's jobs are archiving and the others wait where they
// lie, what can be delivered is, and a restart changes nothing. Once it is back all
// are archived, by themselves.
func TestS3Down(t *testing.T) {
	const n, perObject = 50, 10
	server := s3test.Start(t)
	server.Down()
	var refused atomic.Int64
	dir, epoch := t.TempDir(), new(atomic.Uint64)
	r := start(t, dir, epoch, onS3(t, server, &refused))
	expire(t, r, n)
	await(t, "the archive has refused", func() bool { return refused.Load() >= 2 })
	submit(t, r, jobs(20, "https://up.example/x")...)
	await(t, "others are delivered", func() bool { return ledger(t, r).Succeeded == 20 })
	waits := func(when string) {
		if l := ledger(t, r); l.Archiving == 0 || l.Archiving > perObject || l.Pending() != n || l.Archived != 0 {
			t.Errorf("%s: %+v", when, l)
		}
	}
	waits("while S3 is down")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}

	refused.Store(0)
	r = start(t, dir, epoch, onS3(t, server, &refused))
	await(t, "the archive has refused again", func() bool { return refused.Load() >= 1 })
	waits("after a restart")
	server.Up(t)
	await(t, "all are archived", func() bool { return ledger(t, r).Archived == n })
	wantArchived(t, server, n)
}

// Whatever requests fail, before or after the store did as it was asked, each job
// is archived once.
func TestS3Flaky(t *testing.T) {
	const n = 60
	server := s3test.Start(t)
	faults := []s3test.Fault{s3test.Lost, s3test.Kept, s3test.SlowDown, s3test.Truncated}
	random, mu := rand.New(rand.NewPCG(1, 2)), new(sync.Mutex)
	server.Proxy.Fail(func(*http.Request) s3test.Fault {
		mu.Lock()
		defer mu.Unlock()
		if random.IntN(2) == 0 {
			return faults[random.IntN(len(faults))]
		}
		return s3test.None
	})
	var refused atomic.Int64
	r := start(t, t.TempDir(), new(atomic.Uint64), onS3(t, server, &refused))
	expire(t, r, n)
	await(t, "all are archived", func() bool { return ledger(t, r).Archived == n })
	server.Proxy.Fail(nil)
	wantArchived(t, server, n)
	t.Logf("%d times the archive had to be tried again", refused.Load())
	booked, recounted, err := r.Verify(t.Context())
	if err != nil || booked != recounted {
		t.Errorf("booked %+v, recounted %+v: %v", booked, recounted, err)
	}
}

// A store that is slow delays the archive, and nothing else.
func TestS3Slow(t *testing.T) {
	const n = 20
	server := s3test.Start(t)
	release := make(chan struct{})
	server.Proxy.Fail(func(r *http.Request) s3test.Fault {
		select {
		case <-release:
			return s3test.None
		default:
			return s3test.Stalled
		}
	})
	var refused atomic.Int64
	r := start(t, t.TempDir(), new(atomic.Uint64), onS3(t, server, &refused), func(o *director.Options) {
		options := server.Options("jobs")
		options.Timeout = 100 * time.Millisecond
		o.Archive = archive.New(server.OpenWith(t, options))
	})
	expire(t, r, n)
	await(t, "the archive has not answered", func() bool { return refused.Load() >= 1 })
	submit(t, r, jobs(20, "https://up.example/x")...)
	await(t, "others are delivered", func() bool { return ledger(t, r).Succeeded == 20 })
	if l := ledger(t, r); l.Archiving == 0 || l.Archiving > 10 || l.Archived != 0 {
		t.Errorf("while S3 is slow: %+v", l)
	}
	close(release)
	await(t, "all are archived", func() bool { return ledger(t, r).Archived == n })
	wantArchived(t, server, n)
}
