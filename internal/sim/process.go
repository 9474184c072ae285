package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
	"centrifuge/lease/leasetest"
)

// process is one life of the Director's process, from start to crash or
// shutdown. What it does to the world goes through gates that close at the
// instant of its death: nothing is committed, put, sent or heard after that,
// whatever its goroutines still try until they have ended.
type process struct {
	run      *run
	number   int
	director *director.Director

	life context.Context //nolint:containedctx // ends when the process dies
	die  context.CancelFunc

	running  context.Context //nolint:containedctx // ends when it is to shut down
	shutdown context.CancelFunc

	dead  atomic.Bool // set under the witness's lock, which commits hold
	ended chan struct{}
	err   error // of the Director's Run; owned by its goroutine until ended
}

func (r *run) start() (*process, error) {
	p := &process{run: r, number: r.processes, ended: make(chan struct{})}
	r.processes++
	p.life, p.die = context.WithCancel(context.Background())
	p.running, p.shutdown = context.WithCancel(context.Background())

	o := r.plan.options
	o.Acquire = p.acquire
	o.Archive = archive.New(&bucket{process: p})
	o.Now = r.clock.now
	o.Logger = r.log.logger()
	random := dice(r.plan.seed, "process", uint64(p.number))
	var key [32]byte
	for i := range key {
		key[i] = byte(random.Uint32())
	}
	o.Random = rand.NewChaCha8(key) //nolint:gosec // repeatable on purpose
	o.Schedule.Random = random
	if o.MinFreeDisk > 0 {
		o.FreeDisk = func() (uint64, error) {
			if r.faults.strike(opDiskLow) != 0 {
				return 0, nil
			}
			return o.MinFreeDisk, nil
		}
	}
	deliver, closeClient, err := r.world.deliverer(r.plan.http)
	if err != nil {
		return nil, err
	}
	o.Deliverer = &courier{process: p, inner: deliver}
	if p.director, err = director.New(o); err != nil {
		return nil, fmt.Errorf("make the Director: %w", err)
	}
	r.log.add("process %d starts", p.number)
	go func() {
		p.err = p.director.Run(p.running)
		closeClient()
		close(p.ended)
	}()
	r.current.Store(p)
	return p, nil
}

// kill ends the process as SIGKILL does.
func (p *process) kill(why string) {
	if !p.run.witness.died(p) {
		return
	}
	p.run.log.add("process %d is killed: %s", p.number, why)
	p.die()
	p.shutdown()
}

// passes kills the process, or ends it, if this is the moment for it.
func (p *process) passes(at moment) {
	if p.dead.Load() || !p.run.trap.springs(at) {
		return
	}
	switch at {
	case endAtRefusal, endAtRead:
		p.run.log.add("process %d is to shut down %s", p.number, at)
		p.shutdown()
	default:
		p.kill(string(at))
	}
}

// pause lets virtual time pass, up to the process's end.
func (p *process) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.life.Done():
	}
}

// acquire acquires the one JobDB.
func (p *process) acquire(context.Context) (director.Holding, error) {
	if p.dead.Load() {
		return director.Holding{}, errCrashed
	}
	return director.Holding{Name: jobdb.Name(1), Lease: leasetest.New(0), Open: p.open}, nil
}

// open opens the JobDB for the next tenure.
func (p *process) open(context.Context, uint64) (jobdb.DB, error) {
	p.passes(duringOpen)
	if p.run.faults.strike(opOpen) != 0 {
		return nil, fmt.Errorf("open: %w", jobdbtest.ErrInjected)
	}
	tenure, db, err := p.run.witness.begin(p)
	if err != nil {
		return nil, err
	}
	return newGate(p, tenure, db), nil
}

// end waits until the process has ended and tells the witness.
func (p *process) end() error {
	<-p.ended
	p.run.current.CompareAndSwap(p, nil)
	p.run.log.add("process %d has ended: %v", p.number, p.err)
	p.run.witness.ended(p)
	p.die()
	return p.err
}

// interrupted is the result of an attempt that a dying process made.
func interrupted() delivery.Result {
	return delivery.Result{Outcome: centrifuge.OutcomeRetry, ErrorCode: centrifuge.ErrorInterrupted, Error: "the process is dead"}
}
