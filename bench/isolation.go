package main

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/bench/load"
	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/sink"
)

// isolation measures what a destination that hangs costs the others: their p99
// from Submit to the first byte at the sink while every attempt for a third of the
// traffic times out, against the p99 while that third is answered at once.
func isolation(ctx context.Context, b *bench) error {
	var calm, hanging []float64
	for range b.runs {
		for _, run := range []struct {
			reply string
			p99s  *[]float64
		}{{"200", &calm}, {"hang", &hanging}} {
			p99, err := b.isolationRun(ctx, run.reply)
			if err != nil {
				return err
			}
			*run.p99s = append(*run.p99s, p99)
		}
	}
	b.report("submit to first byte, 450 jobs/s for 3 destinations, p99 of two", "ms", "", "", calm...)
	b.report("the same while the third hangs", "ms", "", "", hanging...)
	b.report("p99 while the third hangs against before", "ratio", "1.5", "", ratios(hanging, calm)...)
	return nil
}

// isolationRun is a run in which the third destination replies as told. It has a
// sink of its own, so that the other's figures are of the two alone.
func (b *bench) isolationRun(ctx context.Context, reply string) (p99 float64, err error) {
	const rate, seconds = 450, 20
	measured, err := b.startSink(ctx, "-measure-arrival")
	if err != nil {
		return 0, err
	}
	defer func() { _ = measured.stop() }()
	third, err := b.startSink(ctx, "-forget-ids", "-route", "/=status:"+reply)
	if err != nil {
		return 0, err
	}
	defer func() { _ = third.stop() }()
	data, remove, err := b.newData()
	if err != nil {
		return 0, err
	}
	defer remove()
	director, err := b.startServe(ctx, data, "--shutdown-grace", "2s")
	if err != nil {
		return 0, err
	}
	defer func() { _ = director.stop() }()

	body := load.Body(1024)
	err = submitPaced(ctx, director.url, rate, rate*seconds, func(i int) *pb.JobSpec {
		job := &pb.JobSpec{
			Source: "source-" + strconv.Itoa(i/3%10), Destination: "destination-" + strconv.Itoa(i%3),
			Endpoint: measured.url + "/", Payload: body, Timeout: durationpb.New(time.Second),
			Headers: []*pb.Header{{Name: sink.HeaderSent, Value: strconv.FormatInt(time.Now().UnixNano(), 10)}},
		}
		if i%3 == 2 {
			job.Endpoint = third.url + "/"
		}
		return job
	})
	if err != nil {
		return 0, err
	}
	err = poll(ctx, func() (bool, error) {
		s, err := measured.stats(ctx)
		if err != nil || s.Arrival == nil || s.Arrival.Count < rate*seconds/3*2 {
			return false, err
		}
		p99 = s.Arrival.P99.Seconds() * 1e3
		return true, nil
	})
	return p99, err
}

// submitPaced submits n jobs, rate a second and one a Submit, without waiting for
// answers before the last.
func submitPaced(ctx context.Context, url string, rate, n int, job func(int) *pb.JobSpec) error {
	c, err := client.New(client.Options{URL: url})
	if err != nil {
		return err
	}
	defer c.Close()
	answers := make(chan error, n)
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		go func() {
			_, err := c.Submit(ctx, &pb.SubmitRequest{Jobs: []*pb.JobSpec{job(i)}})
			answers <- err
		}()
	}
	for range n {
		if err := <-answers; err != nil {
			return err
		}
	}
	return nil
}
