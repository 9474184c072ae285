package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/archive/archivetest"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
	"centrifuge/lease/leasetest"
)

// fleet is Directors that are cycled, lose their leases and are killed while their
// clocks jump, and drains that move what they leave behind into whatever JobDB one of
// them has by then, all in virtual time. The catalog is what survives the processes.
type fleet struct {
	seed   uint64
	jumps  bool       // of clocks
	dice   *rand.Rand // of troubles
	bucket *archivetest.Memory
	logger *slog.Logger

	calm    atomic.Bool // the time of faults is over
	members [2]*fleetMember
	chance  *throws

	mu struct {
		sync.Mutex
		records  []*fleetRecord // the oldest first
		answered map[centrifuge.ID]int
		excused  map[centrifuge.ID]int
		orders   map[string][]centrifuge.ID  // acknowledged, by transaction
		phased   map[string]*fleetPhased     // prepared, by transaction
		retried  map[centrifuge.ID]time.Time // virtual: when the last awaiting_retry of a job became durable
		broken   []string
		cycles   int
		drains   int
		losses   int
	}
}

// fleetRecord is what the catalog says of a JobDB, and the JobDB.
type fleetRecord struct {
	name    string
	store   *memory
	lease   *leasetest.Lease
	holder  *fleetProcess // had the lease last
	let     bool          // its Director has let go of it in good order
	dropped bool          // it was drained
	target  string        // of its drain under way
}

// fleetMember is a Director's place in the fleet: a machine with a clock, on which one
// process follows the other.
type fleetMember struct {
	name      string
	clock     *clock
	processes uint64 // started; owned by troubles
	current   atomic.Pointer[fleetProcess]
}

// fleetProcess is one life of a member's process.
type fleetProcess struct {
	*fleet

	member   *fleetMember
	number   uint64
	director *director.Director
	dead     atomic.Bool     // nothing persists and nothing is sent any more
	life     context.Context //nolint:containedctx // ends when the process does
	stop     context.CancelFunc
	ended    chan struct{}
	late     sync.WaitGroup // transfers that come when nobody waits for them any more
}

var errFleetDead = errors.New("the process is dead")

func newFleet(seed uint64, events io.Writer) *fleet {
	f := &fleet{
		seed: seed, jumps: seed%2 == 0, dice: dice(seed, "fleet"), bucket: &archivetest.Memory{}, chance: newThrows(seed),
		logger: slog.New(slog.NewTextHandler(events, nil)),
	}
	f.mu.answered = make(map[centrifuge.ID]int)
	f.mu.excused = make(map[centrifuge.ID]int)
	f.mu.orders = make(map[string][]centrifuge.ID)
	f.mu.phased = make(map[string]*fleetPhased)
	f.mu.retried = make(map[centrifuge.ID]time.Time)
	for i := range f.members {
		f.members[i] = &fleetMember{name: fmt.Sprintf("member-%d", i), clock: newClock()}
	}
	return f
}

func (f *fleet) breaks(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.broken = append(f.mu.broken, fmt.Sprintf(format, args...))
}

// throws reports whether something happens that has a share of the cases.
func (f *fleet) throws(what string, share float64) bool {
	return !f.calm.Load() && happens(f.chance.next(what), share)
}

func (f *fleet) start(m *fleetMember) error {
	p := &fleetProcess{fleet: f, member: m, number: number(m.name) + m.processes, ended: make(chan struct{})}
	m.processes++
	p.life, p.stop = context.WithCancel(context.Background())
	random := dice(f.seed, "fleet process", p.number)
	var key [32]byte
	for i := range key {
		key[i] = byte(random.Uint32())
	}
	o := director.Options{
		Acquire: p.acquire, Released: p.released, Deliverer: p, Archive: archive.New(f.bucket), Logger: f.logger,
		Random: rand.NewChaCha8(key), CommitInterval: time.Millisecond, ShutdownGrace: 3 * time.Second, //nolint:gosec // repeatable on purpose
		CacheBytes: 1 + int64(random.IntN(4000)), Now: m.clock.now, Name: m.name,
	}
	o.Schedule.Random = random
	var err error
	if p.director, err = director.New(o); err != nil {
		return err
	}
	var crew sync.WaitGroup
	crew.Go(func() {
		if err := p.director.Run(p.life); err != nil && !p.dead.Load() {
			f.logger.Warn("the Director ended", "member", m.name, "error", err)
		}
	})
	crew.Go(p.cycle)
	crew.Go(p.drains)
	go func() {
		crew.Wait()
		p.late.Wait()
		close(p.ended)
	}()
	m.current.Store(p)
	return nil
}

// kill ends the process as SIGKILL does, or has it shut down.
func (p *fleetProcess) end(kill bool) {
	if kill {
		p.dead.Store(true)
	}
	p.stop()
	<-p.ended
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.mu.records {
		if r.holder == p && r.lease.Held() {
			r.lease.Lose()
		}
	}
}

// acquire takes the newest JobDB that nobody holds, if the process before has left
// one that no drain has begun with, or else makes another.
func (p *fleetProcess) acquire(context.Context) (director.Holding, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.mu.records); n > 0 && happens(p.chance.next("own again"), 0.5) {
		if r := p.mu.records[n-1]; !r.lease.Held() && r.target == "" && !r.dropped {
			r.let = false
			return p.holdLocked(r), nil
		}
	}
	r := &fleetRecord{name: jobdb.Name(uint64(len(p.mu.records) + 1)), store: newMemory(), lease: leasetest.New(0)}
	r.lease.Lose()
	p.mu.records = append(p.mu.records, r)
	return p.holdLocked(r), nil
}

// holdLocked takes the lease, which nobody has.
func (p *fleetProcess) holdLocked(r *fleetRecord) director.Holding {
	l := leasetest.New(r.lease.Epoch() + 100)
	r.lease, r.holder = l, p
	return director.Holding{Name: r.name, Lease: l, Open: func(_ context.Context, epoch uint64) (jobdb.DB, error) {
		if p.dead.Load() {
			return nil, errFleetDead
		}
		db, err := r.store.open(epoch)
		if err != nil {
			return nil, err
		}
		p.excuse(r)
		return jobdbtest.Faulty(&mortal{DB: db, process: p, held: l.Held}, p.strike), nil
	}}
}

// released hears that the Director let go of a JobDB. If that was in good order, no
// outcome is missing.
func (p *fleetProcess) released(_ context.Context, r director.Report) {
	if p.dead.Load() {
		return
	}
	record := p.record(r.JobDB)
	if n := p.excuse(record); n > 0 && r.Err == nil {
		p.breaks("%s was let go of in good order, and the outcomes of %d attempts are missing", r.JobDB, n)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	record.let = true
}

func (f *fleet) record(name string) *fleetRecord {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.mu.records {
		if r.name == name {
			return r
		}
	}
	return nil
}

// excuse counts, when nobody makes attempts from a JobDB, those of which it does not
// know that they were answered 2xx: they may be made once more.
func (f *fleet) excuse(r *fleetRecord) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for id, j := range r.store.mu.jobs {
		last := j.last()
		if !last.State.Terminal() && f.mu.answered[id] > f.mu.excused[id] {
			f.mu.excused[id] = f.mu.answered[id]
			n++
		}
	}
	return n
}

// strike is what goes wrong with a call of a JobDB.
func (f *fleet) strike(op string) jobdbtest.Fault {
	if op != jobdbtest.OpCommit || !f.throws("commit", 0.02) {
		return jobdbtest.NoFault
	}
	return oneOf(f.chance.next("fault"), jobdbtest.UnknownKept, jobdbtest.UnknownLost, jobdbtest.Failed, jobdbtest.Full)
}

// mortal is a JobDB that a dead process cannot write to, and on which nobody writes
// without the lease.
type mortal struct {
	jobdb.DB

	process *fleetProcess
	held    func() bool
}

func (m *mortal) Commit(ctx context.Context, b *jobdb.Batch) error {
	p := m.process
	if p.dead.Load() {
		return errFleetDead
	}
	if !m.held() {
		p.breaks("a commit without the lease")
	}
	err := m.DB.Commit(ctx, b)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range b.Transitions() {
		if t := &b.Transitions()[i]; err == nil && t.State == centrifuge.StateAwaitingRetry {
			p.mu.retried[t.JobID] = time.Now()
		}
	}
	return err
}
