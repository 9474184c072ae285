package sim

import (
	"context"
	"fmt"
	"time"

	"centrifuge"
)

// patience is how long a job may wait for its delivery when all is well again: the
// longest backoff, and as much for the rest.
const patience = 2 * centrifuge.DefaultMaxBackoff

// settle lets time run on until every job is at its end, and has the Director
// recount.
func (r *run) settle(p *process) {
	deadline := time.Now().Add(r.plan.calm)
	r.liftAll(p)
	r.well = r.clock.now()
	r.lastRound(p)
	for r.witness.pending() > 0 || p.director.Ready() != nil {
		if time.Now().After(deadline) {
			r.witness.complain(p.director.Ready())
			break
		}
		if r.witness.failed() {
			return
		}
		select {
		case <-p.ended:
			r.witness.breaks("the Director gave up: %v", p.err)
			return
		case <-time.After(time.Minute):
		}
	}
	r.verify(p)
	ledger, err := p.director.Ledger()
	if jobs := r.witness.someJobs(); err != nil || ledger.Accepted != int64(len(jobs))-1 || ledger.Pending() != 0 {
		r.witness.breaks("at rest the ledger is %+v, %v, with %d jobs durable", ledger, err, len(jobs)-1)
	}
	for _, id := range r.witness.someJobs() {
		r.witness.compareTrace(p, id)
	}
}

// liftAll takes back what operators have said, so that nothing holds jobs up.
func (r *run) liftAll(p *process) {
	for p.director.Ready() != nil {
		select {
		case <-p.ended:
			return // settle will tell
		case <-time.After(time.Second):
		}
	}
	for _, scope := range r.witness.scopes() {
		r.witness.setting(scope)
		if err := p.director.SetPolicy(context.Background(), scope, centrifuge.QueuePolicy{}); err != nil {
			r.witness.breaks("lift the policy of %v: %v", scope, err)
		}
	}
}

// lastRound submits a job of every queue, which nothing keeps from its delivery.
func (r *run) lastRound(p *process) {
	o := order{transaction: "last-round"}
	for _, source := range r.plan.sources {
		for _, host := range r.plan.hosts {
			tag := fmt.Sprintf("last-%s-%s", source, host)
			o.drafts = append(o.drafts, draft{tag: tag, job: centrifuge.Job{
				Source: source, Endpoint: "http://" + host + "/", Payload: []byte(tag + "\n"),
			}})
		}
	}
	receipt, err := p.director.Submit(context.Background(), o.submission(r.clock.now()))
	for n := 0; err != nil && n < 600; n++ { // until the backlog leaves room for them
		time.Sleep(time.Minute)
		receipt, err = p.director.Submit(context.Background(), o.submission(r.clock.now()))
	}
	if err != nil {
		r.witness.breaks("the last round is refused though all is well: %v", err)
		return
	}
	r.witness.acknowledged(&o, receipt)
	r.lasts = receipt.JobIDs
}

// verify has the Director recount its ledger.
func (r *run) verify(p *process) {
	r.calm.during(func() {
		booked, recounted, err := p.director.Verify(context.Background())
		if err == nil && !p.dead.Load() && (booked != recounted || !booked.Balanced()) {
			r.witness.breaks("the ledger is %+v and a recount %+v", booked, recounted)
		}
	})
}
