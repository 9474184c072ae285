package director

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// Queues returns the state of the selected queues that come after a key, by
// destination and source, and whether there are more than limit.
func (d *Director) Queues(sel schedule.Selector, after centrifuge.QueueKey, limit int) ([]schedule.QueueInfo, bool, error) {
	t, err := d.current()
	if err != nil {
		return nil, false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	infos, more := t.mu.sched.Queues(t.o.Now(), sel, after, limit)
	return infos, more, nil
}

// Destinations returns the state of the destinations that come after a name, and
// whether there are more than limit.
func (d *Director) Destinations(after string, limit int) ([]schedule.DestinationInfo, bool, error) {
	t, err := d.current()
	if err != nil {
		return nil, false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	infos, more := t.mu.sched.Destinations(t.o.Now(), after, limit)
	return infos, more, nil
}

// Policy returns what SetPolicy was last given for exactly this scope.
func (d *Director) Policy(scope centrifuge.QueueKey) (centrifuge.QueuePolicy, error) {
	t, err := d.current()
	if err != nil {
		return centrifuge.QueuePolicy{}, err
	}
	if err := checkPolicy(scope, &centrifuge.QueuePolicy{}); err != nil {
		return centrifuge.QueuePolicy{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.sched.Said(scope), nil
}

// SetPolicy replaces the policy of a queue, of a source's queues (empty
// destination) or of a destination (empty source). It is durable and in force
// when SetPolicy returns.
func (d *Director) SetPolicy(ctx context.Context, scope centrifuge.QueueKey, p centrifuge.QueuePolicy) error {
	if err := checkPolicy(scope, &p); err != nil {
		return err
	}
	t, leave, err := d.enterToSay(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return t.log.words(ctx, []jobdb.Policy{{Scope: scope, Policy: p, Time: t.nextSaid(scope)}}, nil)
}

// nextSaid is the time of a policy that is set now: later than that of the one
// before, though the clock was set back, as the latest of a scope holds wherever it
// is brought.
func (t *tenure) nextSaid(scope centrifuge.QueueKey) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.o.Now().UTC().Truncate(time.Millisecond)
	if before, ok := t.mu.said[scope]; ok && !now.After(before) {
		return before.Add(time.Millisecond)
	}
	return now
}

func checkPolicy(scope centrifuge.QueueKey, p *centrifuge.QueuePolicy) error {
	invalid := func(field, reason string) error { return &InvalidError{-1, field, reason} }
	switch {
	case scope.Source == "" && scope.Destination == "":
		return invalid("selector", "names neither a source nor a destination")
	case !(p.Rate >= 0 && p.Rate <= 1e9):
		return invalid("policy.rate", "is not between 0 and 1e9 jobs a second")
	case p.Burst < 0:
		return invalid("policy.burst", "is negative")
	case !(p.Weight >= 0 && p.Weight <= 1e6):
		return invalid("policy.weight", "is not between 0 and 1e6")
	case p.Concurrency < 0:
		return invalid("policy.concurrency", "is negative")
	}
	for _, code := range p.RetryStatuses {
		if centrifuge.ClassifyStatus(code) == centrifuge.OutcomeSucceeded {
			return invalid("policy.retry_statuses", "holds a status that is a success")
		}
	}
	if field, reason := checkSettings(&centrifuge.Settings{Retry: p.Retry}); field != "" {
		return invalid("policy."+field, reason)
	}
	return nil
}

// Retry makes the waiting jobs of the selected queues due now and returns how many.
// The order is durable then, and is for the jobs that were accepted before the call.
//
// Jobs that wait in a JobDB which is on its way out, or which is drained into this
// Director's, are not counted; they are due as they arrive. After an error the order
// may have been given; it may be given again.
func (d *Director) Retry(ctx context.Context, sel schedule.Selector) (int, error) {
	return d.order(ctx, jobdb.OrderRetry, sel)
}

// Expire sends the unfinished jobs of the selected queues to the archive, except
// those whose attempt is under way, and returns how many. The order is durable then:
// those that are not archiving when the process ends go there when it is back. It is
// for the jobs that were accepted before the call, and for no later ones.
//
// Jobs in a JobDB which is on its way out, or which is drained into this Director's,
// are not counted; they are archived as they arrive. After an error the order may
// have been given; it may be given again.
func (d *Director) Expire(ctx context.Context, sel schedule.Selector) (int, error) {
	return d.order(ctx, jobdb.OrderExpire, sel)
}

func (d *Director) order(ctx context.Context, kind jobdb.OrderKind, sel schedule.Selector) (int, error) {
	if sel.Source == "" && sel.Destination == "" {
		return 0, &InvalidError{-1, "selector", "names neither a source nor a destination"}
	}
	t, leave, err := d.enterToSay(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	o := &ordering{Order: jobdb.Order{Scope: centrifuge.QueueKey(sel), Kind: kind}}
	if err := t.log.order(ctx, o); err != nil {
		return 0, err
	}
	return o.reached, nil
}

// enterToSay is as enter, for what must reach the next JobDB too: no cycle comes
// between.
func (d *Director) enterToSay(ctx context.Context) (t *tenure, leave func(), err error) {
	if err := d.policies.Acquire(ctx, 1); err != nil {
		return nil, nil, fmt.Errorf("wait for a cycle: %w", err)
	}
	t, left, err := d.enter()
	if err != nil {
		d.policies.Release(1)
		return nil, nil, err
	}
	return t, func() { left(); d.policies.Release(1) }, nil
}

// Ledger returns the ledger of all JobDBs that the Director holds, as it is booked.
func (d *Director) Ledger() (Ledger, error) {
	ledgers, err := d.Ledgers()
	var sum Ledger
	for i := range ledgers {
		sum.Add(&ledgers[i].Ledger)
	}
	return sum, err
}

// JobDBLedger is the ledger of one JobDB.
type JobDBLedger struct {
	Name     string
	Ledger   Ledger
	Retiring bool // another has taken its place
}

// Ledgers returns the ledger of each JobDB that the Director holds, the oldest
// first, as they are booked.
func (d *Director) Ledgers() ([]JobDBLedger, error) {
	if _, err := d.current(); err != nil {
		return nil, err
	}
	var ledgers []JobDBLedger
	current := d.owner.Load()
	for _, w := range d.owners() {
		if t := w.tenure.Load(); t != nil {
			ledgers = append(ledgers, JobDBLedger{Name: w.Name, Ledger: t.books.total(), Retiring: w != current})
		}
	}
	return ledgers, nil
}

// LedgerByQueue returns the ledgers of the selected queues by destination and
// source, each over all JobDBs that the Director holds.
func (d *Director) LedgerByQueue(sel schedule.Selector) ([]QueueLedger, error) {
	if _, err := d.current(); err != nil {
		return nil, err
	}
	sums := make(map[centrifuge.QueueKey]*Ledger)
	for _, w := range d.owners() {
		if t := w.tenure.Load(); t != nil {
			t.books.addTo(sums, sel)
		}
	}
	ledgers := make([]QueueLedger, 0, len(sums))
	for key, l := range sums {
		ledgers = append(ledgers, QueueLedger{Queue: key, Ledger: *l})
	}
	slices.SortFunc(ledgers, func(a, b QueueLedger) int {
		return cmp.Or(cmp.Compare(a.Queue.Destination, b.Queue.Destination), cmp.Compare(a.Queue.Source, b.Queue.Source))
	})
	return ledgers, nil
}

// Verify recounts the ledger of the current JobDB and returns it beside the one that
// was booked at the same moment. Intake and delivery go on meanwhile.
func (d *Director) Verify(ctx context.Context) (booked, recounted Ledger, err error) {
	t, leave, err := d.enter()
	if err != nil {
		return booked, recounted, err
	}
	defer leave()
	return t.verify(ctx)
}
