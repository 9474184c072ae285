package jobdb

import (
	"slices"

	"centrifuge"
)

// Batch is what one commit makes durable. The zero Batch is empty and ready.
//
// That a job was accepted is told by its row alone: every reader of a JobDB puts
// the transition to awaiting_scheduling, with sequence number 0 and the time of
// the job's making, before those that were appended. A job may have
// that transition appended, before its attempts: one that was moved in from another
// JobDB, or came after an order. It is not put there twice.
//
// Every reader gives the beginning of each attempt as well, right before its
// outcome. It may have no row of its own if it was appended right before the outcome,
// in the same batch, and was the one that the outcome implies
// ([centrifuge.Transition.Beginning]).
//
// To commit a prepared transaction is to add its jobs, and the transaction as
// committed, to one batch.
type Batch struct {
	Transactions []Transaction
	Jobs         []*centrifuge.Job
	Policies     []Policy
	Orders       []Order

	transitions []centrifuge.Transition
}

// Append adds a transition to the batch, if it may follow the life that the job
// has reached, and returns the life that ends with it. There is no other way to
// have a transition persisted, so one that the state machine forbids never is.
func (b *Batch) Append(life centrifuge.Life, t centrifuge.Transition) (centrifuge.Life, error) {
	next, err := life.Append(&t)
	if err != nil {
		return life, err
	}
	b.transitions = append(b.transitions, t)
	return next, nil
}

// Withdraw takes the jobs and transactions out of the batch, and the transitions of
// the jobs that are named.
func (b *Batch) Withdraw(ids map[centrifuge.ID]bool) {
	b.Jobs, b.Transactions = b.Jobs[:0], b.Transactions[:0]
	b.transitions = slices.DeleteFunc(b.transitions, func(t centrifuge.Transition) bool { return ids[t.JobID] })
}

// Transitions are those appended, in order. The caller must not change them.
func (b *Batch) Transitions() []centrifuge.Transition { return b.transitions }

// Empty reports whether there is nothing to commit.
func (b *Batch) Empty() bool {
	return len(b.Transactions) == 0 && len(b.Jobs) == 0 && len(b.Policies) == 0 && len(b.Orders) == 0 &&
		len(b.transitions) == 0
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	clear(b.Transactions)
	clear(b.Jobs)
	clear(b.Policies)
	clear(b.Orders)
	clear(b.transitions)
	b.Transactions = b.Transactions[:0]
	b.Jobs = b.Jobs[:0]
	b.Policies = b.Policies[:0]
	b.Orders = b.Orders[:0]
	b.transitions = b.transitions[:0]
}
