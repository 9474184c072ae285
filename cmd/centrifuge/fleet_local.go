package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"centrifuge/access/links"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/jobdb/sqlite"
	"centrifuge/lease"
	"centrifuge/lease/local"
	"centrifuge/manager"
	"centrifuge/manager/filestore"
	"centrifuge/rpc"
)

// openLocalFleet opens the fleet of one process, in a folder that it owns until
// close is called.
func openLocalFleet(ctx context.Context, folder string, logger *slog.Logger) (f *fleet, close func() error, err error) {
	owned, err := acquireFolder(ctx, folder)
	if errors.Is(err, lease.ErrHeld) {
		err = fmt.Errorf("%w; one process serves a folder (--data-dir)", err)
	}
	if err != nil {
		return nil, nil, err
	}
	close = func() error { return owned.Close(context.WithoutCancel(ctx)) }
	catalog, err := filestore.Open(folder)
	if err != nil {
		return nil, nil, errors.Join(err, close())
	}
	notes, err := links.OpenFolder(filepath.Join(folder, "links"))
	if err != nil {
		return nil, nil, errors.Join(err, close())
	}
	f = newFleet("director", catalog, filestore.NewLeases(owned), sqlite.NewPool(folder, logger), logger)
	f.links = notes
	f.freeDisk = func() (uint64, error) { return freeDisk(folder) }
	f.join = f.manageAlone
	return f, close, nil
}

// manageAlone makes a Manager of the one Director, and has the Director take up
// first what it had when it ended.
func (f *fleet) manageAlone(
	ctx context.Context, o *serveOptions, d *director.Director, store archive.Bucket, address string, b *rpc.Backends,
) error {
	if o.minFreeDisk > 0 { // what is kept gives way before Submits are refused
		f.scarce = func() (bool, error) {
			free, err := f.freeDisk()
			return free < 2*uint64(o.minFreeDisk), err
		}
	}
	directors := &oneDirector{name: f.owner.Name, address: address, Director: d}
	m, err := f.manage(&o.manageOptions, directors, store, func(manager.Director) (director.Target, error) { return d, nil })
	if err != nil {
		return err
	}
	if err := m.Adopt(ctx); err != nil {
		return err
	}
	f.resume, f.resumed = true, make(chan struct{})
	f.besides = append(f.besides, func(ctx context.Context) {
		// Before, the Manager would drain what the Director is about to take up.
		select {
		case <-f.resumed:
			m.Run(ctx)
		case <-ctx.Done():
		}
	})
	f.collectors = append(f.collectors, m.Collector())
	b.Fleet, b.Ledger = m, &fleetLedger{m: m, d: d, all: f.all}
	return nil
}

// freeDisk is what the file system has left for us, in bytes.
func freeDisk(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// leasePatience is how long a folder's last holder may take to be gone: a process
// that was killed holds its lock until the kernel has buried it.
const leasePatience = 2 * time.Second

func acquireFolder(ctx context.Context, dir string) (*local.Lease, error) {
	patience := time.NewTimer(leasePatience)
	defer patience.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		owned, err := local.Acquire(dir)
		if !errors.Is(err, lease.ErrHeld) {
			return owned, err
		}
		select {
		case <-tick.C:
		case <-patience.C:
			return nil, err
		case <-ctx.Done():
			return nil, err
		}
	}
}

// oneDirector is the Directors of a fleet that has one, in this process.
type oneDirector struct {
	name    string
	address string // where it listens
	*director.Director
}

var _ manager.Directors = (*oneDirector)(nil)

// Status implements [manager.Directors].
func (o *oneDirector) Status(context.Context) ([]manager.Director, error) {
	status := manager.Director{Name: o.name, Address: o.address}
	var ledgers []director.JobDBLedger
	if ledgers, status.Err = o.Ledgers(); status.Err == nil {
		status.JobDB, status.Ledgers = o.Director.Status().JobDB, make(map[string]manager.Ledger, len(ledgers))
	}
	for _, l := range ledgers {
		status.Ledgers[l.Name] = manager.Ledger(l.Ledger)
	}
	return []manager.Director{status}, nil
}

// Cycle implements [manager.Directors].
func (o *oneDirector) Cycle(ctx context.Context, _ string) (before, now string, err error) {
	return o.Director.Cycle(ctx)
}
