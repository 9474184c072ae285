package sim

import (
	"slices"

	"centrifuge"
	"centrifuge/director"
)

// submits takes down that an order is submitted, perhaps again.
func (w *witness) submits(o *order) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, tag := range o.tags() {
		delete(w.mu.refused, tag)
	}
}

// wasAccepted reports whether the order's transaction is durable.
func (w *witness) wasAccepted(o *order) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, known := w.mu.transactions[o.transaction]
	return known
}

// acknowledged checks an answer: what it names is durable at this moment, is what
// was ordered, and is the same whenever the order is repeated.
func (w *witness) acknowledged(o *order, receipt director.Receipt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o.invalid {
		w.breaksLocked("an invalid Submit was accepted: %q", o.transaction)
	}
	if o.transaction != "" && receipt.TransactionID != o.transaction {
		w.breaksLocked("transaction %q was answered as %q", o.transaction, receipt.TransactionID)
	}
	if durable := w.mu.transactions[receipt.TransactionID]; !slices.Equal(durable, receipt.JobIDs) {
		w.breaksLocked("transaction %q was answered with %v, and what is durable is %v", receipt.TransactionID, receipt.JobIDs, durable)
	}
	if len(receipt.JobIDs) != len(o.drafts) {
		w.breaksLocked("%d jobs were ordered and %d accepted", len(o.drafts), len(receipt.JobIDs))
		return
	}
	for i, id := range receipt.JobIDs {
		w.acknowledgedJobLocked(&o.drafts[i], id)
	}
}

func (w *witness) acknowledgedJobLocked(d *draft, id centrifuge.ID) {
	j := w.mu.jobs[id]
	switch {
	case j == nil:
		w.breaksLocked("job %s was acknowledged and is not durable: %s", id, d.tag)
	case j.tag != d.tag || string(j.job.Payload) != string(d.job.Payload) || j.job.Endpoint != d.job.Endpoint:
		w.breaksLocked("job %s is %s and was ordered as %s", id, j.tag, d.tag)
	case !d.job.ID.IsZero() && id != d.job.ID:
		w.breaksLocked("job %s was ordered under the id %s", id, d.job.ID)
	case d.ttl > 0 && j.job.ExpireAt.Sub(j.job.CreatedAt) > d.ttl+2*unsettled+maxJump:
		w.breaksLocked("job %s was given %s and lives for %s", id, d.ttl, j.job.ExpireAt.Sub(j.job.CreatedAt))
	}
}

// refuses checks that nothing of a refused order is durable, now or later, unless
// by an earlier try.
func (w *witness) refuses(o *order) {
	if o.open {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, tag := range o.tags() {
		if id, enqueued := w.mu.tags[tag]; enqueued {
			w.breaksLocked("a Submit was refused, and its job %s was enqueued: %s", id, tag)
		}
		w.mu.refused[tag] = true
	}
}
