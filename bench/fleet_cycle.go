package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/bench/load"
	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

// cycle measures the longest that a Submit of one job takes, at 500 a second, while
// the Director goes over to another JobDB and the one before is drained and
// dropped, and while nothing of the kind happens.
func cycle(ctx context.Context, b *bench) error {
	target, err := b.startSink(ctx, "-forget-ids")
	if err != nil {
		return err
	}
	defer func() { _ = target.stop() }()
	f, err := b.startFleet(ctx, 2)
	if err != nil {
		return err
	}
	defer f.close()
	onMariaDB, err := f.startDirector(ctx, "cycled")
	if err != nil {
		return err
	}
	defer func() { _ = onMariaDB.kill() }()
	if err := b.cycles(ctx, "MariaDB", onMariaDB, f.manager, "cycled", target.url); err != nil {
		return err
	}
	data, remove, err := b.newData()
	if err != nil {
		return err
	}
	defer remove()
	alone, err := b.startServe(ctx, data)
	if err != nil {
		return err
	}
	defer func() { _ = alone.kill() }()
	return b.cycles(ctx, "SQLite", alone, alone, "director", target.url)
}

// cycles measures a calm time and then one cycle after the other, some seconds
// each.
func (b *bench) cycles(ctx context.Context, store string, director, manager *process, name, sinkURL string) error {
	const rate, seconds = 500, 5
	asks, err := client.New(client.Options{URL: manager.url})
	if err != nil {
		return err
	}
	defer asks.Close()
	if _, err := worstSubmit(ctx, director.url, sinkURL, rate, rate*seconds); err != nil { // warms up
		return err
	}
	var calm, cycled []float64
	for range b.runs {
		worst, err := worstSubmit(ctx, director.url, sinkURL, rate, rate*seconds)
		if err != nil {
			return err
		}
		calm = append(calm, worst)
		done := make(chan error, 1)
		go func() {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			_, err := asks.Fleet.Cycle(ctx, connect.NewRequest(&pb.FleetServiceCycleRequest{Director: name}))
			done <- err
		}()
		worst, err = worstSubmit(ctx, director.url, sinkURL, rate, rate*seconds)
		if cycleErr := <-done; cycleErr != nil {
			return fmt.Errorf("cycle: %w", cycleErr)
		}
		if err != nil {
			return err
		}
		cycled = append(cycled, worst)
	}
	b.report("longest Submit of a calm 5 s, "+store, "ms", "", "", calm...)
	b.report("longest Submit of 5 s with a cycle, "+store, "ms", "200", "50", cycled...)
	return nil
}

// worstSubmit submits n jobs, rate a second and one a Submit, and returns how many
// milliseconds the slowest call took.
func worstSubmit(ctx context.Context, url, sinkURL string, rate, n int) (float64, error) {
	c, err := client.New(client.Options{URL: url})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	body := load.Body(1024)
	took := make([]time.Duration, n)
	errs := make([]error, n)
	var calls sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		calls.Go(func() {
			began := time.Now()
			_, errs[i] = c.Submit(ctx, &pb.SubmitRequest{Jobs: []*pb.JobSpec{{
				Source: fmt.Sprintf("source-%d", i%100), Destination: "sink", Endpoint: sinkURL + "/", Payload: body,
				Ttl: durationpb.New(time.Hour),
			}}})
			took[i] = time.Since(began)
		})
	}
	calls.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return slices.Max(took).Seconds() * 1e3, nil
}
