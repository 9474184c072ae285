package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// manyDirectors measures the processor time for each delivered job of one Director
// and of three beside each other: with the same modest load for each, and with all
// that they take, which on one machine is little for each of three.
func manyDirectors(ctx context.Context, b *bench) error {
	target, err := b.startSink(ctx, "-forget-ids")
	if err != nil {
		return err
	}
	defer func() { _ = target.stop() }()
	f, err := b.startFleet(ctx, 3)
	if err != nil {
		return err
	}
	defer f.close()
	leave, err := f.startHeir(ctx)
	if err != nil {
		return err
	}
	defer leave()
	const modest = 2000 // jobs a second for each
	for _, load := range []struct {
		name          string
		rate, jobs    int
		atLeast, most string
	}{
		{fmt.Sprintf("%d jobs/s each", modest), modest, b.jobs / 10, "1.1", "1.0"},
		{"all they take", 0, b.jobs / 4, "", ""},
	} {
		var one, three, serverOne, serverThree []float64
		for i := range b.runs {
			for _, run := range []struct {
				directors    int
				cpu, servers *[]float64
			}{{1, &one, &serverOne}, {3, &three, &serverThree}} {
				g := generator{endpoint: target.url + "/", size: 1024, batch: 100, parallel: 4, queues: 100, rate: load.rate}
				cpu, server, err := f.share(ctx, target, g, run.directors, load.jobs, fmt.Sprintf("of-%d-%d-%d", run.directors, i, load.rate))
				if err != nil {
					return err
				}
				*run.cpu, *run.servers = append(*run.cpu, cpu), append(*run.servers, server)
			}
		}
		b.report("processor time of 1 Director, "+load.name, "µs/job", "", "", one...)
		b.report("processor time of 3 Directors, "+load.name, "µs/job", "", "", three...)
		b.report("processor time of MariaDB under 1 Director, "+load.name, "µs/job", "", "", serverOne...)
		b.report("processor time of MariaDB under 3 Directors, "+load.name, "µs/job", "", "", serverThree...)
		b.report("processor time for each job, 3 Directors against 1, "+load.name, "ratio", load.atLeast, load.most, ratios(three, one)...)
	}
	return nil
}

// share has so many Directors deliver n jobs each, and returns the processor time of
// all of them, and of MariaDB, for each job.
func (f *fleet) share(ctx context.Context, target *process, g generator, directors, n int, name string) (cpu, server float64, err error) {
	running := make([]*process, directors)
	for i := range running {
		if running[i], err = f.startDirector(ctx, fmt.Sprintf("%s-%d", name, i)); err != nil {
			return 0, 0, err
		}
	}
	watched := append([]*process{f.mariadb}, running...)
	before, err := cpuOf(watched)
	if err != nil {
		return 0, 0, err
	}
	counted, err := target.stats(ctx)
	if err != nil {
		return 0, 0, err
	}
	group, submitting := errgroup.WithContext(ctx)
	for _, d := range running {
		group.Go(func() error {
			g := g
			g.url = d.url
			return g.submit(submitting, n)
		})
	}
	if err := group.Wait(); err != nil {
		return 0, 0, err
	}
	if err := poll(ctx, func() (bool, error) {
		s, err := target.stats(ctx)
		return s.Succeeded-counted.Succeeded >= uint64(n*directors), err
	}); err != nil {
		return 0, 0, err
	}
	after, err := cpuOf(watched)
	if err != nil {
		return 0, 0, err
	}
	for i := range running {
		cpu += after[1+i] - before[1+i]
		if err := running[i].stop(); err != nil {
			return 0, 0, err
		}
	}
	micros := 1e6 / float64(n*directors)
	return cpu * micros, (after[0] - before[0]) * micros, f.awaitDropped(ctx)
}

// cpuOf is the processor time that each of the processes has used, in seconds.
func cpuOf(processes []*process) ([]float64, error) {
	used := make([]float64, len(processes))
	for i, p := range processes {
		var err error
		if used[i], err = p.cpuSeconds(); err != nil {
			return nil, err
		}
	}
	return used, nil
}
