package manager_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"centrifuge/jobdb"
	"centrifuge/lease"
	"centrifuge/manager"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// fault is what happens to one call of a Manager.
type fault struct {
	call    int  // which, from 1; 0 for none
	applied bool // it takes effect, and fails all the same
	kills   bool // the Manager does not live to see the answer
}

// process is a Manager with all that it calls, one call of which may go wrong.
type process struct {
	*manager.Manager
	w     *world
	fault fault

	mu    sync.Mutex
	calls int
	dead  bool
	hit   string // the call that the fault happened to

	kill  context.CancelFunc
	ended chan struct{}
}

var errFault = errors.New("injected fault")

func (w *world) newManager(t *testing.T, f fault) (*manager.Manager, *process) {
	t.Helper()
	p := &process{w: w, fault: f, ended: make(chan struct{})}
	var err error
	p.Manager, err = manager.New(manager.Options{
		Catalog: faultyCatalog{p}, Pool: faultyPool{p}, Leases: faultyLeases{p}, Directors: faultyDirectors{p}, Drainer: faultyDrainer{p},
		MaxAge: 5 * time.Second, MaxBytes: w.maxBytes, KeepAge: w.keepAge, KeepBytes: w.keepBytes, Scarce: w.scarce,
		KeepRecords: 6 * time.Second, Logger: discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p.Manager, p
}

// manage starts a Manager.
func (w *world) manage(t *testing.T, f fault) *process {
	t.Helper()
	_, p := w.newManager(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	p.kill = cancel
	go func() {
		defer close(p.ended)
		p.Run(ctx)
		w.bury(p)
	}()
	return p
}

// end kills the process, if it lives, and waits for its end.
func (p *process) end() {
	p.kill()
	<-p.ended
}

// step makes a call, or what becomes of it.
func (p *process) step(name string, do func() error) error {
	p.mu.Lock()
	p.calls++
	hit, dead := p.calls == p.fault.call, p.dead
	if hit {
		p.hit = name
	}
	p.mu.Unlock()
	switch {
	case dead:
		return errFault
	case !hit:
		return do()
	}
	if p.fault.applied {
		if err := do(); err != nil {
			return err
		}
	}
	if p.fault.kills {
		p.mu.Lock()
		p.dead = true
		p.mu.Unlock()
		p.kill()
	}
	return errFault
}

type faultyCatalog struct{ p *process }

func (c faultyCatalog) List(ctx context.Context, seen uint64) (records []manager.Record, version uint64, err error) {
	err = c.p.step("list", func() (err error) {
		records, version, err = c.p.w.catalog.List(ctx, seen)
		return err
	})
	return records, version, err
}

func (c faultyCatalog) Put(ctx context.Context, r manager.Record) (written manager.Record, err error) {
	err = c.p.step("put", func() (err error) {
		written, err = c.p.w.catalog.Put(ctx, r)
		return err
	})
	return written, err
}

func (c faultyCatalog) Delete(ctx context.Context, r manager.Record) error {
	return c.p.step("delete", func() error { return c.p.w.catalog.Delete(ctx, r) })
}

type faultyPool struct{ p *process }

func (f faultyPool) Servers(context.Context) (servers []jobdb.Server, err error) {
	err = f.p.step("servers", func() error {
		servers = f.p.w.list()
		return nil
	})
	return servers, err
}

func (f faultyPool) Create(_ context.Context, server, name string) error {
	return f.p.step("create", func() error { return f.p.w.create(server, name) })
}

func (f faultyPool) Open(context.Context, string, string, uint64) (jobdb.DB, error) {
	return nil, errors.New("the Manager has no business with what is in a JobDB")
}

func (f faultyPool) Read(_ context.Context, server, name string) (r jobdb.Reader, err error) {
	err = f.p.step("read", func() (err error) {
		r, err = f.p.w.read(server, name)
		return err
	})
	return r, err
}

func (f faultyPool) Drop(_ context.Context, server, name string) error {
	return f.p.step("drop", func() error { return f.p.w.drop(server, name) })
}

type faultyLeases struct{ p *process }

func (l faultyLeases) Acquire(ctx context.Context, name string) (got lease.Lease, err error) {
	err = l.p.step("acquire", func() (err error) {
		got, err = plainLeases{l.p.w, l.p}.Acquire(ctx, name)
		return err
	})
	if err != nil && got != nil { // taken, and nobody knows: Consul would end it by its TTL
		_ = got.Close(ctx)
		got = nil
	}
	return got, err
}

func (l faultyLeases) Held(ctx context.Context) (held map[string]bool, err error) {
	err = l.p.step("held", func() (err error) {
		held, err = plainLeases{l.p.w, l.p}.Held(ctx)
		return err
	})
	return held, err
}

func (l faultyLeases) Forget(ctx context.Context, name string) error {
	return l.p.step("forget", func() error { return plainLeases{l.p.w, l.p}.Forget(ctx, name) })
}

type faultyDirectors struct{ p *process }

func (d faultyDirectors) Status(context.Context) (status []manager.Director, err error) {
	err = d.p.step("status", func() error {
		status = d.p.w.status()
		return nil
	})
	return status, err
}

func (d faultyDirectors) Cycle(ctx context.Context, name string) (before, now string, err error) {
	err = d.p.step("cycle", func() (err error) {
		before, now, err = d.p.w.cycle(ctx, name)
		return err
	})
	return before, now, err
}

type faultyDrainer struct{ p *process }

func (d faultyDrainer) Drain(
	ctx context.Context, from manager.Held, to manager.Director, progress func(manager.Ledger),
) (l manager.Ledger, err error) {
	err = d.p.step("drain", func() (err error) {
		l, err = d.p.w.drain(ctx, from, to, progress, d.p.step)
		return err
	})
	return l, err
}

func (d faultyDrainer) Sweep(_ context.Context, from, into manager.Held) error {
	return d.p.step("sweep", func() error { return d.p.w.sweep(from, into) })
}
