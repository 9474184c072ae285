package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"centrifuge"
	"centrifuge/director"
)

// client submits jobs while things go wrong. It repeats a Submit of unknown
// outcome if it has a transaction id, as clients should, and gives up otherwise.
type client struct {
	run    *run
	number int
	dice   *rand.Rand
	ids    *centrifuge.IDs
	orders int
	given  []centrifuge.ID
	done   []accepted
}

// accepted is an order whose Submit was answered.
type accepted struct {
	order order
	ids   []centrifuge.ID
}

func newClient(r *run, n int) *client {
	d := dice(r.plan.seed, "client", uint64(n))
	var key [32]byte
	for i := range key {
		key[i] = byte(d.Uint32())
	}
	return &client{run: r, number: n, dice: d, ids: centrifuge.NewIDs(rand.NewChaCha8(key))} //nolint:gosec // repeatable on purpose
}

// work submits until the faults cease.
func (c *client) work() {
	orders := 5 + c.dice.IntN(20)
	for range orders {
		pause := between(c.dice, 0, 2*c.run.plan.faulty/time.Duration(orders))
		if happens(c.dice, 0.3) {
			pause = 0
		}
		if !c.run.sleep(pause) {
			return
		}
		c.place(c.newOrder())
		if len(c.done) > 0 && happens(c.dice, 0.2) {
			c.repeat(oneOf(c.dice, c.done...))
		}
	}
}

// place submits an order until its outcome is known or the client gives up.
func (c *client) place(o order) {
	for try := range 12 {
		if try > 0 && !c.run.sleep(between(c.dice, time.Millisecond, time.Duration(try)*20*time.Second)) {
			return
		}
		p := c.run.current.Load()
		if p == nil {
			continue
		}
		if o.transaction != "" && happens(c.dice, 0.1) {
			c.placeTwice(p, &o)
			continue
		}
		if c.submit(p, &o) {
			return
		}
	}
}

// placeTwice submits an order from two sides at the same moment.
func (c *client) placeTwice(p *process, o *order) {
	w := c.run.witness
	w.submits(o)
	var both sync.WaitGroup
	var receipts [2]director.Receipt
	var errs [2]error
	for i := range receipts {
		both.Go(func() {
			receipts[i], errs[i] = p.director.Submit(context.Background(), o.submission(c.run.clock.now()))
		})
	}
	both.Wait()
	if errs[0] == nil && errs[1] == nil {
		if receipts[0].Repeated == receipts[1].Repeated && !w.wasAccepted(o) {
			w.breaks("a transaction that came twice at once was repeated %t and %t", receipts[0].Repeated, receipts[1].Repeated)
		}
	}
	for i := range receipts {
		if errs[i] == nil {
			w.acknowledged(o, receipts[i])
		}
		o.open = true // place goes on with it
	}
}

// submit makes one try, and reports whether there is to be no other.
func (c *client) submit(p *process, o *order) (finished bool) {
	w := c.run.witness
	w.submits(o)
	receipt, err := p.director.Submit(context.Background(), o.submission(c.run.clock.now()))
	c.run.log.add("client %d: %d jobs of transaction %q: repeated %t, %v", c.number, len(o.drafts), o.transaction, receipt.Repeated, err)
	var (
		invalid   *director.InvalidError
		exists    *director.ExistsError
		exhausted *director.ExhaustedError
	)
	switch {
	case err == nil:
		w.acknowledged(o, receipt)
		c.done = append(c.done, accepted{*o, receipt.JobIDs})
		return true
	case p.dead.Load(), errors.Is(err, director.ErrUnavailable):
		o.open = true
		return o.transaction == ""
	case errors.As(err, &invalid):
		if !o.invalid {
			w.breaks("a Submit is called invalid: %v", err)
		}
		w.refuses(o)
		return true
	case errors.As(err, &exists):
		if exists.Index >= len(o.drafts) || o.drafts[exists.Index].job.ID != exists.ID {
			w.breaks("a Submit is refused for the wrong id: %v", err)
		}
		w.refuses(o)
		return true
	case errors.As(err, &exhausted):
		w.refuses(o)
		return false
	default: // the JobDB could not be read
		w.refuses(o)
		return false
	}
}

// repeat submits again what was answered before.
func (c *client) repeat(a accepted) {
	p := c.run.current.Load()
	if p == nil || a.order.transaction == "" {
		return
	}
	c.run.witness.submits(&a.order)
	receipt, err := p.director.Submit(context.Background(), a.order.submission(c.run.clock.now()))
	if err == nil && !receipt.Repeated {
		c.run.witness.breaks("transaction %q was accepted again", a.order.transaction)
	}
	if err == nil {
		c.run.witness.acknowledged(&a.order, receipt)
	}
}
