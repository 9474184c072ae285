package sim

import (
	"context"
	"time"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/director"
)

// courier is the Deliverer of one process. It shows every attempt to the witness
// and cuts off those under way when the process dies.
type courier struct {
	process *process
	inner   director.Deliverer
}

// Deliver implements [director.Deliverer].
func (c *courier) Deliver(ctx context.Context, job *centrifuge.Job, attempt uint32) delivery.Result {
	p := c.process
	p.passes(beforeSend)
	t := p.run.witness.sends(p, job, attempt)
	if t == nil {
		return interrupted()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	result := c.inner.Deliver(ctx, job, attempt)
	if ctx.Err() != nil { // many are cut off at once, in no order but this
		time.Sleep(p.run.apart("cut off", job, attempt))
	}
	if !p.run.witness.answered(p, t, &result) {
		return interrupted()
	}
	p.passes(afterAnswer)
	return result
}
