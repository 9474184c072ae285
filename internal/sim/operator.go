package sim

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/schedule"
)

// operator does, now and then, what operators do, and asks what they ask.
type operator struct {
	run  *run
	dice *rand.Rand
}

// work goes on until the faults cease.
func (o *operator) work() {
	for o.run.sleep(between(o.dice, time.Second, o.run.plan.faulty/15)) {
		p := o.run.current.Load()
		if p == nil {
			continue
		}
		switch o.dice.IntN(12) {
		case 0, 1, 2:
			o.setPolicy(p)
		case 3:
			o.lift(p)
		case 4, 5:
			o.retryNow(p)
		case 6:
			o.expireNow(p)
		case 7, 8:
			o.replay(p)
		case 9:
			o.run.verify(p)
		default:
			o.look(p)
		}
	}
}

// scope draws a queue, a source's queues, or a destination.
func (o *operator) scope() centrifuge.QueueKey {
	key := centrifuge.QueueKey{Source: oneOf(o.dice, o.run.plan.sources...), Destination: oneOf(o.dice, o.run.plan.hosts...)}
	switch o.dice.IntN(4) {
	case 0:
		key.Source = ""
	case 1:
		key.Destination = ""
	}
	return key
}

func (o *operator) setPolicy(p *process) {
	r := o.dice
	o.say(p, o.scope(), centrifuge.QueuePolicy{
		Paused:        happens(r, 0.2),
		Rate:          oneOf(r, 0, 0, 0.1, 2, 50),
		Burst:         oneOf(r, 0, 0, 1, 5),
		Weight:        oneOf(r, 0, 0.5, 10),
		Concurrency:   oneOf(r, 0, 1, 2),
		RetryStatuses: oneOf(r, nil, nil, []int{404, 410}),
		Retry:         centrifuge.RetryPolicy{MaxBackoff: oneOf(r, 0, 10*time.Second)},
	})
}

// lift takes back what was said.
func (o *operator) lift(p *process) { o.say(p, o.scope(), centrifuge.QueuePolicy{}) }

func (o *operator) say(p *process, scope centrifuge.QueueKey, policy centrifuge.QueuePolicy) {
	o.run.witness.setting(scope)
	err := p.director.SetPolicy(context.Background(), scope, policy)
	o.run.log.add("operator: policy of %v is %+v: %v", scope, policy, err)
	if err == nil && !p.dead.Load() {
		o.run.witness.set(scope, policy)
	}
}

func (o *operator) retryNow(p *process) {
	sel := schedule.Selector(o.scope())
	over := o.run.witness.retrying(sel)
	n, err := p.director.Retry(context.Background(), sel)
	over()
	o.run.log.add("operator: retry %v now: %d jobs, %v", sel, n, err)
}

func (o *operator) expireNow(p *process) {
	sel := schedule.Selector(o.scope())
	o.run.witness.flushing(sel)
	n, err := p.director.Expire(context.Background(), sel)
	o.run.log.add("operator: archive %v now: %d jobs, %v", sel, n, err)
}

func (o *operator) replay(p *process) {
	filter := archive.Filter{}
	if happens(o.dice, 0.5) {
		filter.Destination = oneOf(o.dice, o.run.plan.hosts...)
	}
	cursor, rate := "", oneOf(o.dice, 0, 0.5, 100)
	for range 3 {
		page, err := p.director.Replay(context.Background(), filter, cursor, 1+o.dice.IntN(10), rate)
		o.run.log.add("operator: replay: %d replayed, %d skipped, %v", page.Replayed, page.Skipped, err)
		if cursor = page.Next; err != nil || cursor == "" {
			return
		}
	}
}

// look asks for all that can be asked for.
func (o *operator) look(p *process) {
	ctx := context.Background()
	d := p.director
	o.run.witness.compareTrace(p, oneOf(o.dice, o.run.witness.someJobs()...))
	var after centrifuge.QueueKey
	for more := true; more; {
		infos, m, err := d.Queues(schedule.Selector(o.scope()), after, 1)
		if more = m && err == nil && len(infos) > 0; more {
			after = infos[len(infos)-1].Queue
		}
	}
	if ledger, err := d.Ledger(); err == nil && !ledger.Balanced() {
		o.run.witness.breaks("the ledger does not balance: %+v", ledger)
	}
	if queues, err := d.LedgerByQueue(schedule.Selector{}); err == nil {
		o.checkQueues(queues)
	}
	if _, err := d.ListArchive(ctx, archive.Filter{}, "", 10); err != nil {
		o.run.log.add("operator: list the archive: %v", err)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(d.Collector()); err != nil {
		o.run.witness.breaks("register the metrics: %v", err)
	} else if _, err := registry.Gather(); err != nil {
		o.run.witness.breaks("gather the metrics: %v", err)
	}
}

func (o *operator) checkQueues(queues []director.QueueLedger) {
	for _, q := range queues {
		if !q.Ledger.Balanced() {
			o.run.witness.breaks("the ledger of %v does not balance: %+v", q.Queue, q.Ledger)
		}
	}
}
