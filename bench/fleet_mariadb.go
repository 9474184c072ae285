package main

import (
	"context"
	"fmt"
)

// onMariaDB measures the way through one Director of a fleet, whose JobDB lies on
// MariaDB, against the raw limit and against River, in turn.
func onMariaDB(ctx context.Context, b *bench) error {
	target, err := b.startSink(ctx, "-forget-ids")
	if err != nil {
		return err
	}
	defer func() { _ = target.stop() }()
	counting, err := b.startSink(ctx) // by id, which River's run waits for
	if err != nil {
		return err
	}
	defer func() { _ = counting.stop() }()
	f, err := b.startFleet(ctx, 1)
	if err != nil {
		return err
	}
	defer f.close()
	leave, err := f.startHeir(ctx)
	if err != nil {
		return err
	}
	defer leave()
	var raws, rates, cpus, servers, rivers []float64
	for i := range b.runs {
		r, err := raw(ctx, target.url+"/", 1024, b.jobs)
		if err != nil {
			return err
		}
		rate, cpu, server, err := f.endToEnd(ctx, target.url, b.jobs, fmt.Sprintf("mariadb-%d", i))
		if err != nil {
			return err
		}
		river, err := b.peer(ctx, "river", counting.url, min(30_000, b.jobs))
		if err != nil {
			return err
		}
		raws, rates, cpus, servers, rivers = append(raws, r), append(rates, rate), append(cpus, cpu), append(servers, server), append(rivers, river)
	}
	b.report("raw limit, 1 KB, beside MariaDB", "requests/s", "", "", raws...)
	b.report("end to end on MariaDB, 1 KB", "jobs/s", "", "", rates...)
	b.report("end to end on MariaDB, 1 KB, share of raw", "ratio", "0.30", "0.45", ratios(rates, raws)...)
	b.report("processor time of the Director on MariaDB, 1 KB", "µs/job", "", "", cpus...)
	b.report("processor time of MariaDB, 1 KB", "µs/job", "", "", servers...)
	b.report("river, 1 KB, beside MariaDB", "jobs/s", "", "", rivers...)
	b.report("on MariaDB against river, 1 KB", "times", "2.5", "3.5", ratios(rates, rivers)...)
	return nil
}

// endToEnd is a run through a Director of its own, on a JobDB that is fresh. It
// returns once that was dropped.
func (f *fleet) endToEnd(ctx context.Context, sinkURL string, n int, name string) (rate, cpu, server float64, err error) {
	director, err := f.startDirector(ctx, name)
	if err != nil {
		return 0, 0, 0, err
	}
	before, err := f.mariadb.cpuSeconds()
	if err != nil {
		return 0, 0, 0, err
	}
	rate, cpu, err = f.b.drive(ctx, director, sinkURL, generator{size: 1024, batch: 200, parallel: 4, queues: 100}, n, name)
	if err != nil {
		return 0, 0, 0, err
	}
	after, err := f.mariadb.cpuSeconds()
	if err != nil {
		return 0, 0, 0, err
	}
	if err := director.stop(); err != nil {
		return 0, 0, 0, err
	}
	return rate, cpu, (after - before) / float64(n) * 1e6, f.awaitDropped(ctx)
}
