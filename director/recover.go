package director

import (
	"context"
	"fmt"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// recover builds everything that is in memory from what the JobDB holds: the
// policies, the books, and for each unfinished job its place in the scheduler.
// Payloads stay where they are until their jobs' turn comes. From then on the
// jobs go the way of all others.
func (t *tenure) recover(ctx context.Context) error {
	began := t.o.Now()
	if err := t.recoverPolicies(ctx); err != nil {
		return err
	}
	if err := t.recoverOrders(ctx); err != nil {
		return err
	}
	if err := t.recoverPrepared(ctx); err != nil {
		return err
	}
	interrupted, err := t.recoverJobs(ctx)
	if err != nil {
		return err
	}
	if err := t.settle(ctx, interrupted); err != nil {
		return err
	}
	total := t.books.total()
	t.o.Logger.Info("recovered", "accepted", total.Accepted, "pending", total.Pending(),
		"interrupted", len(interrupted), "took", t.o.Now().Sub(began).Round(time.Millisecond))
	return nil
}

func (t *tenure) recoverPolicies(ctx context.Context) error {
	policies, err := t.db.Policies(ctx)
	if err != nil {
		return fmt.Errorf("read the queue policies: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range policies {
		t.mu.sched.SetPolicy(t.o.Now(), policies[i].Scope, policies[i].Policy)
		t.mu.said[policies[i].Scope] = policies[i].Time
	}
	return nil
}

// recoverJobs returns the jobs whose attempt was under way when the last tenure
// ended.
func (t *tenure) recoverJobs(ctx context.Context) (interrupted []effect, err error) {
	var lastSeq uint64
	for row, err := range t.db.Scan(ctx) {
		if err != nil {
			return nil, fmt.Errorf("scan the JobDB: %w", err)
		}
		last := &row.Last
		lastSeq = max(lastSeq, last.Seq)
		t.books.enter(row.Queue, row.CreatedAt, row.ExpireAt, last.State)
		switch last.State {
		case centrifuge.StateAwaitingScheduling, centrifuge.StateAwaitingRetry:
			t.resume(row)
		case centrifuge.StateExecuting:
			interrupted = append(interrupted, effect{
				job: &centrifuge.Job{
					ID: row.ID, Source: row.Queue.Source, Destination: row.Queue.Destination,
					CreatedAt: row.CreatedAt, ExpireAt: row.ExpireAt,
				},
				life:    centrifuge.Life{State: last.State, Attempt: last.Attempt},
				partial: true,
			})
		case centrifuge.StateArchiving:
			t.archiver.resume[last.Error] = append(t.archiver.resume[last.Error], row.ID)
		case centrifuge.StateSucceeded, centrifuge.StateDiscarded, centrifuge.StateArchived, centrifuge.StateMoved:
		}
		if t.metrics.recovered.Add(1)%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	t.log.startAfter(max(lastSeq, t.recovered.lastSeq()))
	return interrupted, nil
}

// resume puts a job that waits for an attempt where it waits, or where it was
// ordered to.
func (t *tenure) resume(row *jobdb.Row) {
	failed := row.Last.State == centrifuge.StateAwaitingRetry
	spent := failed && isSpent(row.Last.RetryAt, row.ExpireAt)
	_, flushed := t.recovered.given(jobdb.OrderExpire, row.Queue, &row.Last)
	switch {
	case t.mover != nil:
		t.mover.resume(row.ID, flushed && !spent)
		return
	case spent:
		t.archiver.take(row.ID, centrifuge.ErrorAttempts)
		return
	case flushed:
		t.archiver.take(row.ID, centrifuge.ErrorFlushed)
		return
	}
	due := row.Last.RetryAt
	if _, retried := t.recovered.given(jobdb.OrderRetry, row.Queue, &row.Last); retried {
		due = t.o.Now()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if failed {
		t.mu.sched.Wait(t.o.Now(), row.Queue, row.ID, row.ExpireAt, due)
	} else {
		t.mu.sched.Ready(t.o.Now(), row.Queue, row.ID, row.ExpireAt)
	}
}

// settle logs that the results of attempts which the last tenure did not see the
// end of are unknown. The jobs are due at once.
func (t *tenure) settle(ctx context.Context, interrupted []effect) error {
	now := t.o.Now()
	for _, e := range interrupted {
		e.retryAt = dueAt(now, e.job.ExpireAt)
		err := t.log.append(e.life, centrifuge.Transition{
			JobID: e.job.ID, State: centrifuge.StateAwaitingRetry, Attempt: e.life.Attempt, RetryAt: e.retryAt, Time: now,
			ErrorCode: centrifuge.ErrorInterrupted, Error: "the Director ended during the attempt; its result is unknown",
		}, e)
		if err != nil {
			return fmt.Errorf("settle job %s: %w", e.job.ID, err)
		}
	}
	if len(interrupted) == 0 {
		return nil
	}
	if t.mover != nil {
		for _, e := range interrupted {
			t.mover.left = append(t.mover.left, e.job.ID)
		}
	}
	return t.log.sync(ctx)
}
