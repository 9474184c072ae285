package main

import (
	"context"
	"fmt"
	"time"

	pb "centrifuge/gen/centrifuge/v1"
)

// endToEnd submits n jobs to a fresh Director and returns how many a second
// arrived, from the first Submit to the last delivery, and the Director's
// processor time for each in microseconds.
func (b *bench) endToEnd(ctx context.Context, sinkURL string, g generator, n int, name string, args ...string) (rate, cpu float64, err error) {
	data, remove, err := b.newData()
	if err != nil {
		return 0, 0, err
	}
	defer remove()
	director, err := b.startServe(ctx, data, args...)
	if err != nil {
		return 0, 0, err
	}
	if rate, cpu, err = b.drive(ctx, director, sinkURL, g, n, name); err != nil {
		return 0, 0, err
	}
	return rate, cpu, director.stop()
}

// drive is endToEnd with a Director that runs.
func (b *bench) drive(ctx context.Context, director *process, sinkURL string, g generator, n int, name string) (rate, cpu float64, err error) {
	target := &process{url: sinkURL}
	before, err := target.stats(ctx)
	if err != nil {
		return 0, 0, err
	}
	used, err := director.cpuSeconds()
	if err != nil {
		return 0, 0, err
	}
	g.url, g.endpoint = director.url, sinkURL+"/"
	profiled := b.startProfile(ctx, director.url, name)
	began := time.Now()
	if err := g.submit(ctx, n); err != nil {
		return 0, 0, err
	}
	submitted := time.Since(began)
	if err := poll(ctx, func() (bool, error) {
		s, err := target.stats(ctx)
		return s.Succeeded-before.Succeeded >= uint64(n), err
	}); err != nil {
		return 0, 0, err
	}
	took := time.Since(began)
	if cpu, err = director.cpuSeconds(); err != nil {
		return 0, 0, err
	}
	b.log.Info("delivered", "run", name, "jobs", n, "submitted_after", submitted, "delivered_after", took)
	if err := profiled(); err != nil {
		return 0, 0, err
	}
	return float64(n) / took.Seconds(), (cpu - used) / float64(n) * 1e6, nil
}

// throughput measures the raw limit and the way through Centrifuge in turn.
func (b *bench) throughput(ctx context.Context, size, n int) error {
	target, err := b.startSink(ctx, "-forget-ids")
	if err != nil {
		return err
	}
	defer func() { _ = target.stop() }()
	var raws, rates, cpus []float64
	label := fmt.Sprintf("%d KB", size/1024)
	for i := range b.runs {
		r, err := raw(ctx, target.url+"/", size, n)
		if err != nil {
			return err
		}
		rate, cpu, err := b.endToEnd(ctx, target.url, generator{size: size, batch: 200, parallel: 4, queues: 100}, n, fmt.Sprintf("%dkb-%d", size/1024, i))
		if err != nil {
			return err
		}
		raws, rates, cpus = append(raws, r), append(rates, rate), append(cpus, cpu)
	}
	atLeast, aim := "0.45", "0.65"
	if size > 1024 {
		atLeast, aim = "0.40", "0.60"
	}
	b.report("raw limit, "+label, "requests/s", "", "", raws...)
	b.report("end to end, "+label, "jobs/s", "", "", rates...)
	b.report("end to end, "+label+", share of raw", "ratio", atLeast, aim, ratios(rates, raws)...)
	b.report("processor time of the Director, "+label, "µs/job", "", "", cpus...)
	return nil
}

// queues measures the same load over one queue and over 100,000.
func queues(ctx context.Context, b *bench) error {
	target, err := b.startSink(ctx, "-forget-ids")
	if err != nil {
		return err
	}
	defer func() { _ = target.stop() }()
	var one, many []float64
	for i := range b.runs {
		for _, run := range []struct {
			queues int
			rates  *[]float64
		}{{1, &one}, {100_000, &many}} {
			rate, _, err := b.endToEnd(ctx, target.url, generator{size: 1024, batch: 200, parallel: 4, queues: run.queues}, b.jobs, fmt.Sprintf("queues-%d-%d", run.queues, i))
			if err != nil {
				return err
			}
			*run.rates = append(*run.rates, rate)
		}
	}
	b.report("1 queue", "jobs/s", "", "", one...)
	b.report("100,000 queues", "jobs/s", "", "", many...)
	b.report("100,000 queues against 1", "ratio", "0.85", "0.95", ratios(many, one)...)
	return nil
}

// latency measures from Submit to the first byte at the sink, at 500 jobs/s in
// Submits of one job.
func latency(ctx context.Context, b *bench) error {
	const rate, seconds = 500, 20
	var p50s, p99s []float64
	for range b.runs {
		p50, p99, err := b.latencyRun(ctx, rate, rate*seconds)
		if err != nil {
			return err
		}
		p50s, p99s = append(p50s, p50), append(p99s, p99)
	}
	b.report("submit to first byte, 500 jobs/s, p50", "ms", "", "", p50s...)
	b.report("submit to first byte, 500 jobs/s, p99", "ms", "25", "10", p99s...)
	return nil
}

func (b *bench) latencyRun(ctx context.Context, rate, n int) (p50, p99 float64, err error) {
	target, err := b.startSink(ctx, "-measure-arrival")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = target.stop() }()
	data, remove, err := b.newData()
	if err != nil {
		return 0, 0, err
	}
	defer remove()
	director, err := b.startServe(ctx, data)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = director.stop() }()
	g := generator{endpoint: target.url + "/", size: 1024, queues: 100, stampedSent: true}
	body := make([]byte, g.size)
	if err := submitPaced(ctx, director.url, rate, n, func(i int) *pb.JobSpec { return g.job(i, body) }); err != nil {
		return 0, 0, err
	}
	err = poll(ctx, func() (bool, error) {
		s, err := target.stats(ctx)
		if err != nil || s.Arrival == nil || s.Arrival.Count < int64(n) {
			return false, err
		}
		p50, p99 = s.Arrival.P50.Seconds()*1e3, s.Arrival.P99.Seconds()*1e3
		return true, nil
	})
	return p50, p99, err
}
