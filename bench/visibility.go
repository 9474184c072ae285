package main

import (
	"context"
	"fmt"
	"slices"
)

// recording measures throughput with the record of deliveries and without it, in
// turn, over many queues: what the record costs grows with them.
func recording(ctx context.Context, b *bench) error {
	target, err := b.startSink(ctx, "-forget-ids")
	if err != nil {
		return err
	}
	defer func() { _ = target.stop() }()
	type side struct {
		name       string
		args       []string
		rates, cpu []float64
	}
	with, without := &side{name: "with"}, &side{name: "without", args: []string{"--history", "none"}}
	order := []*side{with, without}
	g := generator{size: 1024, batch: 200, parallel: 4, queues: 10_000}
	for i := range b.runs {
		for _, s := range order {
			rate, cpu, err := b.endToEnd(ctx, target.url, g, b.jobs, fmt.Sprintf("recording-%s-%d", s.name, i), s.args...)
			if err != nil {
				return err
			}
			s.rates, s.cpu = append(s.rates, rate), append(s.cpu, cpu)
		}
		slices.Reverse(order) // neither always comes first
	}
	b.report("1 KB, 10,000 queues, not recorded", "jobs/s", "", "", without.rates...)
	b.report("1 KB, 10,000 queues, recorded", "jobs/s", "", "", with.rates...)
	b.report("cost of recording, share of throughput", "%", "5", "2", less(with.rates, without.rates)...)
	b.report("processor time of the Director, not recorded", "µs/job", "", "", without.cpu...)
	b.report("processor time of the Director, recorded", "µs/job", "", "", with.cpu...)
	b.report("the same, against not recorded", "ratio", "", "", ratios(with.cpu, without.cpu)...)
	return nil
}

// less is by how many hundredths values are below others, run by run.
func less(values, than []float64) []float64 {
	out := ratios(values, than)
	for i := range out {
		out[i] = 100 * (1 - out[i])
	}
	return out
}
