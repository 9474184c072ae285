package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

// waiting measures memory while a million jobs of 5 KB in 1,000 queues await
// their retry, and how long recovery takes when the Director was killed over them.
func waiting(ctx context.Context, b *bench) error {
	target, err := b.startSink(ctx, "-forget-ids", "-route", "/gone=status:404")
	if err != nil {
		return err
	}
	defer func() { _ = target.stop() }()
	data, remove, err := b.newData()
	if err != nil {
		return err
	}
	defer remove()
	director, err := b.startServe(ctx, data)
	if err != nil {
		return err
	}
	if err := b.fillWaiting(ctx, director, target.url, 5*1024, b.pending); err != nil {
		return err
	}
	if b.profile != "" {
		if err := fetch(ctx, director.url+"/debug/pprof/heap", filepath.Join(b.profile, "waiting.heap.pprof")); err != nil {
			return err
		}
	}
	resident, err := director.residentMB()
	if err != nil {
		return err
	}
	b.report(fmt.Sprintf("resident memory, %d jobs of 5 KB await retry", b.pending), "MB", "600", "350", resident)
	if err := director.kill(); err != nil {
		return err
	}
	began := time.Now()
	again, err := b.startServe(ctx, data)
	if err != nil {
		return err
	}
	b.report(fmt.Sprintf("recovery of %d pending jobs after SIGKILL, to serving", b.pending), "s", "20", "8", time.Since(began).Seconds())
	return again.kill()
}

// fillWaiting gives a Director n jobs in 1,000 queues and returns when each has had
// its first attempt and awaits the next. The sink answers 404 on /gone, which a
// policy retries after hours: for a breaker, that is an endpoint which is alive.
func (b *bench) fillWaiting(ctx context.Context, director *process, sinkURL string, size, n int) error {
	c, err := client.New(client.Options{URL: director.url})
	if err != nil {
		return err
	}
	defer c.Close()
	wait := durationpb.New(100 * time.Hour)
	if _, err := c.Queues.SetPolicy(ctx, connect.NewRequest(&pb.SetPolicyRequest{
		Selector: &pb.QueueSelector{Destination: "gone"},
		Policy:   &pb.QueuePolicy{RetryStatuses: []int32{404}, Retry: &pb.RetryPolicy{MinBackoff: wait, MaxBackoff: wait}},
	})); err != nil {
		return err
	}
	g := generator{
		url: director.url, endpoint: sinkURL + "/gone", destination: "gone", size: size,
		batch: 200, parallel: 4, queues: 1000, ttl: 7 * 24 * time.Hour,
	}
	began := time.Now()
	if err := g.submit(ctx, n); err != nil {
		return err
	}
	if err := awaitRetrying(ctx, c, int64(n)); err != nil {
		return err
	}
	b.log.Info("waiting", "jobs", n, "after", time.Since(began))
	return nil
}

func awaitRetrying(ctx context.Context, c *client.Client, n int64) error {
	return poll(ctx, func() (bool, error) {
		l, err := ledgerOf(ctx, c)
		return l.GetAwaitingRetry() >= n, err
	})
}
