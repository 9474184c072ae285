package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

// traffic makes jobs: from sources on a power law, for destinations by their
// shares. One goroutine uses it.
type traffic struct {
	rate     float64
	random   *rand.Rand
	sources  *rand.Zipf
	baseURL  string
	accepted int64
}

func newTraffic(o *demoOptions, baseURL string) *traffic {
	random := rand.New(rand.NewPCG(o.seed, 0))
	return &traffic{
		rate:    o.rate,
		random:  random,
		sources: rand.NewZipf(random, 1.1, 1, uint64(o.sources-1)),
		baseURL: baseURL,
	}
}

// run submits at the rate for as long as d. When a Submit takes long, the next
// has what came meanwhile.
func (t *traffic) run(ctx context.Context, d time.Duration, c *client.Client) error {
	begun := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		elapsed := min(time.Since(begun), d)
		if due := int64(t.rate*elapsed.Seconds()) - t.accepted; due > 0 {
			req := &pb.SubmitRequest{Jobs: make([]*pb.JobSpec, min(due, 1000))}
			for i := range req.Jobs {
				req.Jobs[i] = t.job()
			}
			if _, err := c.Submit(ctx, req); err != nil {
				return err
			}
			t.accepted += int64(len(req.Jobs))
			continue
		}
		if elapsed == d {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Retries come quickly, so that something happens while somebody looks.
func (t *traffic) job() *pb.JobSpec {
	dest := t.destination()
	endpoint := t.baseURL + "/" + dest.name
	if dest.nobody {
		endpoint = "http://127.0.0.1:1/" // a port that nothing is allowed to listen on by chance
	}
	source := fmt.Sprintf("source-%03d", t.sources.Uint64())
	return &pb.JobSpec{
		Source:      source,
		Destination: dest.name,
		Endpoint:    endpoint,
		Headers:     []*pb.Header{{Name: "Content-Type", Value: "application/json"}},
		Payload:     fmt.Appendf(nil, `{"from":%q,"lot":%d}`, source, t.random.IntN(1_000_000)),
		Timeout:     durationpb.New(time.Second),
		Retry: &pb.RetryPolicy{
			MinBackoff: durationpb.New(500 * time.Millisecond),
			MaxBackoff: durationpb.New(5 * time.Second),
		},
	}
}

func (t *traffic) destination() *demoDestination {
	u := t.random.Float64()
	for i := range demoDestinations {
		if u < demoDestinations[i].share {
			return &demoDestinations[i]
		}
		u -= demoDestinations[i].share
	}
	return &demoDestinations[0]
}
