package manager_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"centrifuge/jobdb"
	"centrifuge/lease"
	"centrifuge/manager"
	"centrifuge/manager/managertest"
)

// world is a fleet in memory: JobDBs whose jobs are numbers, Directors, leases and
// a drainer, with nothing between a call and its effect but what a test puts there.
// It watches over what must never happen.
type world struct {
	t       *testing.T
	catalog managertest.Memory
	cancel  context.CancelFunc // ends the Directors' waiting

	mu        sync.Mutex
	epoch     uint64
	leases    map[string]*grip                     // by JobDB
	files     map[string]*file                     // by JobDB, those that exist
	directors map[string]*dude                     // by name, those that live
	draining  map[string]int                       // by JobDB, the drains under way
	down      map[string]error                     // by server
	accepted  func(into string, batch []int) error // asked about each batch that a Director has taken; an error loses the answer
	servers   []string
	keepAge   time.Duration
	keepBytes int64
	scarce    func() (bool, error)
	maxBytes  int64           // of a JobDB; 0 for the default
	ctx       context.Context //nolint:containedctx // of the Directors
}

var errNoAnswer = errors.New("no answer")

// file is a JobDB: its jobs by their states.
type file struct {
	server string
	jobs   map[int]string // pending, done, moved
	epoch  uint64

	damaged bool
}

type dude struct {
	name, jobdb string
	grips       map[string]lease.Lease
	deaf        bool // it does not answer
}

// grip is a lease that a process has.
type grip struct {
	w     *world
	name  string
	epoch uint64
	owner any // the process
	done  chan struct{}
}

func newWorld(t *testing.T, servers ...string) *world {
	w := &world{
		t: t, servers: servers, leases: map[string]*grip{}, files: map[string]*file{},
		directors: map[string]*dude{}, draining: map[string]int{}, down: map[string]error{},
	}
	w.ctx, w.cancel = context.WithCancel(t.Context())
	return w
}

// acquire gives a process a lease.
func (w *world) acquire(name string, owner any) (lease.Lease, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leases[name] != nil {
		return nil, lease.ErrHeld
	}
	w.epoch++
	g := &grip{w: w, name: name, epoch: w.epoch, owner: owner, done: make(chan struct{})}
	w.leases[name] = g
	return g, nil
}

// bury ends the leases of a process that has died.
func (w *world) bury(owner any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, g := range w.leases {
		if g.owner == owner {
			close(g.done)
			delete(w.leases, name)
		}
	}
}

func (g *grip) Epoch() uint64                           { return g.epoch }
func (g *grip) Advance(context.Context) (uint64, error) { return g.epoch, nil }
func (g *grip) TTL() time.Duration                      { return 0 }
func (g *grip) Done() <-chan struct{}                   { return g.done }
func (g *grip) Held() bool {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	return g.w.leases[g.name] == g
}

func (g *grip) Close(context.Context) error {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if g.w.leases[g.name] == g {
		close(g.done)
		delete(g.w.leases, g.name)
	}
	return nil
}

// plainLeases are the leases as a process has them that no test disturbs.
type plainLeases struct {
	w     *world
	owner any
}

func (l plainLeases) Acquire(_ context.Context, name string) (lease.Lease, error) {
	return l.w.acquire(name, l.owner)
}

func (l plainLeases) Held(context.Context) (map[string]bool, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	held := map[string]bool{}
	for name := range l.w.leases {
		held[name] = true
	}
	return held, nil
}
func (l plainLeases) Forget(context.Context, string) error { return nil }

// direct starts a Director, which waits for a spare.
func (w *world) direct(name string) {
	w.t.Helper()
	d := &dude{name: name, grips: map[string]lease.Lease{}}
	r, l, err := w.owner(d).Acquire(w.ctx)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open(r.Server, r.Name, l.Epoch())
	d.jobdb, d.grips[r.Name] = r.Name, l
	w.directors[name] = d
}

func (w *world) owner(d *dude) *manager.Owner {
	return &manager.Owner{
		Catalog: &w.catalog, Leases: plainLeases{w, d}, Name: d.name, Now: time.Now, Logger: discard(),
		Answers: func(_ context.Context, server string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.down[server]
		},
	}
}

// open is called with the lock held.
func (w *world) open(server, name string, epoch uint64) *file {
	f := w.files[name]
	if f == nil {
		f = &file{server: server, jobs: map[int]string{}}
		w.files[name] = f
	}
	if f.epoch >= epoch {
		w.t.Errorf("%s was opened under epoch %d after %d", name, epoch, f.epoch)
	}
	f.epoch = epoch
	return f
}

// kill ends a Director without a word.
func (w *world) kill(name string) {
	w.mu.Lock()
	d := w.directors[name]
	delete(w.directors, name)
	w.mu.Unlock()
	if d != nil {
		w.bury(d)
	}
}

// submit gives a Director jobs, and has the first n of them done.
func (w *world) submit(director string, n int, jobs ...int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.files[w.directors[director].jobdb]
	for i, job := range jobs {
		f.jobs[job] = "pending"
		if i < n {
			f.jobs[job] = "done"
		}
	}
}

// status is what Directors.Status returns.
func (w *world) status() []manager.Director {
	w.mu.Lock()
	defer w.mu.Unlock()
	var status []manager.Director
	for _, name := range []string{"a", "b", "c"} {
		d := w.directors[name]
		if d == nil {
			continue
		}
		if d.deaf {
			status = append(status, manager.Director{Name: name, Err: errNoAnswer})
			continue
		}
		s := manager.Director{Name: name, JobDB: d.jobdb, Ledgers: map[string]manager.Ledger{}}
		for jobdb := range d.grips {
			s.Ledgers[jobdb] = w.files[jobdb].ledger()
		}
		status = append(status, s)
	}
	return status
}

// cycle is what Directors.Cycle does.
func (w *world) cycle(ctx context.Context, name string) (before, now string, err error) {
	w.mu.Lock()
	d := w.directors[name]
	w.mu.Unlock()
	if d == nil || d.deaf {
		return "", "", fmt.Errorf("Director %s does not answer", name)
	}
	r, l, err := w.owner(d).Acquire(ctx)
	if err != nil {
		return "", "", err
	}
	w.mu.Lock()
	w.open(r.Server, r.Name, l.Epoch())
	before, d.jobdb, d.grips[r.Name] = d.jobdb, r.Name, l
	old, ledger := d.grips[before], w.files[before].ledger()
	delete(d.grips, before)
	w.mu.Unlock()
	_ = old.Close(ctx)
	return before, r.Name, w.owner(d).Release(w.ctx, before, &ledger)
}

func (f *file) ledger() manager.Ledger {
	var l manager.Ledger
	for _, state := range f.jobs {
		l.Accepted++
		switch state {
		case "pending":
			l.AwaitingRetry++
		case "done":
			l.Succeeded++
		case "moved":
			l.Moved++
		}
	}
	return l
}

func (f *file) pending() []int {
	var pending []int
	for job, state := range f.jobs {
		if state == "pending" {
			pending = append(pending, job)
		}
	}
	slices.Sort(pending)
	return pending
}

// list is what Pool.Servers returns.
func (w *world) list() []jobdb.Server {
	w.mu.Lock()
	defer w.mu.Unlock()
	servers := make([]jobdb.Server, len(w.servers))
	for i, name := range w.servers {
		servers[i] = jobdb.Server{Name: name, Err: w.down[name]}
		for file, f := range w.files {
			if f.server == name && servers[i].Err == nil {
				servers[i].Files = append(servers[i].Files, jobdb.File{Name: file, Bytes: int64(100 * len(f.jobs))})
			}
		}
		slices.SortFunc(servers[i].Files, func(a, b jobdb.File) int { return manager.CompareNames(a.Name, b.Name) })
	}
	return servers
}

func (w *world) create(server, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down[server] != nil {
		return w.down[server]
	}
	if w.files[name] == nil {
		w.files[name] = &file{server: server, jobs: map[int]string{}}
	}
	return nil
}

// drop drops a JobDB, in which nothing may be pending, and which nobody may need:
// as the target of a drain that is not over, or as what it owns.
func (w *world) drop(server, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down[server] != nil {
		return w.down[server]
	}
	if f := w.files[name]; f != nil && len(f.pending()) > 0 {
		w.t.Errorf("%s was dropped with the jobs %v in it", name, f.pending())
	}
	records, _, _ := w.catalog.List(context.Background(), 0)
	for _, r := range records {
		if r.State == manager.StateDraining && r.Target == name {
			w.t.Errorf("%s was dropped, into which %s is drained", name, r.Name)
		}
		if age := r.Since[manager.StateDropped].Sub(r.Since[manager.StateDrained]); r.Name == name && age < w.keepAge && w.keepBytes == 0 && w.scarce == nil {
			w.t.Errorf("%s was dropped after %s", name, age)
		}
	}
	for _, d := range w.directors {
		if d.grips[name] != nil {
			w.t.Errorf("%s was dropped, which Director %s owns", name, d.name)
		}
	}
	delete(w.files, name)
	return nil
}

// worldReader reads a JobDB as it is.
type worldReader struct {
	jobdb.Reader // nothing else is asked of it

	w *world
	f *file
}

func (w *world) read(server, name string) (jobdb.Reader, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down[server] != nil {
		return nil, w.down[server]
	}
	if f := w.files[name]; f != nil {
		return worldReader{w: w, f: f}, nil
	}
	return nil, fmt.Errorf("there is no %s", name)
}

// Mark counts what was written: a job when it came, and again when it ended.
func (r worldReader) Mark(context.Context) (jobdb.Mark, error) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if r.f.damaged {
		return jobdb.Mark{}, jobdb.ErrCorrupt
	}
	return jobdb.Mark{Epoch: r.f.epoch, Seq: uint64(2*len(r.f.jobs) - len(r.f.pending()))}, nil
}

func (r worldReader) Close() error { return nil }

// drain moves jobs two by two, in steps that may go wrong. What nobody answers to it
// offers again and again.
func (w *world) drain(ctx context.Context, from manager.Held, to manager.Director, progress func(manager.Ledger), step func(string, func() error) error) (manager.Ledger, error) {
	w.mu.Lock()
	if w.draining[from.Name]++; w.draining[from.Name] > 1 {
		w.t.Errorf("%s is drained twice at once", from.Name)
	}
	f := w.open(from.Server, from.Name, w.nextEpoch(from.Lease))
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.draining[from.Name]--
	}()
	for {
		w.mu.Lock()
		batch := f.pending()
		ledger := f.ledger()
		w.mu.Unlock()
		progress(ledger)
		if len(batch) == 0 {
			return ledger, nil
		}
		batch = batch[:min(2, len(batch))]
		if err := step("accept", func() error { return w.accept(to, batch) }); errors.Is(err, errNoAnswer) && ctx.Err() == nil {
			<-time.After(100 * time.Millisecond)
			continue
		} else if err != nil {
			return manager.Ledger{}, err
		}
		if err := step("moved", func() error { return w.moved(from, f, batch) }); err != nil {
			return manager.Ledger{}, err
		}
		<-time.After(100 * time.Millisecond)
	}
}

func (w *world) nextEpoch(l lease.Lease) uint64 {
	w.epoch++
	l.(*grip).epoch = w.epoch
	return w.epoch
}

func (w *world) accept(to manager.Director, batch []int) error {
	w.mu.Lock()
	d := w.directors[to.Name]
	if d == nil || d.deaf {
		w.mu.Unlock()
		return errNoAnswer
	}
	if d.jobdb != to.JobDB {
		w.mu.Unlock()
		return fmt.Errorf("Director %s does not have %s any more", to.Name, to.JobDB)
	}
	f := w.files[to.JobDB]
	for _, job := range batch {
		if f.jobs[job] == "" {
			f.jobs[job] = "pending"
		}
	}
	accepted := w.accepted
	w.mu.Unlock()
	if accepted != nil {
		return accepted(to.JobDB, batch)
	}
	return nil
}

func (w *world) moved(from manager.Held, f *file, batch []int) error {
	if !from.Lease.Held() {
		return lease.ErrLost
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, job := range batch {
		f.jobs[job] = "moved"
	}
	return nil
}

// sweep logs as moved what has arrived.
func (w *world) sweep(from, into manager.Held) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.open(from.Server, from.Name, w.nextEpoch(from.Lease))
	target := w.open(into.Server, into.Name, w.nextEpoch(into.Lease))
	for job, state := range f.jobs {
		if state == "pending" && target.jobs[job] != "" {
			f.jobs[job] = "moved"
		}
	}
	return nil
}
