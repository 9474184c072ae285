package director

import (
	"centrifuge"
	"centrifuge/jobdb"
)

// arrival is what comes from another JobDB, on its way into this one. Unlike a
// Submit it is not refused when a commit fails: it waits for the next.
type arrival struct {
	jobs         []jobdb.Trace
	transactions []jobdb.Transaction
	policies     []jobdb.Policy
	done         chan error // receives once, when the outcome is known
}

// arrive adds what comes from another JobDB to the open group. The arrival's done
// tells the outcome.
func (c *committer) arrive(a *arrival) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed != nil {
		return c.mu.closed
	}
	g := c.mu.open
	for i := range a.jobs {
		e := effect{job: &a.jobs[i].Job, life: centrifuge.Life{State: centrifuge.StateAwaitingScheduling}, arrived: &a.jobs[i]}
		if history := a.jobs[i].Transitions; len(history) > 1 {
			if accepted(&history[0], e.job) {
				history = history[1:]
			} else {
				e.life = centrifuge.Life{}
			}
			for _, t := range history {
				c.mu.seq++
				t.Seq = c.mu.seq
				var err error
				if e.life, err = g.batch.Append(e.life, t); err != nil {
					return err // which the check of the transfer has excluded
				}
				e.retryAt = t.RetryAt
			}
			e.spent = e.life.State == centrifuge.StateAwaitingRetry && isSpent(e.retryAt, e.job.ExpireAt)
			c.unflushed.Add(int64(len(history)))
		}
		g.effects = append(g.effects, e)
	}
	g.batch.Policies = append(g.batch.Policies, a.policies...)
	g.arrivals = append(g.arrivals, a)
	a.addTo(&g.batch)
	c.poke()
	return nil
}

// addTo adds those parts of the arrival to a batch that a refusal takes out of it.
func (a *arrival) addTo(b *jobdb.Batch) {
	for i := range a.jobs {
		b.Jobs = append(b.Jobs, &a.jobs[i].Job)
	}
	b.Transactions = append(b.Transactions, a.transactions...)
}

// accepted reports whether the transition is the one that the row of the job stands
// for, so that it needs none of its own.
func accepted(t *centrifuge.Transition, job *centrifuge.Job) bool {
	is := centrifuge.Transition{JobID: job.ID, Seq: t.Seq, State: centrifuge.StateAwaitingScheduling, Time: t.Time}
	return *t == is && t.Time.Equal(job.CreatedAt)
}
