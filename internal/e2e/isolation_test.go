package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/sink"
)

// arrivals remembers in which order customers' jobs were delivered.
type arrivals struct {
	ofA atomic.Int64
	mu  struct {
		sync.Mutex
		after map[string]int64 // of A's, before the job of another was delivered
	}
}

func (a *arrivals) answered(req *http.Request, status int) {
	switch {
	case status != http.StatusOK:
	case req.URL.Path == "/A":
		a.ofA.Add(1)
	default:
		a.mu.Lock()
		defer a.mu.Unlock()
		a.mu.after[req.Header.Get(sink.HeaderJobID)] = a.ofA.Load()
	}
}

func (a *arrivals) others() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.mu.after)
}

// Customer A sends far more than the endpoint, which has a rate for each customer,
// takes of it; B and C send a handful. With one queue they would stand behind all
// that A has left; here hardly anything of A's goes before them.
func TestCustomersAreIsolated(t *testing.T) {
	const (
		jobsOfA = 10_000
		rounds  = 40
		passed  = 100 // of A's jobs that may go before one of another's; a fifth of a second of its rate
	)
	order := &arrivals{}
	order.mu.after = make(map[string]int64)
	var routes []string
	for _, customer := range []string{"A", "B", "C"} {
		routes = append(routes, "/"+customer+"=rate:500")
	}
	r := newReceiver(t, 1, routes...)
	r.answered = order.answered
	s := newScene(t, r)
	s.serve()
	jobs := func(customer string, n int) []*pb.JobSpec {
		return slices.Repeat([]*pb.JobSpec{{Source: customer, Destination: "partner", Endpoint: r.url + "/" + customer}}, n)
	}
	for batch := range slices.Chunk(jobs("A", jobsOfA), 2500) {
		s.submit(batch...)
	}
	start := time.Now()
	began := make(map[string]int64) // of A's, delivered when the job was acknowledged
	for range rounds {
		for _, customer := range []string{"B", "C"} {
			for _, id := range s.submit(jobs(customer, 2)...) {
				began[id] = order.ofA.Load()
			}
		}
		rest(s.ctx, 50*time.Millisecond)
	}
	s.await("the others' jobs delivered", func() (bool, string) {
		return order.others() == len(began), fmt.Sprintf("%d of %d", order.others(), len(began))
	})
	left, took := jobsOfA-order.ofA.Load(), time.Since(start)
	var waits []int64
	for id, before := range began {
		waits = append(waits, order.mu.after[id]-before)
	}
	slices.Sort(waits)
	t.Logf("of A's jobs %d were delivered and %d left when the others' %d were, in %s; before one of these, %d of A's in the median and %d at most",
		jobsOfA-left, left, len(began), took, waits[len(waits)/2], waits[len(waits)-1])
	if most := waits[len(waits)-1]; most > passed {
		t.Errorf("%d jobs of A went before one of another's", most)
	}
	if left < jobsOfA/10 || order.ofA.Load() < 500 {
		t.Errorf("A has %d jobs left and %d delivered: there was nothing to be isolated from", left, order.ofA.Load())
	}
	if st := r.Stats().Routes; st["/B"].Replies["429"]+st["/C"].Replies["429"] > 0 {
		t.Errorf("the others were refused for their rate: %v", st)
	}
	s.ledger()
}

// A destination that hangs, so that every attempt times out, gets a third of the
// traffic: what is for others is delivered while it has had nothing.
func TestHangingDestinationHoldsNobodyUp(t *testing.T) {
	const each = 600
	r := newReceiver(t, 1, "/hangs=status:hang")
	s := newScene(t, r)
	s.serve("--max-in-flight", "64")
	destinations := []string{"hangs", "first", "second"}
	for range each / 20 {
		var jobs []*pb.JobSpec
		for range 20 {
			for _, d := range destinations {
				jobs = append(jobs, &pb.JobSpec{
					Source: "s", Destination: d, Endpoint: r.url + "/" + d, Timeout: durationpb.New(time.Second),
					Retry: &pb.RetryPolicy{MinBackoff: durationpb.New(100 * time.Millisecond), MaxBackoff: durationpb.New(time.Second)},
				})
			}
		}
		s.submit(jobs...)
	}
	s.awaitDelivered(2 * each)
	s.await("an attempt timed out", func() (bool, string) {
		return s.metric(`centrifuge_attempts_total{code="ETIMEDOUT",outcome=`)
	})
	ledger := s.ledger()
	if ledger.GetSucceeded() != 2*each || ledger.GetPending() != each {
		t.Errorf("the ledger is %v", ledger)
	}
	held := r.Stats().Routes["/hangs"].PeakInFlight
	t.Logf("the destination that hangs held %d of 64 requests at once", held)
	if held > 24 { // it has 8, and those that it has not yet noticed to be given up
		t.Errorf("it held %d of 64 requests at once", held)
	}
}
