// Package costs measures what a job costs a Director, and its JobDB's server, in
// processor time, bytes and memory: figures that hold whatever else the machine does
// meanwhile, which rates do not. docs/capacity.md reckons with them.
//
//	go test -bench . -benchtime 100000x ./bench/costs
package costs_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/delivery"
)

// BenchmarkDelivered is the way of a job that succeeds at its first attempt, from
// the Submit, without the RPC that brought it, to its last transition.
func BenchmarkDelivered(b *testing.B) {
	url := startSink(b)
	for _, size := range []int{1 << 10, 5 << 10} {
		for _, s := range stores(b) {
			b.Run(fmt.Sprintf("%s/payload=%d", s.name, size), func(b *testing.B) {
				c := start(b, s, client(b))
				defer c.end(b)
				one, server, disk := used(b, 0), used(b, s.server), stored(b, s.folder)
				c.submit(b, b.N, &c.succeeded, func(i int) *centrifuge.Job { return job(i, 100, url, size) })
				report(b, s, one, server, disk)
			})
		}
	}
}

// refuses answers 404 at once, which the policy of [BenchmarkWaiting] retries much
// later: to a breaker, that is an endpoint which is alive.
type refuses struct{}

func (refuses) Deliver(context.Context, *centrifuge.Job, uint32) delivery.Result {
	return delivery.Result{Sent: true, Outcome: centrifuge.OutcomeDiscarded, StatusCode: http.StatusNotFound, Duration: time.Millisecond}
}

// BenchmarkWaiting is a job of 5 KB that had its first attempt and waits for its
// second: what its intake and attempt cost without HTTP, and what it holds.
func BenchmarkWaiting(b *testing.B) {
	for _, s := range stores(b) {
		b.Run(s.name, func(b *testing.B) { wait(b, s, 1000, 5<<10) })
	}
}

// BenchmarkQueues is the same with each job in a queue of its own, and little
// payload: what a queue holds in memory is what it takes more.
func BenchmarkQueues(b *testing.B) {
	b.Run("one each", func(b *testing.B) { wait(b, stores(b)[0], math.MaxInt, 100) })
	b.Run("1000", func(b *testing.B) { wait(b, stores(b)[0], 1000, 100) })
}

func wait(b *testing.B, s *store, queues, size int) {
	c := start(b, s, refuses{})
	defer c.end(b)
	long := centrifuge.RetryPolicy{MinBackoff: 100 * time.Hour, MaxBackoff: 100 * time.Hour}
	policy := centrifuge.QueuePolicy{RetryStatuses: []int{http.StatusNotFound}, Retry: long}
	if err := c.SetPolicy(b.Context(), centrifuge.QueueKey{Destination: "sink"}, policy); err != nil {
		b.Fatal(err)
	}
	before := heap()
	one, server, disk := used(b, 0), used(b, s.server), stored(b, s.folder)
	c.submit(b, b.N, &c.failed, func(i int) *centrifuge.Job {
		j := job(i, queues, "http://sink/", size)
		j.ExpireAt = time.Now().Add(120 * time.Hour)
		return j
	})
	report(b, s, one, server, disk)
	b.ReportMetric(float64(heap()-before)/float64(b.N), "heap-B/job")
}

func job(i, queues int, url string, size int) *centrifuge.Job {
	payload := make([]byte, size)
	_, _ = rand.Read(payload) // it never fails
	return &centrifuge.Job{Source: fmt.Sprint("source-", i%queues), Destination: "sink", Endpoint: url + "/", Payload: payload}
}

// report gives what was used since, for each job. Of a server, what was written until
// the last job was done is its log and the pages that had to make room; written is
// all, with every page.
func report(b *testing.B, s *store, one, server usage, disk int64) {
	b.Helper()
	n := float64(b.N)
	d := used(b, 0).minus(one)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(d.cpu.Microseconds())/n, "µs/job")
	if s.server != 0 {
		of := used(b, s.server).minus(server)
		b.ReportMetric(float64(of.cpu.Microseconds())/n, "server-µs/job")
		b.ReportMetric(float64(d.written+of.written)/n, "logged-B/job")
		s.flush()
		d.written += used(b, s.server).minus(server).written
	}
	b.ReportMetric(float64(d.written)/n, "written-B/job")
	b.ReportMetric(float64(stored(b, s.folder)-disk)/n, "stored-B/job")
}
