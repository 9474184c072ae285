package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge"
	"centrifuge/bench/load"
	"centrifuge/client"
	"centrifuge/delivery"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/sink"
)

// conns is how many connections the raw limit is measured with.
const conns = 64

// raw posts n bodies with the Director's own HTTP client and returns how many a
// second were answered.
func raw(ctx context.Context, url string, size, n int) (float64, error) {
	deliverer, err := delivery.New(delivery.Options{
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, MaxIdlePerHost: conns,
	})
	if err != nil {
		return 0, err
	}
	defer deliverer.Close()
	var made atomic.Uint32
	post := func(ctx context.Context, body []byte) error {
		job := centrifuge.Job{Endpoint: url, Method: "POST", Payload: body}
		n := made.Add(1)
		job.ID = centrifuge.ID{0: 0x10, 16: byte(n >> 24), 17: byte(n >> 16), 18: byte(n >> 8), 19: byte(n)}
		if r := deliverer.Deliver(ctx, &job, 1); r.Outcome != centrifuge.OutcomeSucceeded {
			return fmt.Errorf("status %d %s %s", r.StatusCode, r.ErrorCode, r.Error)
		}
		return nil
	}
	result, err := load.Run(ctx, post, size, n, conns)
	return result.PerSecond(), err
}

// generator submits jobs to a Director.
type generator struct {
	url         string
	endpoint    string
	destination string // default "sink"
	size        int
	batch       int
	parallel    int
	queues      int           // number of sources
	rate        int           // jobs a second; 0: as many as are accepted
	ttl         time.Duration // 0: the default
	stampedSent bool
}

// submit submits n jobs, several batches at once.
func (g *generator) submit(ctx context.Context, n int) error {
	c, err := client.New(client.Options{URL: g.url, RetryFor: 10 * time.Minute})
	if err != nil {
		return err
	}
	defer c.Close()
	body := load.Body(g.size)
	var next atomic.Int64
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for range g.parallel {
		group.Go(func() error {
			for {
				first := int(next.Add(int64(g.batch))) - g.batch
				if first >= n {
					return nil
				}
				if g.rate > 0 {
					select {
					case <-time.After(time.Until(began.Add(time.Duration(first) * time.Second / time.Duration(g.rate)))):
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				req := &pb.SubmitRequest{Jobs: make([]*pb.JobSpec, min(g.batch, n-first))}
				for i := range req.Jobs {
					req.Jobs[i] = g.job(first+i, body)
				}
				if _, err := c.Submit(ctx, req); err != nil {
					return fmt.Errorf("submit: %w", err)
				}
			}
		})
	}
	return group.Wait()
}

func (g *generator) job(i int, body []byte) *pb.JobSpec {
	spec := &pb.JobSpec{Source: "source-" + strconv.Itoa(i%g.queues), Destination: cmp.Or(g.destination, "sink"), Endpoint: g.endpoint, Payload: body}
	if g.ttl > 0 {
		spec.Ttl = durationpb.New(g.ttl)
	}
	if g.stampedSent {
		spec.Headers = []*pb.Header{{Name: sink.HeaderSent, Value: strconv.FormatInt(time.Now().UnixNano(), 10)}}
	}
	return spec
}
