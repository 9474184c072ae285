// Package sim runs the whole Director in virtual time, from a seed: real
// scheduler, committer, workers, archiver and recovery, on a JobDB, an archive and
// a network that fail in every way they can, while clients submit, operators meddle, the
// clock jumps, and the process is killed at the worst moments.
//
// A witness sees what really persists and what is really sent, and checks each
// step. When the time of faults is over, every job must come to its end, and the
// JobDB and the archive must hold what the witness saw.
//
// The seed decides everything on the steady runtime (package steady), and on Go's own
// all but the order of what happens at the same instant.
package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/archive/archivetest"
	"centrifuge/jobdb/jobdbtest"
)

// Options say which run to make.
type Options struct {
	Seed uint64

	// Dir is an empty folder, for the seeds that use real files.
	Dir string

	// Events hears of everything that happens; nil for nobody.
	Events io.Writer
}

// Report is what came of a run.
type Report struct {
	Plan       string
	Violations []string // what does not hold; nothing else matters if there are any
	Tail       []string // the last events

	Jobs       int
	Attempts   int
	Archived   int
	Duplicates int // answers 2xx beyond the first of their job
	Excuses    int // attempts whose outcome a crash or a fault took away: the duplicates there may be
	Processes  int
	Tenures    int
}

// run is one simulation.
type run struct {
	plan    plan
	log     *eventLog
	clock   *clock
	faults  *faults
	latency *throws
	trap    trap
	calm    calm
	world   *world
	witness *witness
	bucket  archive.Bucket
	dir     string

	current   atomic.Pointer[process]
	processes int             // started; owned by Run
	calmed    chan struct{}   // closed when the faults cease, or something is broken
	well      time.Time       // by the Director's clock: when all was well again
	lasts     []centrifuge.ID // submitted after that
}

// Run makes the run. It must be called in a bubble of testing/synctest, and
// everything it starts has ended when it returns.
func Run(o Options) (report Report, err error) {
	r := &run{
		plan: newPlan(o.Seed), log: newEventLog(o.Events), clock: newClock(), latency: newThrows(o.Seed),
		dir: o.Dir, calmed: make(chan struct{}),
	}
	r.log.add("seed %d: %s", o.Seed, r.plan.String())
	r.faults = newFaults(&r.plan)
	r.world = newWorld(r)
	var place store = newMemory()
	r.bucket = &archivetest.Memory{}
	if r.plan.sqlite {
		place = &files{dir: o.Dir}
		folder, err := archive.OpenFolder(o.Dir + "/archive")
		if err != nil {
			return report, fmt.Errorf("make the archive: %w", err)
		}
		defer func() { err = errors.Join(err, folder.Close()) }()
		r.bucket = folder
	}
	r.witness = newWitness(r, place)
	r.log.suspect = r.suspect
	if r.plan.http {
		r.world.network = newNetwork(r.world)
		defer r.world.network.close()
	}
	if err := r.live(); err != nil {
		return report, err
	}
	r.audit()
	return r.report(), nil
}

// live is the run from the first start to the last shutdown.
func (r *run) live() error {
	var people sync.WaitGroup
	for n := range r.plan.clients {
		people.Go(newClient(r, n).work)
	}
	people.Go((&operator{run: r, dice: dice(r.plan.seed, "operator")}).work)
	people.Go(r.setClock)
	people.Go(func() {
		defer close(r.calmed)
		select {
		case <-time.After(r.plan.faulty):
		case <-r.witness.mu.firstFail:
		}
	})
	p, err := r.troubles()
	people.Wait()
	if err != nil {
		return err
	}
	r.log.add("the faults have ceased")
	r.settle(p)
	p.shutdown()
	if err := p.end(); err != nil {
		r.witness.breaks("the last shutdown failed: %v", err)
	}
	return nil
}

// troubles starts the Director, and ends and starts it again while there are
// faults. It returns the process that runs when they have ceased.
func (r *run) troubles() (*process, error) {
	d := dice(r.plan.seed, "troubles")
	p, err := r.start()
	if err != nil {
		return nil, err
	}
	for r.sleep(between(d, time.Millisecond, 2*r.plan.faulty/time.Duration(r.plan.crashes+1))) {
		switch d.IntN(4) {
		case 0:
			r.log.add("process %d is to shut down", p.number)
			p.shutdown()
		case 1:
			p.kill("at a random time")
		default:
			at := oneOf(d, moments()...)
			r.trap.arm(at, d.IntN(oneOf(d, 1, 5, 30)))
			r.log.add("a crash is to come %s", at)
			if !r.await(p, 20*time.Minute) {
				r.trap.disarm()
				continue
			}
		}
		if err := p.end(); err != nil && !errors.Is(err, jobdbtest.ErrInjected) && !errors.Is(err, errCrashed) {
			r.witness.breaks("the process ended for a reason of its own: %v", err)
		}
		r.sleep(between(d, 0, oneOf(d, 0, time.Second, 2*time.Minute)))
		if p, err = r.start(); err != nil {
			return nil, err
		}
	}
	r.trap.disarm()
	select {
	case <-p.ended: // a trap sprang in the last moment
		_ = p.end()
		p, err = r.start()
	default:
	}
	return p, err
}

// await waits for the process's end, and reports whether it came in time.
func (r *run) await(p *process, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-p.life.Done():
		return true
	case <-timer.C:
	case <-r.calmed:
	}
	return p.dead.Load()
}

// maxJump bounds how far the clock is set at once.
const maxJump = 10 * time.Minute

// setClock sets the clock now and then.
func (r *run) setClock() {
	d := dice(r.plan.seed, "clock")
	for r.plan.jumps && r.sleep(unsettled+between(d, 0, r.plan.faulty/4)) {
		by := between(d, -oneOf(d, time.Second, maxJump), oneOf(d, time.Second, maxJump))
		r.log.add("the clock jumps by %s", by)
		r.clock.jump(by)
	}
}

// sleep lets virtual time pass, and reports whether there are faults still.
func (r *run) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.calmed:
		return false
	}
	select {
	case <-r.calmed:
		return false
	default:
		return true
	}
}

// suspect finds fault with a Director that opens its JobDB again although nothing
// was done to it.
func (r *run) suspect(line string) {
	if strings.Contains(line, "opened again") && !strings.Contains(line, "injected fault") && !strings.Contains(line, errCrashed.Error()) {
		r.witness.breaks("a tenure failed for a reason of its own: %s", line)
	}
}

// inArchive reports whether the archive holds the job in the object.
func (r *run) inArchive(object string, id centrifuge.ID) bool {
	for record, err := range archive.New(r.bucket).Read(context.Background(), []archive.Entry{{Object: object, JobID: id}}) {
		return err == nil && record.Job.ID == id
	}
	return false
}
