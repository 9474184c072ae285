package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/archive/archivetest"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/lease/leasetest"
	"centrifuge/schedule"
)

// scene is a Director with the limits of production, and endpoints that answer as
// respond says. It measures how long jobs take from their Submit to their delivery.
type scene struct {
	t        *testing.T
	clock    *clock
	director *director.Director
	respond  func(job *centrifuge.Job) reply
	stop     func()

	mu struct {
		sync.Mutex
		delays map[centrifuge.QueueKey][]time.Duration
	}
}

// stage begins a scene. It must be called in a bubble; stop ends the scene.
func stage(t *testing.T, respond func(job *centrifuge.Job) reply) *scene {
	t.Helper()
	s := &scene{t: t, clock: newClock(), respond: respond}
	s.mu.delays = make(map[centrifuge.QueueKey][]time.Duration)
	store := newMemory()
	d, err := director.New(director.Options{
		Acquire: func(context.Context) (director.Holding, error) {
			return director.Holding{
				Name:  jobdb.Name(1),
				Lease: leasetest.New(0),
				Open:  func(_ context.Context, epoch uint64) (jobdb.DB, error) { return store.open(epoch) },
			}, nil
		},
		Deliverer: s,
		Archive:   archive.New(&archivetest.Memory{}),
		Schedule:  schedule.Options{Random: rand.New(rand.NewPCG(1, 1))}, //nolint:gosec // repeatable on purpose
		Now:       s.clock.now,
		Logger:    newEventLog(nil).logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.director = d
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	synctest.Wait()
	s.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	return s
}

// Deliver implements [director.Deliverer].
func (s *scene) Deliver(ctx context.Context, job *centrifuge.Job, _ uint32) delivery.Result {
	reply := s.respond(job)
	timeout := centrifuge.DefaultTimeout
	timer := time.NewTimer(min(reply.latency, timeout))
	defer timer.Stop()
	r := delivery.Result{Sent: true, Outcome: centrifuge.OutcomeRetry, Duration: min(reply.latency, timeout)}
	select {
	case <-ctx.Done():
		r.ErrorCode = centrifuge.ErrorInterrupted
	case <-timer.C:
		if reply.latency > timeout {
			r.ErrorCode = centrifuge.ErrorTimedOut
			break
		}
		r.StatusCode, r.Outcome = reply.status, centrifuge.ClassifyStatus(reply.status)
	}
	if r.Outcome == centrifuge.OutcomeSucceeded {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mu.delays[job.Queue()] = append(s.mu.delays[job.Queue()], s.clock.now().Sub(job.CreatedAt))
	}
	return r
}

// submit submits n jobs of a queue.
func (s *scene) submit(key centrifuge.QueueKey, n int) {
	s.t.Helper()
	var jobs []*centrifuge.Job
	for range n {
		jobs = append(jobs, &centrifuge.Job{
			Source: key.Source, Destination: key.Destination, Endpoint: "http://" + key.Destination + "/", Payload: []byte("{}"),
		})
	}
	if _, err := s.director.Submit(s.t.Context(), director.Submission{Jobs: jobs}); err != nil {
		s.t.Errorf("submit %d jobs of %v: %v", n, key, err)
	}
}

// delays returns how long the jobs that keep chooses took, shortest first.
func (s *scene) delays(keep func(centrifuge.QueueKey) bool) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []time.Duration
	for key, delays := range s.mu.delays {
		if keep(key) {
			all = append(all, delays...)
		}
	}
	slices.Sort(all)
	return all
}

// The case that made the queue for each source and destination necessary
// ("Centrifuge: a reliable system for delivering billions of events per day"):
// one customer sends 50,000 jobs at once to an endpoint that takes 1,000 a second of
// each customer, and must not delay the others by the 50 seconds that takes.
func TestOneCustomersBurstDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst, rated = 50_000, 1000
		var mu sync.Mutex
		second, taken := int64(0), map[string]int{}
		s := stage(t, func(job *centrifuge.Job) reply {
			mu.Lock()
			defer mu.Unlock()
			if now := time.Now().Unix(); now != second {
				second = now
				clear(taken)
			}
			if taken[job.Source]++; taken[job.Source] > rated {
				return reply{latency: 20 * time.Millisecond, status: 429}
			}
			return reply{latency: 50 * time.Millisecond, status: 200}
		})
		const endpoint = "rated.example"
		for sent := 0; sent < burst; sent += director.MaxJobs {
			s.submit(centrifuge.QueueKey{Source: "A", Destination: endpoint}, director.MaxJobs)
		}
		const others = 60
		for range others {
			s.submit(centrifuge.QueueKey{Source: "B", Destination: endpoint}, 1)
			s.submit(centrifuge.QueueKey{Source: "C", Destination: endpoint}, 2)
			time.Sleep(time.Second)
		}
		time.Sleep(4 * time.Hour)
		a := s.delays(func(key centrifuge.QueueKey) bool { return key.Source == "A" })
		bc := s.delays(func(key centrifuge.QueueKey) bool { return key.Source != "A" })
		s.stop()
		if len(bc) != 3*others {
			t.Fatalf("%d of %d jobs of B and C were delivered", len(bc), 3*others)
		}
		t.Logf("A: %d delivered, the last after %s; B and C: median %s, longest %s", len(a), a[len(a)-1], bc[len(bc)/2], bc[len(bc)-1])
		if longest := bc[len(bc)-1]; longest >= time.Second {
			t.Errorf("B or C waited for %s, want less than a second", longest)
		}
		if len(a) != burst {
			t.Errorf("%d of A's %d jobs were delivered", len(a), burst)
		}
	})
}

// A destination that hangs while it is sent a third of the traffic must not be felt
// by the others.
func TestHangingDestinationIsNotFelt(t *testing.T) {
	p99 := func(hangs bool) time.Duration {
		var result time.Duration
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			latencies := dice(7, "latencies")
			s := stage(t, func(job *centrifuge.Job) reply {
				if hangs && job.Destination == "destination-0.example" {
					return reply{latency: time.Hour}
				}
				mu.Lock()
				defer mu.Unlock()
				return reply{latency: between(latencies, 20*time.Millisecond, 200*time.Millisecond), status: 200}
			})
			for i := range 30_000 { // 500 a second
				s.submit(centrifuge.QueueKey{
					Source:      fmt.Sprintf("source-%d", i%5),
					Destination: fmt.Sprintf("destination-%d.example", i%3),
				}, 1)
				time.Sleep(2 * time.Millisecond)
			}
			time.Sleep(time.Minute)
			delays := s.delays(func(key centrifuge.QueueKey) bool { return key.Destination != "destination-0.example" })
			s.stop()
			if len(delays) != 20_000 {
				t.Fatalf("%d of 20,000 jobs for the others were delivered", len(delays))
			}
			result = delays[len(delays)*99/100]
		})
		return result
	}
	without, with := p99(false), p99(true)
	t.Logf("p99 of the others: %s without, %s with", without, with)
	if with > without*3/2 {
		t.Errorf("p99 of the others is %s beside a destination that hangs, and %s without it", with, without)
	}
}
