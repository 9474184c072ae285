package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

// takeover measures from the SIGKILL of a Director, whose jobs await their retries,
// to the first delivery of one of them by another Director.
func takeover(ctx context.Context, b *bench) error {
	f, err := b.startFleet(ctx, 2)
	if err != nil {
		return err
	}
	defer f.close()
	survivor, err := f.startDirector(ctx, "survivor")
	if err != nil {
		return err
	}
	defer func() { _ = survivor.kill() }()
	var seconds []float64
	for i := range b.runs {
		took, err := f.takeover(ctx, fmt.Sprintf("killed-%d", i))
		if err != nil {
			return err
		}
		seconds = append(seconds, took)
	}
	b.report(fmt.Sprintf("SIGKILL of a Director to the first delivery of its jobs, lease TTL %s", leaseTTL), "s", "15", "12", seconds...)
	return nil
}

func (f *fleet) takeover(ctx context.Context, name string) (seconds float64, err error) {
	const n = 1000
	var mended atomic.Bool
	delivered := make(chan time.Time, n)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !mended.Load() {
			w.WriteHeader(http.StatusNotFound) // for a breaker, it lives
			return
		}
		delivered <- time.Now()
	}))
	defer endpoint.Close()
	killed, err := f.startDirector(ctx, name)
	if err != nil {
		return 0, err
	}
	c, err := client.New(client.Options{URL: killed.url})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	wait := durationpb.New(time.Second)
	if _, err := c.Queues.SetPolicy(ctx, connect.NewRequest(&pb.SetPolicyRequest{
		Selector: &pb.QueueSelector{Destination: "sink"},
		Policy:   &pb.QueuePolicy{RetryStatuses: []int32{http.StatusNotFound}, Retry: &pb.RetryPolicy{MinBackoff: wait, MaxBackoff: wait}},
	})); err != nil {
		return 0, err
	}
	g := generator{url: killed.url, endpoint: endpoint.URL, size: 1024, batch: n, parallel: 1, queues: 10}
	if err := g.submit(ctx, n); err != nil {
		return 0, err
	}
	if err := poll(ctx, func() (bool, error) {
		l, err := ledgerOf(ctx, c)
		return l.GetAwaitingScheduling() == 0, err
	}); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := killed.kill(); err != nil {
		return 0, err
	}
	mended.Store(true)
	first := <-delivered
	for range n - 1 { // all of them arrive
		<-delivered
	}
	f.b.log.Info("taken over", "first_after", first.Sub(began), "all_after", time.Since(began))
	return first.Sub(began).Seconds(), f.awaitDropped(ctx)
}
