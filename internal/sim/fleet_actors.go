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
	"centrifuge/lease/leasetest"
	"centrifuge/schedule"
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
	p.checkAttempt(job, attempt)
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

// checkAttempt checks that the job may be attempted now: it has no end in a JobDB
// whose lease the process holds, this is its next attempt, it is due, and it has not
// expired.
func (p *fleetProcess) checkAttempt(job *centrifuge.Job, attempt uint32) {
	last, ok := p.stands(job.ID)
	if p.dead.Load() {
		return
	}
	if !ok {
		p.breaks("job %s: attempt %d, and no JobDB whose lease is held has it", job.ID, attempt)
		return
	}
	if attempt != last.Attempt+1 {
		p.breaks("job %s: attempt %d after %d", job.ID, attempt, last.Attempt)
	}
	if now := p.member.clock.now(); !now.Before(job.ExpireAt) {
		p.breaks("job %s: attempt %d at %s, after it expired at %s", job.ID, attempt, now, job.ExpireAt)
	}
	if last.State != centrifuge.StateAwaitingRetry || job.Destination == retriedHost {
		return
	}
	p.mu.Lock()
	since := p.mu.retried[job.ID]
	p.mu.Unlock()
	if latest := p.member.clock.highest(since); latest.Before(last.RetryAt) {
		p.breaks("job %s: attempt %d at %s, before it is due at %s", job.ID, attempt, latest, last.RetryAt)
	}
	if most := job.Settings.Retry.MaxAttempts; most > 0 && attempt > most && last.ErrorCode != centrifuge.ErrorInterrupted {
		p.breaks("job %s: attempt %d of at most %d", job.ID, attempt, most)
	}
}

// stands is the last transition of a job in a JobDB from which it may be attempted. One
// from which it is being moved may not know that yet.
func (p *fleetProcess) stands(id centrifuge.ID) (last centrifuge.Transition, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.mu.records {
		r.store.mu.Lock()
		j := r.store.mu.jobs[id]
		if j != nil && !j.last().State.Terminal() && r.holder == p && r.lease.Held() {
			if here := j.last(); !ok || here.Attempt >= last.Attempt {
				last, ok = here, true
			}
		}
		r.store.mu.Unlock()
	}
	return last, ok
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

// Accept implements [director.Target]: answers are lost, and transfers, or they come
// once more when nobody expects them.
func (p *fleetProcess) Accept(ctx context.Context, tr director.Transfer) error {
	if p.throws("lost transfer", 0.1) {
		return errors.New("the transfer was lost")
	}
	if p.throws("slow transfer", 0.2) && !p.wait(time.Second) {
		return errFleetDead
	}
	if p.throws("late transfer", 0.1) {
		p.late.Go(func() {
			if p.wait(between(p.chance.next("late"), 0, 20*time.Second)) {
				_ = p.director.Accept(p.life, tr) // as nobody hears
			}
		})
		return errors.New("the transfer is late")
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
		target := oneOf(d, p.members[:]...).current.Load()
		to := target.director.Status().JobDB
		r, h, former := p.toDrain(to)
		if r == nil {
			continue
		}
		ctx, cancel := context.WithCancel(p.life)
		if p.throws("cut", 0.3) {
			ctx, cancel = context.WithTimeout(p.life, between(d, 0, 2*time.Second))
		}
		forget := context.AfterFunc(target.life, cancel) // as its manager does
		l, err := director.Drain(ctx, director.DrainOptions{
			Holding: h, To: to, Target: target, Former: former, Archive: archive.New(p.bucket), Logger: p.logger,
			CommitInterval: time.Millisecond, Now: p.member.clock.now,
		})
		forget()
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
		r.lease = leasetest.New(r.lease.Epoch() + 100) // taken for a moment
		r.lease.Lose()
		db, err := r.store.open(r.lease.Epoch())
		if err != nil {
			p.mu.broken = append(p.mu.broken, fmt.Sprintf("close %s: %v", name, err))
			return nil
		}
		return &director.Former{Name: name, Known: db.Known, Transaction: db.Transaction}
	}
	return nil
}

// submit is a client. It repeats what it has no answer to, gives up when the Director
// would not recognise it, and repeats now and then what was answered.
func (f *fleet) submit(client uint64) {
	d := dice(f.seed, "fleet client", client)
	last := fleetOrder{}
	for n := 0; !f.calm.Load(); n++ {
		time.Sleep(between(d, 0, 20*time.Second))
		o := fleetOrder{transaction: fmt.Sprintf("%d-%d", client, n), jobs: 1 + d.IntN(8), at: oneOf(d, f.members[:]...)}
		o.ttl = oneOf(d, 0, 0, between(d, time.Second, 10*time.Minute))
		o.most = uint32(oneOf(d, 0, 0, 2))
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
	ttl         time.Duration // 0 leaves it to the Director
	most        uint32        // attempts
	at          *fleetMember
	first       string // the JobDB that may know it
	ids         []centrifuge.ID
}

// place makes one try and reports whether there is to be no other.
func (f *fleet) place(o *fleetOrder) (finished bool) {
	p := o.at.current.Load()
	s := o.submission()
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

// submission is the order's next try.
func (o *fleetOrder) submission() director.Submission {
	s := director.Submission{TransactionID: o.transaction, JobDB: o.first}
	for i := range o.jobs {
		job := &centrifuge.Job{
			Source: "s" + o.transaction[:1], Endpoint: fmt.Sprintf("https://e%d.example/", i), Payload: fmt.Appendf(nil, "%s/%d", o.transaction, i),
		}
		if job.Settings.Retry.MaxAttempts = o.most; o.ttl > 0 {
			job.ExpireAt = o.at.clock.now().Add(o.ttl)
		}
		s.Jobs = append(s.Jobs, job)
	}
	return s
}

// What operators say is about these destinations, and no other.
const (
	retriedHost = "e0.example"
	flushedHost = "e1.example"
)

// operate has the Directors retry and archive jobs now and then.
func (f *fleet) operate() {
	d := dice(f.seed, "fleet operator")
	for !f.calm.Load() {
		time.Sleep(between(d, 0, 2*time.Minute))
		p := oneOf(d, f.members[:]...).current.Load()
		if happens(d, 0.6) {
			n, err := p.director.Retry(p.life, schedule.Selector{Destination: retriedHost})
			f.logger.Info("retry", "at", p.member.name, "jobs", n, "error", err)
		} else {
			n, err := p.director.Expire(p.life, schedule.Selector{Source: "s1", Destination: flushedHost})
			f.logger.Info("expire", "at", p.member.name, "jobs", n, "error", err)
		}
	}
}

// setClocks sets a member's clock now and then.
func (f *fleet) setClocks() {
	d := dice(f.seed, "fleet clocks")
	for f.jumps && !f.calm.Load() {
		time.Sleep(between(d, 0, 10*time.Minute))
		m := oneOf(d, f.members[:]...)
		by := between(d, -maxJump, maxJump)
		f.logger.Info("the clock jumps", "of", m.name, "by", by)
		m.clock.jump(by)
	}
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
