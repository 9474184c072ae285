package main

import (
	"context"
	"fmt"
	"time"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

// drain measures what draining an old JobDB costs the Director that takes its jobs,
// and how long a Director that takes nothing else needs for all that another one
// left behind. All waiting jobs have 1 KB and one attempt behind them.
func drain(ctx context.Context, b *bench) error {
	target, err := b.startSink(ctx, "-forget-ids", "-route", "/gone=status:404")
	if err != nil {
		return err
	}
	defer func() { _ = target.stop() }()
	if err := b.drainBesideLoad(ctx, target.url); err != nil {
		return err
	}
	return b.drainToAnother(ctx, target.url)
}

// drainBesideLoad delivers in turn without a drain and with one under way.
func (b *bench) drainBesideLoad(ctx context.Context, sinkURL string) error {
	f, err := b.startFleet(ctx, 2)
	if err != nil {
		return err
	}
	defer f.close()
	director, err := f.startDirector(ctx, "loaded")
	if err != nil {
		return err
	}
	defer func() { _ = director.kill() }()
	if err := b.fillWaiting(ctx, director, sinkURL, 1024, max(b.pending/5, 1000)); err != nil {
		return err
	}
	n := b.jobs / 2
	g := generator{size: 1024, batch: 200, parallel: 4, queues: 100}
	var without, with, moved []float64
	for i := range b.runs {
		rate, _, err := b.drive(ctx, director, sinkURL, g, n, fmt.Sprintf("no-drain-%d", i))
		if err != nil {
			return err
		}
		without = append(without, rate)
		old, err := f.cycle(ctx, "loaded")
		if err != nil {
			return err
		}
		if err := f.await(ctx, func(m *pb.FleetServiceGetResponse) bool { return ledgerIn(m, old).GetMoved() > 0 }); err != nil {
			return err
		}
		before, err := f.moved(ctx, old)
		if err != nil {
			return err
		}
		began := time.Now()
		if rate, _, err = b.drive(ctx, director, sinkURL, g, n, fmt.Sprintf("drain-%d", i)); err != nil {
			return err
		}
		after, err := f.moved(ctx, old)
		if err != nil {
			return err
		}
		with, moved = append(with, rate), append(moved, float64(after-before)/time.Since(began).Seconds())
		if err := f.awaitDropped(ctx); err != nil {
			return err
		}
	}
	b.report("end to end on MariaDB without a drain", "jobs/s", "", "", without...)
	b.report("end to end on MariaDB while a JobDB is drained", "jobs/s", "", "", with...)
	b.report("jobs moved meanwhile", "jobs/s", "", "", moved...)
	b.report("while draining against without", "ratio", "0.85", "0.95", ratios(with, without)...)
	return nil
}

// drainToAnother has a Director end that holds all the waiting jobs, while another
// one has nothing to do.
func (b *bench) drainToAnother(ctx context.Context, sinkURL string) error {
	f, err := b.startFleet(ctx, 2)
	if err != nil {
		return err
	}
	defer f.close()
	leaving, err := f.startDirector(ctx, "leaving")
	if err != nil {
		return err
	}
	if err := b.fillWaiting(ctx, leaving, sinkURL, 1024, b.pending); err != nil {
		return err
	}
	staying, err := f.startDirector(ctx, "staying")
	if err != nil {
		return err
	}
	defer func() { _ = staying.kill() }()
	working := []*process{staying, f.manager, f.mariadb}
	used, err := cpuOf(working)
	if err != nil {
		return err
	}
	if err := leaving.stop(); err != nil {
		return err
	}
	began := time.Now()
	if err := f.awaitDropped(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	c, err := client.New(client.Options{URL: staying.url})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := awaitRetrying(ctx, c, int64(b.pending)); err != nil {
		return err
	}
	after, err := cpuOf(working)
	if err != nil {
		return err
	}
	b.report(fmt.Sprintf("%d waiting jobs of 1 KB drained to another Director", b.pending), "s", "120", "45", took.Seconds())
	for i, of := range []string{"the Director", "the Manager", "MariaDB"} {
		b.report("processor time of "+of+" for it", "µs/job", "", "", (after[i]-used[i])/float64(b.pending)*1e6)
	}
	return nil
}

// moved is how many jobs of a JobDB went on elsewhere, as far as is known.
func (f *fleet) moved(ctx context.Context, name string) (int64, error) {
	m, err := f.get(ctx)
	return ledgerIn(m, name).GetMoved(), err
}

func ledgerIn(m *pb.FleetServiceGetResponse, name string) *pb.Ledger {
	for _, j := range m.GetJobdbs() {
		if j.GetName() == name {
			return j.GetLedger()
		}
	}
	return nil
}
