package fleet

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/lease/consul"
)

// Of a load.
const (
	submitters = 4
	batch      = 5
	backlog    = 400 // acknowledged and neither delivered nor refused, above which submitters wait
	refusedOf  = 10  // of so many jobs one is never taken, and ends in the archive
)

// mayRepeat is how many deliveries the sudden end of one tenure may cost: those that
// were answered and whose outcomes were not durable. That is one of each worker, and
// one more for each [latency] that two commits take; a machine with little to spare
// may take that much once.
const mayRepeat = 2 * maxInFlight

// load submits jobs without a pause and remembers what was acknowledged. It finds
// Directors through Consul, as they come and go. A Submit that fails fails the test.
type load struct {
	f      *fleet
	client *client.Fleet
	group  *errgroup.Group
	end    context.CancelFunc

	repeated atomic.Int64 // calls that were made again

	mu struct {
		sync.Mutex
		taken   []string // ids of jobs
		refused []string
		slowest time.Duration // of the Submits
	}
}

// directors has Consul tell where the Directors are. It implements [client.Resolver].
type directors struct{ consul *consul.Client }

func (d directors) Watch(ctx context.Context, changed func(urls []string)) error {
	return d.consul.Watch(ctx, "centrifuge-director", func(services []consul.Service) {
		urls := make([]string, len(services))
		for i, s := range services {
			urls[i] = s.Meta["url"]
		}
		changed(urls)
	})
}

func (f *fleet) startLoad() *load {
	f.Helper()
	found, err := consul.New(consul.Options{Address: f.consul})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(found.Close)
	l := &load{f: f, group: &errgroup.Group{}}
	l.client, err = client.NewFleet(client.FleetOptions{Resolver: directors{found}, Options: client.Options{
		Timeout: 5 * time.Second, RetryFor: time.Hour, OnRetry: func(error, time.Duration) { l.repeated.Add(1) },
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(l.client.Close)
	var ending context.Context
	ending, l.end = context.WithCancel(f.ctx)
	f.Cleanup(func() {
		l.end()
		_ = l.group.Wait() // of a test that has failed; settle has looked at it otherwise
	})
	for i := range submitters {
		l.group.Go(func() error { return l.submit(ending, i) })
	}
	return l
}

// submit submits until the load is to end. Its calls are brought to their answers
// even then.
func (l *load) submit(ending context.Context, submitter int) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ending.Err() == nil; {
		if l.undone() > backlog {
			select {
			case <-tick.C:
			case <-ending.Done():
			}
			continue
		}
		req := &pb.SubmitRequest{}
		for range batch {
			n++
			req.Jobs = append(req.Jobs, l.job(submitter, n))
		}
		begun := time.Now()
		resp, err := l.client.Submit(l.f.ctx, req)
		if err != nil {
			return fmt.Errorf("after %s: %w", time.Since(begun), err)
		}
		l.acknowledged(req, resp, time.Since(begun))
	}
	return nil
}

func (l *load) job(submitter, n int) *pb.JobSpec {
	job := &pb.JobSpec{
		Source: fmt.Sprintf("source-%d-%d", submitter, n%3), Destination: "taken", Endpoint: l.f.endpoint.url + "/taken",
		Payload: make([]byte, 500),
		Retry:   &pb.RetryPolicy{MinBackoff: durationpb.New(50 * time.Millisecond), MaxBackoff: durationpb.New(200 * time.Millisecond)},
	}
	if n%refusedOf == 0 {
		job.Destination, job.Endpoint, job.Ttl = "refused", l.f.endpoint.url+"/refused", durationpb.New(2*time.Second)
	}
	return job
}

func (l *load) acknowledged(req *pb.SubmitRequest, resp *pb.SubmitResponse, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, id := range resp.GetJobIds() {
		if req.GetJobs()[i].GetDestination() == "taken" {
			l.mu.taken = append(l.mu.taken, id)
		} else {
			l.mu.refused = append(l.mu.refused, id)
		}
	}
	l.mu.slowest = max(l.mu.slowest, took)
}

// undone is how many of the jobs that will be taken have yet to be delivered.
func (l *load) undone() int {
	jobs, _ := l.f.endpoint.counts()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.taken + len(l.mu.taken) - jobs
}

// flow waits until Submits and deliveries are well under way, or are so again.
func (l *load) flow() {
	l.f.Helper()
	l.flowOf(backlog)
}

// flowOf waits until as many jobs more have been acknowledged, and delivered.
func (l *load) flowOf(n int) {
	l.f.Helper()
	delivered, _ := l.f.endpoint.counts()
	l.mu.Lock()
	acknowledged := len(l.mu.taken)
	l.mu.Unlock()
	l.f.await("flowing", func() (bool, string) {
		now, _ := l.f.endpoint.counts()
		l.mu.Lock()
		defer l.mu.Unlock()
		return now >= delivered+n && len(l.mu.taken) >= acknowledged+n,
			fmt.Sprintf("%d jobs delivered since, %d acknowledged", now-delivered, len(l.mu.taken)-acknowledged)
	})
}

// settle ends the load, and the fleet brings all that was acknowledged to its end
// by itself: each job is delivered, or archived if no endpoint takes it, and is in
// the books once. No more was delivered twice than so many sudden ends of tenures
// may cost.
func (l *load) settle(ends int) {
	f := l.f
	f.Helper()
	l.end()
	done := make(chan error, 1)
	go func() { done <- l.group.Wait() }()
	var err error
	f.await("done with the Submits under way", func() (bool, string) {
		select {
		case err = <-done:
			return true, ""
		default:
			return false, ""
		}
	})
	if err != nil {
		f.Fatalf("a Submit failed: %v\n%s", err, f.logs())
	}
	f.taken += len(l.mu.taken)
	f.refused += len(l.mu.refused)
	var ledger *pb.Ledger
	f.await("done with all jobs", func() (ok bool, said string) {
		ledger, ok, said = f.ledger()
		return ok && ledger.GetPending() == 0, said
	})
	if a, s, r := ledger.GetAccepted(), ledger.GetSucceeded(), ledger.GetArchived(); a != int64(f.taken+f.refused) || s != int64(f.taken) || r != int64(f.refused) {
		f.Errorf("%d jobs to be delivered and %d to be archived were acknowledged, and the books have %v", f.taken, f.refused, ledger)
	}
	for _, id := range l.mu.taken {
		if !f.endpoint.has(id) {
			f.Errorf("job %s was acknowledged and never delivered", id)
		}
	}
	jobs, repeated := f.endpoint.counts()
	if jobs != f.taken {
		f.Errorf("%d jobs were delivered, %d acknowledged", jobs, f.taken)
	}
	if n := repeated - f.repeated; n > ends*mayRepeat {
		f.Errorf("%d jobs were delivered twice after %d sudden ends, more than %d each", n, ends, mayRepeat)
	}
	f.Logf("%d jobs, %d of them archived; %d delivered twice; %d calls repeated; the slowest Submit took %s",
		len(l.mu.taken)+len(l.mu.refused), len(l.mu.refused), repeated-f.repeated, l.repeated.Load(), l.mu.slowest.Round(time.Millisecond))
	f.repeated = repeated
}
