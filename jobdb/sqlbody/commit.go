package sqlbody

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"centrifuge"
	"centrifuge/jobdb"
)

// Commit implements [jobdb.DB]. A context that ends during the commit does not
// interrupt it: that would leave its outcome open for nothing.
func (b *Body) Commit(ctx context.Context, batch *jobdb.Batch) error {
	if batch.Empty() {
		return nil
	}
	if err := b.enter(); err != nil {
		return err
	}
	defer b.leave()
	b.commit.Lock()
	defer b.commit.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := b.commitLocked(context.WithoutCancel(ctx), batch); err != nil {
		return fmt.Errorf("commit %d jobs and %d transitions: %w", len(batch.Jobs), len(batch.Transitions()), err)
	}
	return nil
}

func (b *Body) commitLocked(ctx context.Context, batch *jobdb.Batch) error {
	c := &b.commit
	if c.poisoned {
		return errPoisoned
	}
	w, err := b.begin(ctx)
	if err != nil {
		return err
	}
	payload := c.lastPayload
	err = w.finish(ctx, func() error {
		epoch, err := w.maxEpoch(ctx)
		if err != nil {
			return err
		}
		if epoch != b.epoch {
			return fmt.Errorf("epoch %d is recorded, this is %d: %w", epoch, b.epoch, jobdb.ErrSuperseded)
		}
		payload, err = w.insert(ctx, batch, payload)
		return err
	})
	switch {
	case err == nil:
		c.lastPayload = payload
		if b.dialect.Committed != nil {
			b.dialect.Committed(w.conn)
		}
	case errors.Is(err, jobdb.ErrUnknownOutcome):
		c.poisoned = true
		fallthrough
	default:
		b.dropWriter()
	}
	return err
}

// insert inserts what the batch holds. The payloads get the ids after last; it
// returns the last of them.
func (w *writer) insert(ctx context.Context, batch *jobdb.Batch, last int64) (int64, error) {
	defer w.release()
	if err := w.insertJobs(ctx, batch.Jobs, last); err != nil {
		return last, fmt.Errorf("insert jobs: %w", err)
	}
	last, err := w.insertPayloads(ctx, batch.Jobs, last)
	if err != nil {
		return last, fmt.Errorf("insert payloads: %w", err)
	}
	if err := w.insertTransitions(ctx, batch.Transitions()); err != nil {
		return last, fmt.Errorf("insert transitions: %w", err)
	}
	if last, err = w.insertPreparations(ctx, batch.Transactions, last); err != nil {
		return last, fmt.Errorf("insert prepared transactions: %w", err)
	}
	if err := w.insertTransactions(ctx, batch.Transactions); err != nil {
		return last, fmt.Errorf("insert transactions: %w", err)
	}
	if err := w.insertPolicies(ctx, batch.Policies); err != nil {
		return last, fmt.Errorf("insert policies: %w", err)
	}
	if err := w.insertOrders(ctx, batch.Orders); err != nil {
		return last, fmt.Errorf("insert orders: %w", err)
	}
	return last, nil
}

// release keeps the memory that the batch's values were laid out in, unless it
// was an unusually large one.
func (w *writer) release() {
	const usual = 1 << 20
	if w.arena = w.arena[:0]; cap(w.arena) > usual {
		w.arena = nil
	}
	if cap(w.args) > usual/16 {
		w.args = nil
	}
}

// flush inserts the rows whose values args holds, and forgets the values.
func (w *writer) flush(ctx context.Context, in *inserter) error {
	err := in.insert(ctx, w.conn, w.args)
	clear(w.args)
	w.args = w.args[:0]
	return err
}

func (w *writer) insertJobs(ctx context.Context, jobs []*centrifuge.Job, lastPayload int64) error {
	for _, j := range jobs {
		var payload int64
		if len(j.Payload) > 0 {
			lastPayload++
			payload = lastPayload
		}
		var replayOf []byte
		if !j.ReplayOf.IsZero() {
			replayOf = j.ReplayOf[:]
		}
		start := len(w.arena)
		w.arena = appendHeaders(w.arena, j.Headers)
		headers := w.arena[start:]
		start = len(w.arena)
		w.arena = appendSettings(w.arena, &j.Settings)
		settings := w.arena[start:]
		w.args = append(w.args, j.ID[:], j.Source, j.Destination, j.CreatedAt.UnixMilli(), j.ExpireAt.UnixMilli(),
			j.Endpoint, j.Method, blob(headers), blob(settings), blob(replayOf), payload)
	}
	return w.flush(ctx, &w.jobs)
}

func (w *writer) insertPayloads(ctx context.Context, jobs []*centrifuge.Job, last int64) (int64, error) {
	for _, j := range jobs {
		if len(j.Payload) > 0 {
			last++
			w.args = append(w.args, last, j.Payload)
		}
	}
	return last, w.flush(ctx, &w.payloads)
}

// insertTransitions inserts the outcomes that carry nothing but numbers, which are
// most of all rows, with a statement that has fewer values to bind.
func (w *writer) insertTransitions(ctx context.Context, transitions []centrifuge.Transition) error {
	for i := range transitions {
		if t := &transitions[i]; plain(t) && !implied(transitions[i:]) {
			w.args = append(w.args, t.JobID[:], int64(t.Seq), int64(t.State), int64(t.Attempt), t.Time.UnixMilli(),
				int64(t.StatusCode), int64(t.Duration))
		}
	}
	if err := w.flush(ctx, &w.plainTransitions); err != nil {
		return err
	}
	for i := range transitions {
		if t := &transitions[i]; !plain(t) {
			w.args = append(w.args, t.JobID[:], int64(t.Seq), int64(t.State), int64(t.Attempt), t.Time.UnixMilli(),
				optionalMilli(t.RetryAt), int64(t.StatusCode), int64(t.Duration), text(string(t.ErrorCode)), text(t.Error))
		}
	}
	return w.flush(ctx, &w.transitions)
}

func plain(t *centrifuge.Transition) bool {
	return t.RetryAt.IsZero() && t.ErrorCode == "" && t.Error == ""
}

// implied reports whether the first transition is the beginning of an attempt whose
// outcome is the second and tells all of it. It has no row; Trace puts it back.
func implied(t []centrifuge.Transition) bool {
	return len(t) > 1 && t[0].State == centrifuge.StateExecuting && t[0] == t[1].Beginning()
}

func (w *writer) insertPolicies(ctx context.Context, policies []jobdb.Policy) error {
	for i := range policies {
		p := &policies[i]
		policy, err := json.Marshal(&p.Policy)
		if err != nil {
			return err
		}
		w.args = append(w.args, p.Scope.Source, p.Scope.Destination, string(policy), p.Time.UnixMilli())
	}
	return w.flush(ctx, &w.policies)
}
