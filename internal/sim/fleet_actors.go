package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/delivery"
	"centrifuge/director"
)

// wait lets virtual time pass, and reports whether the process lives.
func (p *fleetProcess) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.life.Done():
		return false
	}
}

// Deliver implements [director.Deliverer]: a share of the attempts fail.
func (p *fleetProcess) Deliver(ctx context.Context, job *centrifuge.Job, attempt uint32) delivery.Result {
	d := dice(p.seed, "answer", number(job.ID.String()), uint64(attempt))
	r := delivery.Result{Outcome: centrifuge.OutcomeRetry, ErrorCode: centrifuge.ErrorInterrupted}
	if p.owner(job.ID) == nil && !p.dead.Load() {
		p.breaks("job %s: attempt %d, and no JobDB whose lease is held has it", job.ID, attempt)
	}
	timer := time.NewTimer(between(d, time.Millisecond, 2*time.Second))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return r
	}
	if p.dead.Load() {
		return r
	}
	status := oneOf(d, 200, 200, 204, 503, 500, 429, 404)
	r = delivery.Result{Outcome: centrifuge.ClassifyStatus(status), StatusCode: status, Sent: true}
	if r.Outcome == centrifuge.OutcomeSucceeded {
		p.mu.Lock()
		p.mu.answered[job.ID]++
		p.mu.Unlock()
	}
	return r
}

// owner is the JobDB from which the job may be attempted now: one in which it has no
// end, and whose lease is held.
func (f *fleet) owner(id centrifuge.ID) *fleetRecord {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.mu.records {
		r.store.mu.Lock()
		j := r.store.mu.jobs[id]
		alive := j != nil && !j.last().State.Terminal()
		r.store.mu.Unlock()
		if alive && r.lease.Held() {
			return r
		}
	}
	return nil
}

// cycle cycles the Director now and then.
func (p *fleetProcess) cycle() {
	d := dice(p.seed, "cycle", p.number)
	for p.wait(between(d, 0, 4*time.Minute)) {
		if p.calm.Load() {
			return
		}
		ctx, cancel := context.WithTimeout(p.life, between(d, 0, 10*time.Second))
		from, to, err := p.director.Cycle(ctx)
		cancel()
		p.logger.Info("cycle", "from", from, "to", to, "error", err)
		if err == nil {
			p.mu.Lock()
			p.mu.cycles++
			p.mu.Unlock()
		}
	}
}

// Accept implements [director.Target]: answers are lost, and transfers.
func (p *fleetProcess) Accept(ctx context.Context, tr director.Transfer) error {
	if p.throws("lost transfer", 0.1) {
		return errors.New("the transfer was lost")
	}
	if p.throws("slow transfer", 0.2) && !p.wait(time.Second) {
		return errFleetDead
	}
	if err := p.director.Accept(ctx, tr); err != nil {
		return err
	}
	if p.throws("lost answer", 0.1) {
		return errors.New("the answer was lost")
	}
	return nil
}

// drains drains what the Director has let go of, and what those before it left.
func (p *fleetProcess) drains() {
	d := dice(p.seed, "drain", p.number)
	for p.wait(between(d, 0, time.Minute)) {
		to := p.director.Status().JobDB
		r, h, former := p.toDrain(to)
		if r == nil {
			continue
		}
		ctx, cancel := context.WithCancel(p.life)
		if p.throws("cut", 0.3) {
			ctx, cancel = context.WithTimeout(p.life, between(d, 0, 2*time.Second))
		}
		l, err := director.Drain(ctx, director.DrainOptions{
			Holding: h, To: to, Target: p, Former: former, Archive: archive.New(p.bucket), Logger: p.logger,
			CommitInterval: time.Millisecond,
		})
		cancel()
		p.logger.Info("drain", "of", r.name, "to", to, "moved", l.Moved, "error", err)
		_ = h.Lease.Close(p.life)
		if err != nil || p.dead.Load() {
			continue
		}
		if l.Pending() != 0 || !l.Balanced() {
			p.breaks("%s was drained with %+v", r.name, l)
		}
		p.mu.Lock()
		r.target, r.dropped = "", true
		p.mu.drains++
		p.mu.Unlock()
	}
}

// toDrain chooses a JobDB to be drained into to, notes that, and takes its lease.
func (p *fleetProcess) toDrain(to string) (*fleetRecord, director.Holding, *director.Former) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.mu.records {
		if to == "" || r.name == to || r.dropped || r.lease.Held() || p.isTargetLocked(r.name) {
			continue
		}
		var former *director.Former
		if r.target != "" && r.target != to {
			if former = p.closeLocked(r.target); former == nil {
				continue // it is in use still
			}
		}
		r.target = to
		return r, p.holdLocked(r), former
	}
	return nil, director.Holding{}, nil
}

func (p *fleetProcess) isTargetLocked(name string) bool {
	for _, r := range p.mu.records {
		if r.target == name {
			return true
		}
	}
	return false
}

// closeLocked sees to it that nothing can come into a JobDB any more.
func (p *fleetProcess) closeLocked(name string) *director.Former {
	for _, r := range p.mu.records {
		if r.name != name || r.lease.Held() {
			continue
		}
		db, err := r.store.open(r.lease.Epoch() + 50)
		if err != nil {
			p.mu.broken = append(p.mu.broken, fmt.Sprintf("close %s: %v", name, err))
			return nil
		}
		return &director.Former{Name: name, Known: db.Known}
	}
	return nil
}

// submit is a client. It repeats what it has no answer to, gives up when the Director
// would not recognise it, and repeats now and then what was answered.
func (f *fleet) submit(client uint64) {
	d := dice(f.seed, "fleet client", client)
	var last fleetOrder
	for n := 0; !f.calm.Load(); n++ {
		time.Sleep(between(d, 0, 20*time.Second))
		o := fleetOrder{transaction: fmt.Sprintf("%d-%d", client, n), jobs: 1 + d.IntN(8)}
		for range 30 {
			if f.place(&o) {
				break
			}
			time.Sleep(time.Second)
		}
		if happens(d, 0.5) {
			f.repeat(&last)
		}
		last = o
	}
}

// fleetOrder is a transaction of a client.
type fleetOrder struct {
	transaction string
	jobs        int
	first       string // the JobDB that may know it
	ids         []centrifuge.ID
}

// place makes one try and reports whether there is to be no other.
func (f *fleet) place(o *fleetOrder) (finished bool) {
	p := f.current.Load()
	s := director.Submission{TransactionID: o.transaction, JobDB: o.first}
	for i := range o.jobs {
		s.Jobs = append(s.Jobs, &centrifuge.Job{
			Source: "s" + o.transaction[:1], Endpoint: fmt.Sprintf("https://e%d.example/", i), Payload: fmt.Appendf(nil, "%s/%d", o.transaction, i),
		})
	}
	if o.first == "" {
		o.first = p.director.Status().JobDB
	}
	receipt, err := p.director.Submit(p.life, s)
	if err != nil || p.dead.Load() {
		return errors.Is(err, director.ErrForeignJobDB)
	}
	if o.ids = receipt.JobIDs; !receipt.Repeated {
		o.first = receipt.JobDB
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.orders[o.transaction] = receipt.JobIDs
	return true
}

// repeat submits again what was answered a moment ago.
func (f *fleet) repeat(o *fleetOrder) {
	if o.ids == nil {
		return
	}
	again := *o
	again.ids = nil
	if f.place(&again); again.ids != nil && !slices.Equal(o.ids, again.ids) {
		f.breaks("transaction %s was answered with %v and then with %v", o.transaction, o.ids, again.ids)
	}
}
