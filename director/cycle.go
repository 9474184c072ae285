package director

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"centrifuge"
	"centrifuge/jobdb"
)

// maxRetiring is how many JobDBs may be on their way out when another cycle is
// asked for.
const maxRetiring = 2

// allPolicies is what the replacing of the owner takes of the semaphore.
const allPolicies = math.MaxInt64

// ErrRetiring means that no cycle is begun before an earlier one is over.
var ErrRetiring = fmt.Errorf("%d JobDBs are retiring; wait until one of them is let go of", maxRetiring)

// Cycle acquires another JobDB and makes it the current one, without a moment in
// which no Submit is accepted. It returns the names of the old one and the new one.
//
// Policies and orders are durable in the new one before it takes intake. In the
// old one no attempt begins any more; those under way get [Options.ShutdownGrace],
// calls under way end as they would have, the archive object that was begun is
// finished, and the transactions that ended lately are handed over, so that a repeated
// Submit is recognised. Then it is let go of; its unfinished jobs, and what is prepared
// in it, are left to a drain. Cycle does not wait for that.
//
// After an error nothing has changed.
func (d *Director) Cycle(ctx context.Context) (from, to string, err error) {
	if err := d.lockOwner(ctx); err != nil {
		return "", "", err
	}
	defer d.unlockOwner()
	if _, err := d.current(); err != nil {
		return "", "", err
	}
	if n := len(d.Status().Retiring); n >= maxRetiring {
		return "", "", ErrRetiring
	}
	h, err := d.o.Acquire(ctx)
	if err != nil {
		return "", "", fmt.Errorf("acquire a JobDB to cycle to: %w", err)
	}
	next := d.newOwned(h)
	if err := d.begin(next); err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		return "", "", errors.Join(err, h.Lease.Close(ctx))
	}
	d.expect(next)
	defer d.expect(nil)
	old, err := d.replace(ctx, next)
	if err != nil {
		close(next.retire)
		<-next.ended
		return "", "", fmt.Errorf("cycle to %s: %w", next.Name, errors.Join(err, next.err))
	}
	d.o.Logger.Info("cycled", "from", old.Name, "to", next.Name)
	d.serving()
	return old.Name, next.Name, nil
}

// replace makes next the current JobDB once it is recovered and has the policies of
// the one before.
func (d *Director) replace(ctx context.Context, next *owned) (old *owned, err error) {
	select {
	case <-next.opened:
	case <-next.ended:
		return nil, errors.New("it could not be opened")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// Nothing is said between the copying and the moment from which on it is said
	// to the next JobDB.
	if err := d.policies.Acquire(ctx, allPolicies); err != nil {
		return nil, err
	}
	defer d.policies.Release(allPolicies)
	t, leave, err := d.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	policies, err := t.db.Policies(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the queue policies: %w", err)
	}
	to := next.tenure.Load()
	if to == nil {
		return nil, errors.New("it failed")
	}
	if err := to.log.words(ctx, policies, d.orders.since(d.o.Now().Add(-ordersLast))); err != nil {
		return nil, fmt.Errorf("copy the queue policies and orders: %w", err)
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	old = d.owner.Load()
	next.installed.Store(true)
	d.mu.retiring = append(d.mu.retiring, old)
	d.owner.Store(next)
	close(old.retire)
	if old.over() { // it was lost a moment ago
		d.mu.retiring = slices.DeleteFunc(d.mu.retiring, func(w *owned) bool { return w == old })
	}
	return old, nil
}

// expect notes the JobDB that is about to be the current one.
func (d *Director) expect(next *owned) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.next = next
}

// Held returns the names of the JobDBs that the Director has: those that are on their
// way out, the current one, and one that is about to take its place.
func (d *Director) Held() []string {
	var names []string
	for _, w := range d.owners() {
		names = append(names, w.Name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.next != nil && !slices.Contains(names, d.mu.next.Name) {
		names = append(names, d.mu.next.Name)
	}
	return names
}

// dropped takes a JobDB that was let go of out of the accounts.
func (d *Director) dropped(w *owned) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.retiring = slices.DeleteFunc(d.mu.retiring, func(r *owned) bool { return r == w })
	if w.installed.Load() {
		d.mu.past.Add(&w.ledger)
	}
}

// owners are the JobDBs that the Director owns at the moment, the oldest first; the
// last one is the current one.
func (d *Director) owners() []*owned {
	d.mu.Lock()
	defer d.mu.Unlock()
	owners := slices.Clone(d.mu.retiring)
	if w := d.owner.Load(); w != nil && !w.over() {
		owners = append(owners, w)
	}
	return owners
}

// others are the JobDBs that the Director owns beside the tenure's.
func (d *Director) others(t *tenure) []*owned {
	return slices.DeleteFunc(d.owners(), func(w *owned) bool { return w.Name == t.name })
}

// A JobDB that was cycled stays the place where the Submits of its time are
// remembered, until they are handed over. Whoever looks for a transaction asks the
// JobDBs from the oldest to the newest, and itself last: what one of them has
// handed over by then is found in a later one.

// transaction looks a transaction up for another tenure of the Director.
func (w *owned) transaction(ctx context.Context, id string) (jobdb.Transaction, error) {
	var err error
	if t := w.tenure.Load(); t != nil {
		var tx jobdb.Transaction
		tx, err = t.db.Transaction(ctx, id)
		switch {
		case err == nil && tx.State == jobdb.TransactionMoved:
			return tx, jobdb.ErrNotFound // it goes on in a later one
		case err == nil, errors.Is(err, jobdb.ErrNotFound):
			return tx, err
		}
	}
	if w.handedOver.Load() || w.over() {
		return jobdb.Transaction{}, jobdb.ErrNotFound
	}
	return jobdb.Transaction{}, fmt.Errorf("%w: %s is being recovered: %w", ErrUnavailable, w.Name, errors.Join(err))
}

// known looks ids of jobs up for another tenure of the Director.
func (w *owned) known(ctx context.Context, ids []centrifuge.ID) ([]centrifuge.ID, error) {
	var err error
	if t := w.tenure.Load(); t != nil {
		var known []centrifuge.ID
		if known, err = t.db.Known(ctx, ids); err == nil {
			return known, nil
		}
	}
	if w.handedOver.Load() || w.over() {
		return nil, nil
	}
	return nil, fmt.Errorf("%w: %s is being recovered: %w", ErrUnavailable, w.Name, errors.Join(err))
}
