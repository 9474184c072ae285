package sim

import (
	"context"
	"fmt"
	"time"

	"centrifuge"
	"centrifuge/archive"
)

// patience is how long a job may wait for its delivery when all is well again: the
// longest backoff, and as much for the rest.
const patience = 2 * centrifuge.DefaultMaxBackoff

// settle lets time run on until every job is at its end, replays what was archived,
// and has the Director recount when all is at its end again.
func (r *run) settle(p *process) {
	r.liftAll(p)
	r.well = r.clock.now()
	r.lastRound(p)
	if r.rest(p) && r.replayAll(p) && r.rest(p) {
		r.recount(p)
	}
}

// rest waits until every job is at its end, and reports whether that came.
func (r *run) rest(p *process) bool {
	deadline := time.Now().Add(r.plan.calm)
	for r.witness.pending() > 0 || p.director.Ready() != nil {
		if time.Now().After(deadline) {
			r.witness.complain(p.director.Ready())
			return false
		}
		if r.witness.failed() {
			return false
		}
		select {
		case <-p.ended:
			r.witness.breaks("the Director gave up: %v", p.err)
			return false
		case <-time.After(time.Minute):
		}
	}
	return true
}

// recount compares the Director's ledger and traces to what was seen.
func (r *run) recount(p *process) {
	r.verify(p)
	ledger, err := p.director.Ledger()
	if jobs := r.witness.someJobs(); err != nil || ledger.Accepted != int64(len(jobs))-1 || ledger.Pending() != 0 {
		r.witness.breaks("at rest the ledger is %+v, %v, with %d jobs durable", ledger, err, len(jobs)-1)
	}
	for _, id := range r.witness.someJobs() {
		r.witness.compareTrace(p, id)
	}
}

// replayAll replays what is in the archive and was not replayed yet. It reports
// whether the archive says so of each job after that.
func (r *run) replayAll(p *process) bool {
	ctx := context.Background()
	archived := r.clock.now()
	for cursor, more := "", true; more; more = cursor != "" {
		r.insist(func() error { // one by one, as little may be admitted at once
			page, err := p.director.Replay(ctx, archive.Filter{To: archived}, cursor, 1, 0)
			if err == nil {
				cursor = page.Next
			}
			return err
		})
		if r.witness.failed() {
			return false
		}
	}
	listed, err := p.director.ListArchive(ctx, archive.Filter{To: archived}, "", 1_000_000)
	if err != nil {
		r.witness.breaks("list what was replayed: %v", err)
		return false
	}
	for i := range listed.Entries {
		if e := &listed.Entries[i]; e.ReplayedAs.IsZero() {
			r.witness.breaks("job %s was replayed, and the archive does not say so", e.JobID)
		}
	}
	return true
}

// liftAll takes back what operators have said, so that nothing holds jobs up.
func (r *run) liftAll(p *process) {
	for _, scope := range r.witness.scopes() {
		r.witness.setting(scope)
		r.insist(func() error { return p.director.SetPolicy(context.Background(), scope, centrifuge.QueuePolicy{}) })
	}
}

// insist calls f until it succeeds: what went wrong last may take its time to mend.
func (r *run) insist(f func() error) {
	var err error
	for range 600 {
		if err = f(); err == nil {
			return
		}
		time.Sleep(time.Minute)
	}
	r.witness.breaks("it fails though all is well: %v", err)
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
	r.insist(func() error {
		receipt, err := p.director.Submit(context.Background(), o.submission(r.clock.now()))
		if err == nil {
			r.witness.acknowledged(&o, receipt)
			r.lasts = receipt.JobIDs
		}
		return err
	})
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
