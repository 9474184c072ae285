package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"centrifuge"
	"centrifuge/access/links"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/fanout"
	"centrifuge/jobdb"
	"centrifuge/lease"
	"centrifuge/manager"
	"centrifuge/rpc"
)

// fleet is where JobDBs lie, who has them, and how this process comes to one.
type fleet struct {
	catalog manager.Catalog
	leases  manager.Leases
	pool    jobdb.Pool
	owner   manager.Owner
	past    *manager.Past
	links   links.Notes // of customers' links
	logger  *slog.Logger

	// observe is told of transitions that a drain makes; nil if nothing is recorded.
	observe func([]centrifuge.Event)

	// resume says that the first JobDB is to be the one that the Director had when it
	// ended, and resumed is closed when that is settled. The Director acquires one at
	// a time.
	resume  bool
	resumed chan struct{}

	// join takes a Director in, before it runs: as the fleet's only one, or as one of
	// many. It completes the backends of the Director's server.
	join func(ctx context.Context, o *serveOptions, d *director.Director, store archive.Bucket, address string, b *rpc.Backends) error

	// others are the other Directors; nil if there are none and never will be.
	others func() []fanout.Member

	// all are all Directors together, as soon as there is this one.
	all *fanout.Fleet

	// watching is who looks for what asks for attention; nil if that is this process
	// alone.
	watching *watching

	// besides run beside the Director until their contexts end.
	besides []func(context.Context)

	collectors []prometheus.Collector // of what runs besides

	serving  func()                 // told when the Director serves; nil for nobody
	freeDisk func() (uint64, error) // where its JobDBs lie; nil if that is not here
	scarce   func() (bool, error)   // whether room is, there
}

func newFleet(name string, catalog manager.Catalog, leases manager.Leases, pool jobdb.Pool, logger *slog.Logger) *fleet {
	return &fleet{
		catalog: catalog, leases: leases, pool: pool, past: manager.NewPast(catalog, pool, time.Now), logger: logger,
		owner: manager.Owner{
			Catalog: catalog, Leases: leases, Name: name, Now: time.Now, Logger: logger,
			Answers: func(ctx context.Context, server string) error { return answers(ctx, pool, server) },
		},
	}
}

// answers returns why a server of the pool does not answer.
func answers(ctx context.Context, pool jobdb.Pool, name string) error {
	servers, err := pool.Servers(ctx)
	for _, s := range servers {
		if s.Name == name {
			err = errors.Join(err, s.Err)
		}
	}
	if err != nil {
		return fmt.Errorf("server %s: %w", name, err)
	}
	return nil
}

// together makes the Director one of the fleet's.
func (f *fleet) together(d *director.Director) {
	o := fanout.Options{Name: f.owner.Name, Own: d, Others: f.others, Logger: f.logger}
	if f.others != nil {
		o.Adrift = f.adrift
	}
	f.all = fanout.New(o)
}

// serve is told whenever the Director serves.
func (f *fleet) serve() {
	if f.serving != nil {
		f.serving()
	}
	f.all.Look() // its JobDB may know none of the policies
}

// ready tells why the Director is not given jobs, nil if it is.
func (f *fleet) ready(d *director.Director) func() error {
	return func() error {
		if err := d.Ready(); err != nil || f.others == nil {
			return err
		}
		select {
		case <-f.all.Learned():
			return nil
		default:
			return errors.New("learning the policies of the other Directors")
		}
	}
}

// acquire gives the Director a JobDB: a spare, or, when one that is alone starts,
// the one that it had when it ended.
func (f *fleet) acquire(ctx context.Context) (director.Holding, error) {
	if f.resume {
		r, l, found, err := f.owner.Resume(ctx)
		if err != nil {
			return director.Holding{}, err
		}
		f.resume = false
		close(f.resumed)
		if found {
			return f.hold(r.Server, r.Name, l), nil
		}
	}
	r, l, err := f.owner.Acquire(ctx)
	if err != nil {
		return director.Holding{}, err
	}
	return f.hold(r.Server, r.Name, l), nil
}

// work is what a process that has a Director is for.
func (f *fleet) work(d *director.Director) func(context.Context) error {
	return func(ctx context.Context) error {
		running, stop := context.WithCancel(ctx)
		var besides sync.WaitGroup
		for _, run := range f.besides {
			besides.Go(func() { run(running) })
		}
		err := d.Run(ctx)
		stop()
		besides.Wait()
		return err
	}
}

func (f *fleet) hold(server, name string, l lease.Lease) director.Holding {
	return director.Holding{
		Name: name, Lease: l,
		Open: func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
			return f.pool.Open(ctx, server, name, epoch)
		},
	}
}

// released notes that the Director let go of a JobDB. Its ledger is only known for
// sure if that went in good order.
func (f *fleet) released(ctx context.Context, r director.Report) {
	var ledger *manager.Ledger
	if r.Err == nil {
		l := manager.Ledger(r.Ledger)
		ledger = &l
	}
	if err := f.owner.Release(ctx, r.JobDB, ledger); err != nil {
		f.logger.WarnContext(ctx, "that a JobDB was let go of is not in the catalog; the Manager finds it", "jobdb", r.JobDB, "error", err)
	}
}

// manage makes a Manager of the fleet, which drains into the Directors that target
// leads to.
func (f *fleet) manage(
	o *manageOptions, directors manager.Directors, store archive.Bucket, target func(manager.Director) (director.Target, error),
) (*manager.Manager, error) {
	return manager.New(manager.Options{
		Catalog: f.catalog, Pool: f.pool, Leases: f.leases, Directors: directors,
		Drainer: &drainer{fleet: f, archive: archive.New(store), target: target},
		Spares:  o.spares, MaxBytes: int64(o.jobdbMaxSize), MaxAge: o.jobdbMaxAge, Drains: o.drains,
		KeepAge: o.jobdbKeep, KeepBytes: int64(o.jobdbKeepSize), Scarce: f.scarce, Logger: f.logger,
	})
}

// drainer moves jobs for a Manager.
type drainer struct {
	*fleet
	archive *archive.Archive
	target  func(manager.Director) (director.Target, error)
}

var _ manager.Drainer = (*drainer)(nil)

// Drain implements [manager.Drainer].
func (d *drainer) Drain(
	ctx context.Context, from manager.Held, to manager.Director, progress func(manager.Ledger),
) (manager.Ledger, error) {
	target, err := d.target(to)
	if err != nil {
		return manager.Ledger{}, err
	}
	ledger, err := director.Drain(ctx, director.DrainOptions{
		Holding: d.hold(from.Server, from.Name, from.Lease), To: to.JobDB, Target: target, Archive: d.archive,
		Progress: func(l director.Ledger) { progress(manager.Ledger(l)) }, Observe: d.observe, Logger: d.logger,
	})
	return manager.Ledger(ledger), err
}

// Sweep implements [manager.Drainer]. It is a drain that brings nothing anywhere:
// what a drain offers, it offers after it has swept.
func (d *drainer) Sweep(ctx context.Context, from, into manager.Held) (err error) {
	epoch, err := into.Lease.Advance(ctx)
	if err != nil {
		return fmt.Errorf("raise the epoch of %s: %w", into.Name, err)
	}
	db, err := d.pool.Open(ctx, into.Server, into.Name, epoch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = director.Drain(ctx, director.DrainOptions{
		Holding: d.hold(from.Server, from.Name, from.Lease), To: "nowhere", Target: closedDoor{}, Archive: d.archive,
		Former:  &director.Former{Name: into.Name, Known: ask(into.Lease, db.Known), Transaction: ask(into.Lease, db.Transaction)},
		Observe: d.observe, Logger: d.logger,
	})
	if errors.Is(err, director.ErrWrongJobDB) {
		return nil
	}
	return err
}

// ask asks a JobDB as long as its lease is held: after that, what is not in it may
// come into it.
func ask[Q, A any](held lease.Lease, question func(context.Context, Q) (A, error)) func(context.Context, Q) (A, error) {
	return func(ctx context.Context, q Q) (answer A, err error) {
		if answer, err = question(ctx, q); err == nil && !held.Held() {
			err = lease.ErrLost
		}
		return answer, err
	}
}

// closedDoor accepts nothing.
type closedDoor struct{}

func (closedDoor) Accept(context.Context, director.Transfer) error { return director.ErrWrongJobDB }
