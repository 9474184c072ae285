package director

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"centrifuge"
	"centrifuge/jobdb"
)

// ErrWrongJobDB means that a transfer is for a JobDB which is not the Director's
// current one. Nothing of it was stored.
var ErrWrongJobDB = errors.New("the transfer is for another JobDB than the Director's current one")

// Bounds of one Transfer, where it is made: jobs and transactions, and their bytes,
// which the last of them may exceed.
const (
	transferCount = 500
	transferBytes = 4 << 20
)

// Transfer is what goes from a JobDB that is drained to one that is in use.
type Transfer struct {
	From, To     string        // names of JobDBs
	Jobs         []jobdb.Trace // without transitions: the job waits for its first attempt
	Policies     []jobdb.Policy
	Transactions []jobdb.Transaction
}

// size is about how many bytes the transfer takes in memory.
func (tr *Transfer) size() (n int64) {
	for i := range tr.Jobs {
		n += traceSize(&tr.Jobs[i])
	}
	for i := range tr.Transactions {
		n += transactionSize(&tr.Transactions[i])
	}
	return n
}

func traceSize(t *jobdb.Trace) int64 {
	n := int64(t.Job.Size())
	for i := range t.Transitions {
		n += 128 + int64(len(t.Transitions[i].Error))
	}
	return n
}

func transactionSize(t *jobdb.Transaction) int64 {
	return int64(128 + len(t.ID) + len(t.JobIDs)*len(centrifuge.ID{}) + len(t.Drafts))
}

// check finds a job whose history is none that could go on, and a job that comes
// twice.
func (tr *Transfer) check() error {
	seen := make(map[centrifuge.ID]bool, len(tr.Jobs))
	for i := range tr.Jobs {
		job := &tr.Jobs[i]
		if seen[job.Job.ID] {
			return &InvalidError{i, "id", "comes twice in the transfer"}
		}
		seen[job.Job.ID] = true
		if len(job.Transitions) == 0 {
			continue
		}
		var life centrifuge.Life
		for j := range job.Transitions {
			step := &job.Transitions[j]
			if step.JobID != job.Job.ID {
				return &InvalidError{i, "transitions", fmt.Sprintf("hold one of job %s", step.JobID)}
			}
			var err error
			if life, err = life.Append(step); err != nil {
				return &InvalidError{i, "transitions", err.Error()}
			}
		}
		if life.State != centrifuge.StateAwaitingScheduling && life.State != centrifuge.StateAwaitingRetry {
			return &InvalidError{i, "transitions", fmt.Sprintf("end with %s, from which no job goes on elsewhere", life.State)}
		}
	}
	return nil
}

// Accept makes durable what comes from another JobDB: jobs with their ids and all
// their history, which go on from where they stand, policies of queues, of which
// the latest of each scope holds, and transactions, so that a repeated Submit is
// recognised. What is known already is passed over, so a Transfer may be repeated.
//
// Jobs give way to Submits: without a moment in which none is under way, a Transfer
// of jobs is stored every 0.4 s.
//
// Neither the bound of unfinished jobs nor a nearly full disk keeps it from
// accepting: moving jobs is how room is made.
//
// It returns [ErrWrongJobDB] unless the JobDB named To is the current one, an
// [InvalidError] if a history is none, an [ExhaustedError] if nothing was stored
// for now, and [ErrUnavailable] if the outcome is unknown.
func (d *Director) Accept(ctx context.Context, tr Transfer) error {
	if err := tr.check(); err != nil {
		return err
	}
	if len(tr.Jobs) > 0 {
		if err := d.intake.giveWay(ctx); err != nil {
			return fmt.Errorf("give way to Submits: %w", err)
		}
	}
	if len(tr.Policies) > 0 { // no other may be set between the comparison of their times and the commit
		if err := d.policies.Acquire(ctx, allPolicies); err != nil {
			return fmt.Errorf("wait for policies that are being set: %w", err)
		}
		defer d.policies.Release(allPolicies)
	}
	t, leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	if t.name != tr.To {
		return fmt.Errorf("%w: it is for %s, and the current one is %s", ErrWrongJobDB, tr.To, t.name)
	}
	if err := t.accept(ctx, tr); err != nil {
		return fmt.Errorf("accept %d jobs from %s: %w", len(tr.Jobs), tr.From, err)
	}
	return nil
}

// adopt is Accept of transactions into whatever JobDB is the current one.
func (d *Director) adopt(ctx context.Context, from string, transactions []jobdb.Transaction) error {
	t, leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	return t.accept(ctx, Transfer{From: from, Transactions: transactions})
}

func (t *tenure) accept(ctx context.Context, tr Transfer) error {
	size := tr.size()
	defer t.intake.bytes.Add(-size)
	if n := t.intake.bytes.Add(size); n > t.o.MaxIntakeBytes && n > size { // one that is alone is never too large
		return tooMuchIntake()
	}
	ids := make([]centrifuge.ID, len(tr.Jobs))
	for i := range tr.Jobs {
		ids[i] = tr.Jobs[i].Job.ID
	}
	if err := t.claim(ctx, ids); err != nil {
		return err
	}
	defer t.intake.release(ids)
	a := &arrival{done: make(chan error, 1)}
	var err error
	if a.jobs, err = t.unknownJobs(ctx, tr.Jobs, ids); err != nil {
		return err
	}
	end, err := t.unknownTransactions(ctx, tr.Transactions, a)
	defer end()
	if err != nil {
		return err
	}
	a.policies, _ = t.compare(tr.Policies)
	if len(a.jobs)+len(a.transactions)+len(a.policies) == 0 {
		return nil
	}
	if err := t.log.arrive(a); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	// As with a Submit, the registrations last until the outcome is known.
	return <-a.done
}

// claim registers the ids as being brought, when nobody else brings one of them.
func (t *tenure) claim(ctx context.Context, ids []centrifuge.ID) error {
	for {
		taken, other := t.intake.reserve(ids)
		if taken < 0 {
			return nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *tenure) unknownJobs(ctx context.Context, jobs []jobdb.Trace, ids []centrifuge.ID) ([]jobdb.Trace, error) {
	known, err := t.db.Known(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("look up %d ids: %w", len(ids), err)
	}
	if len(known) == 0 {
		return jobs, nil
	}
	passed := make(map[centrifuge.ID]bool, len(known))
	for _, id := range known {
		passed[id] = true
	}
	return slices.DeleteFunc(slices.Clone(jobs), func(j jobdb.Trace) bool { return passed[j.Job.ID] }), nil
}

// unknownTransactions registers the transactions, one after the other in the order
// of their ids, so that two calls cannot wait for each other, and adds those that
// the JobDB does not know, or not their end.
func (t *tenure) unknownTransactions(ctx context.Context, transactions []jobdb.Transaction, a *arrival) (end func(), err error) {
	var ends []func()
	end = func() {
		for _, f := range ends {
			f()
		}
	}
	transactions = slices.SortedFunc(slices.Values(transactions), func(a, b jobdb.Transaction) int { return cmp.Compare(a.ID, b.ID) })
	for i, tx := range transactions {
		if i > 0 && tx.ID == transactions[i-1].ID || tx.State == jobdb.TransactionMoved {
			continue
		}
		other, over := t.intake.begin(tx.ID)
		for other != nil {
			select {
			case <-other:
			case <-ctx.Done():
				return end, ctx.Err()
			}
			other, over = t.intake.begin(tx.ID)
		}
		ends = append(ends, over)
		known, err := t.db.Transaction(ctx, tx.ID)
		switch {
		case errors.Is(err, jobdb.ErrNotFound),
			err == nil && known.State == jobdb.TransactionPrepared && tx.State != jobdb.TransactionPrepared:
			a.transactions = append(a.transactions, tx)
		case err != nil:
			return end, fmt.Errorf("look up transaction %q: %w", tx.ID, err)
		}
	}
	return end, nil
}
