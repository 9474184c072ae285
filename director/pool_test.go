package director_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
	"centrifuge/jobdb/sqlite"
	"centrifuge/lease"
	"centrifuge/lease/leasetest"
	"centrifuge/lease/local"
)

// pool is JobDBs in a folder, each with a lease of its own.
type pool struct {
	dir   string
	fault func(op string) jobdbtest.Fault // nil for none
	fake  bool                            // leases that the test can take away

	mu struct {
		sync.Mutex
		made     uint64
		leases   map[string]lease.Lease
		released []director.Report
	}
}

func newPool(t *testing.T) *pool {
	p := &pool{dir: t.TempDir()}
	p.mu.leases = make(map[string]lease.Lease)
	return p
}

func (p *pool) path(name string) string { return filepath.Join(p.dir, name+".db") }

// acquire acquires a JobDB that nobody had before.
func (p *pool) acquire(context.Context) (director.Holding, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.made++
	return p.holdLocked(jobdb.Name(p.mu.made))
}

// hold takes the lease of a JobDB.
func (p *pool) hold(t *testing.T, name string) director.Holding {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	h, err := p.holdLocked(name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (p *pool) holdLocked(name string) (director.Holding, error) {
	h := director.Holding{Name: name, Open: func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
		db, err := sqlite.Open(ctx, sqlite.Options{Path: p.path(name), Epoch: epoch})
		if err != nil || p.fault == nil {
			return db, err
		}
		return jobdbtest.Faulty(db, p.fault), nil
	}}
	if p.fake {
		after := uint64(0)
		if last := p.mu.leases[name]; last != nil {
			after = last.Epoch() + 100
		}
		h.Lease = leasetest.New(after)
	} else {
		l, err := local.Acquire(filepath.Join(p.dir, name+".lease"))
		if err != nil {
			return h, err
		}
		h.Lease = l
	}
	p.mu.leases[name] = h.Lease
	return h, nil
}

func (p *pool) lease(name string) *leasetest.Lease {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.leases[name].(*leasetest.Lease)
}

func (p *pool) release(_ context.Context, r director.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.released = append(p.mu.released, r)
}

// report is that of a JobDB that was let go of, nil while it was not.
func (p *pool) report(name string) *director.Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.mu.released {
		if r := &p.mu.released[i]; r.JobDB == name {
			return r
		}
	}
	return nil
}

// serving are the options of a Director that lives on the pool.
func (p *pool) serving(d director.Deliverer) func(*director.Options) {
	return func(o *director.Options) {
		o.Acquire, o.Released, o.Deliverer = p.acquire, p.release, d
	}
}

// archiveIn is the archive in the folder of a Director that start made.
func archiveIn(t *testing.T, dir string) *archive.Archive {
	t.Helper()
	folder, err := archive.OpenFolder(filepath.Join(dir, "archive"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	return archive.New(folder)
}

// drain drains a JobDB of the pool, as often as it takes, and gives its lease up.
func (p *pool) drain(t *testing.T, name, to string, target director.Target, dir string, change ...func(*director.DrainOptions)) director.Ledger {
	t.Helper()
	o := director.DrainOptions{
		Holding: p.hold(t, name), To: to, Target: target, Archive: archiveIn(t, dir), Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&o)
	}
	defer func() {
		if err := o.Lease.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for {
		l, err := director.Drain(t.Context(), o)
		if errors.Is(err, jobdbtest.ErrInjected) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if l.Pending() != 0 || !l.Balanced() {
			t.Fatalf("%s is drained with %+v", name, l)
		}
		return l
	}
}

// tally is a Deliverer that counts the attempts of each job by their number.
type tally struct {
	answer func(job *centrifuge.Job, attempt uint32) delivery.Result

	mu struct {
		sync.Mutex
		attempts map[centrifuge.ID][]uint32
	}
	made atomic.Int64
}

func newTally(answer func(*centrifuge.Job, uint32) delivery.Result) *tally {
	y := &tally{answer: answer}
	y.mu.attempts = make(map[centrifuge.ID][]uint32)
	return y
}

func (y *tally) Deliver(_ context.Context, job *centrifuge.Job, attempt uint32) delivery.Result {
	y.mu.Lock()
	y.mu.attempts[job.ID] = append(y.mu.attempts[job.ID], attempt)
	y.mu.Unlock()
	y.made.Add(1)
	return y.answer(job, attempt)
}

func (y *tally) of(id centrifuge.ID) []uint32 {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.mu.attempts[id]
}
