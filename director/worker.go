package director

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/schedule"
)

// wakeLocked lets one more worker look for work, if there is one or room for
// one. A worker that finds some wakes the next, so a burst wakes as many as it
// can use and a single job wakes one.
func (t *tenure) wakeLocked() {
	switch {
	case t.mu.ending:
	case t.mu.parked > 0:
		t.wake.Signal()
	case t.mu.workers < t.o.Schedule.MaxInFlight:
		t.mu.workers++
		f := &flight{}
		t.mu.flights = append(t.mu.flights, f)
		t.crew.Go(func() { t.work(f) })
	}
}

// work is the life of a worker: it takes a job, attempts it, appends the outcome
// and takes the next.
func (t *tenure) work(f *flight) {
	// A context of its own: that of all attempts has a lock that all would contend for.
	ctx, cancel := context.WithCancel(t.attempts)
	defer cancel()
	for t.take(f) {
		t.attempt(ctx, f)
	}
}

// take waits for a job whose turn it is and which is in memory. It returns false
// when the workers are to end.
func (t *tenure) take(f *flight) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for !t.mu.ending {
		now := t.o.Now()
		if a, ok := t.nextLocked(now); ok {
			t.takeOffLocked(now, f, a)
			if t.mu.sched.More() || len(t.mu.loaded) > 0 {
				t.wakeLocked()
				t.tellArchiverLocked()
			} else {
				t.mindClockLocked(now)
			}
			return true
		}
		t.mindClockLocked(now)
		t.mu.parked++
		t.wake.Wait()
		t.mu.parked--
	}
	t.mu.workers--
	return false
}

// nextLocked finds a job that is ready to be attempted. Jobs that must be read
// back first are handed to the loader on the way.
func (t *tenure) nextLocked(now time.Time) (attempt, bool) {
	for len(t.mu.loaded) > 0 {
		a := t.mu.loaded[0]
		t.mu.loaded[0] = attempt{}
		t.mu.loaded = t.mu.loaded[1:]
		if t.mu.held == nil && now.Before(a.job.ExpireAt) {
			return a, true
		}
		t.putBackLocked(now, a)
	}
	var ids [1]centrifuge.ID
	for t.mu.held == nil && t.log.unflushed.Load() < int64(t.o.MaxUnflushed) {
		ticket, picked, ok := t.mu.sched.Pick(now, ids[:0])
		if !ok {
			break
		}
		if job, ok := t.mu.cache.take(picked[0]); ok {
			return attempt{ticket, job}, true
		}
		t.mu.missing = append(t.mu.missing, missing{ticket, picked[0]})
		poke(t.missed)
	}
	return attempt{}, false
}

// putBackLocked gives the slot of a job back that cannot be attempted now. If it were
// kept for as long as commits are refused, attempts that were allowed before would come
// on top of those that are allowed after.
func (t *tenure) putBackLocked(now time.Time, a attempt) {
	t.mu.sched.Done(now, a.ticket, schedule.Feedback{Result: schedule.Neutral})
	t.mu.sched.Ready(now, a.ticket.Queue, a.job.ID, a.job.ExpireAt)
}

// attempt makes one attempt and appends its two transitions, the beginning by
// itself only if the attempt takes long. That it is durable is not waited for: if
// the process dies before, the attempt is repeated under the same number.
func (t *tenure) attempt(ctx context.Context, f *flight) {
	err := t.owns()
	if err == nil {
		err = t.log.taking()
	}
	if err != nil {
		t.fail(fmt.Errorf("begin an attempt: %w", err))
		t.mu.Lock()
		defer t.mu.Unlock()
		t.landLocked(t.o.Now(), f, schedule.Feedback{Result: schedule.Neutral})
		return
	}
	result := t.deliver(ctx, f.job, f.number)
	t.metrics.attempted(&result)

	t.mu.Lock()
	now := t.o.Now()
	step, spent := t.outcomeLocked(now, f, &result)
	logged := t.landLocked(now, f, feedback(&result))
	t.mu.Unlock()
	e := effect{job: f.job, retryAt: step.RetryAt, spent: spent}
	if logged {
		err = t.log.append(centrifuge.Life{State: centrifuge.StateExecuting, Attempt: f.number}, step, e)
	} else {
		err = t.log.appendAttempt(f.life, step, e)
	}
	if err != nil {
		t.fail(fmt.Errorf("log an outcome: %w", err))
	}
}

// outcomeLocked is the transition that a result leads to. spent says that the job's
// attempts are used up.
func (t *tenure) outcomeLocked(now time.Time, f *flight, r *delivery.Result) (step centrifuge.Transition, spent bool) {
	step = centrifuge.Transition{
		JobID: f.job.ID, Attempt: f.number, Time: now,
		StatusCode: r.StatusCode, ErrorCode: r.ErrorCode, Error: r.Error, Duration: r.Duration,
	}
	switch t.judgeLocked(f.job, r) {
	case centrifuge.OutcomeSucceeded:
		step.State = centrifuge.StateSucceeded
	case centrifuge.OutcomeDiscarded:
		step.State = centrifuge.StateDiscarded
	case centrifuge.OutcomeRetry:
		step.State = centrifuge.StateAwaitingRetry
		step.RetryAt, spent = t.retryAtLocked(now, f.job, f.number, r)
	}
	return step, spent
}

// judgeLocked is the result's outcome, widened by the queue's policy.
func (t *tenure) judgeLocked(job *centrifuge.Job, r *delivery.Result) centrifuge.Outcome {
	if r.Outcome != centrifuge.OutcomeDiscarded || r.StatusCode == 0 {
		return r.Outcome
	}
	if policy := t.mu.sched.Policy(job.Queue()); policy.RetriesStatus(r.StatusCode) {
		return centrifuge.OutcomeRetry
	}
	return r.Outcome
}

// retryAtLocked is when a failed job is due again. One whose attempts are spent is due
// at its expiry, and no other is: that is how it is known, whoever finds it.
func (t *tenure) retryAtLocked(now time.Time, job *centrifuge.Job, attempt uint32, r *delivery.Result) (at time.Time, spent bool) {
	if r.ErrorCode == centrifuge.ErrorInterrupted {
		return dueAt(now, job.ExpireAt), false
	}
	policy := job.Settings.Retry.WithDefaults(t.mu.sched.Policy(job.Queue()).Retry)
	if policy.MaxAttempts > 0 && attempt >= policy.MaxAttempts {
		return job.ExpireAt, true
	}
	wait := max(policy.Backoff(attempt, t.o.Schedule.Random), r.RetryAfter)
	return dueAt(now.Add(wait+time.Millisecond), job.ExpireAt), false
}

// dueAt is a retry_at, to the millisecond, of a job that has attempts left.
func dueAt(at, expireAt time.Time) time.Time {
	if at = at.Truncate(time.Millisecond); isSpent(at, expireAt) {
		at = at.Add(time.Millisecond)
	}
	return at
}

// isSpent reports whether a job that awaits its retry has no attempt left.
func isSpent(retryAt, expireAt time.Time) bool { return retryAt.Equal(expireAt) }

// feedback is what an attempt tells the outage controllers. An endpoint that
// refuses a job is alive; one that fails or asks for less is not well.
func feedback(r *delivery.Result) schedule.Feedback {
	f := schedule.Feedback{RetryAfter: r.RetryAfter, Latency: r.Duration, Result: schedule.Healthy}
	switch {
	case r.ErrorCode == centrifuge.ErrorInterrupted, r.ErrorCode == centrifuge.ErrorInternal, !r.Sent && r.Outcome == centrifuge.OutcomeDiscarded:
		f.Result = schedule.Neutral
	case r.Outcome == centrifuge.OutcomeRetry:
		f.Result = schedule.Failed
	}
	return f
}

// deliver makes the attempt. A panic on the way is the end of the attempt, not of
// the process.
func (t *tenure) deliver(ctx context.Context, job *centrifuge.Job, attempt uint32) (r delivery.Result) {
	defer func() {
		if p := recover(); p != nil {
			t.o.Logger.Error("an attempt panicked", "job", job.ID.String(), "panic", p, "stack", string(debug.Stack()))
			r = delivery.Result{
				Outcome: centrifuge.OutcomeRetry, ErrorCode: centrifuge.ErrorInternal,
				Error: fmt.Sprintf("panic: %v", p),
			}
		}
	}()
	return t.o.Deliverer.Deliver(ctx, job, attempt)
}
