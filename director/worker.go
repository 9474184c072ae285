package director

import (
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
		t.crew.Go(t.work)
	}
}

// work is the life of a worker: it takes a job, attempts it, appends the outcome
// and takes the next.
func (t *tenure) work() {
	for {
		a, ok := t.take()
		if !ok {
			return
		}
		feedback := t.attempt(&a)
		t.mu.Lock()
		t.mu.sched.Done(t.o.Now(), a.ticket, feedback)
		t.mu.Unlock()
	}
}

// take waits for a job whose turn it is and which is in memory. It returns false
// when the workers are to end.
func (t *tenure) take() (attempt, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for !t.mu.ending {
		now := t.o.Now()
		if a, ok := t.nextLocked(now); ok {
			t.wakeLocked()
			return a, true
		}
		t.mindClockLocked(now)
		t.mu.parked++
		t.wake.Wait()
		t.mu.parked--
	}
	t.mu.workers--
	return attempt{}, false
}

// nextLocked finds a job that is ready to be attempted. Jobs that must be read
// back first are handed to the loader on the way.
func (t *tenure) nextLocked(now time.Time) (attempt, bool) {
	for t.mu.held == nil && len(t.mu.loaded) > 0 {
		a := t.mu.loaded[0]
		t.mu.loaded[0] = attempt{}
		t.mu.loaded = t.mu.loaded[1:]
		if !now.Before(a.job.ExpireAt) { // while it was read back
			t.mu.sched.Done(now, a.ticket, schedule.Feedback{Result: schedule.Neutral})
			t.mu.sched.Ready(now, a.ticket.Queue, a.job.ID, a.job.ExpireAt)
			continue
		}
		return a, true
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

// attempt makes one attempt and appends its two transitions. That the first of
// them is durable is not waited for: if the process dies before, the attempt is
// repeated under the same number.
func (t *tenure) attempt(a *attempt) schedule.Feedback {
	if err := t.owns(); err != nil {
		t.fail(err)
		return schedule.Feedback{Result: schedule.Neutral}
	}
	life, err := t.log.append(a.life, centrifuge.Transition{
		JobID: a.job.ID, State: centrifuge.StateExecuting, Attempt: a.life.Attempt + 1, Time: t.o.Now(),
	}, effect{job: a.job})
	if err != nil {
		t.fail(fmt.Errorf("begin an attempt: %w", err))
		return schedule.Feedback{Result: schedule.Neutral}
	}
	result := t.deliver(a.job, life.Attempt)
	t.metrics.attempted(&result)

	now := t.o.Now()
	step := centrifuge.Transition{
		JobID: a.job.ID, Attempt: life.Attempt, Time: now,
		StatusCode: result.StatusCode, ErrorCode: result.ErrorCode, Error: result.Error, Duration: result.Duration,
	}
	var spent bool
	switch t.judge(a.job, &result) {
	case centrifuge.OutcomeSucceeded:
		step.State = centrifuge.StateSucceeded
	case centrifuge.OutcomeDiscarded:
		step.State = centrifuge.StateDiscarded
	case centrifuge.OutcomeRetry:
		step.State = centrifuge.StateAwaitingRetry
		step.RetryAt, spent = t.retryAt(now, a.job, life.Attempt, &result)
	}
	if _, err := t.log.append(life, step, effect{job: a.job, retryAt: step.RetryAt, spent: spent}); err != nil {
		t.fail(fmt.Errorf("log an outcome: %w", err))
	}
	return feedback(&result)
}

// judge is the result's outcome, widened by the queue's policy.
func (t *tenure) judge(job *centrifuge.Job, r *delivery.Result) centrifuge.Outcome {
	if r.Outcome != centrifuge.OutcomeDiscarded || r.StatusCode == 0 {
		return r.Outcome
	}
	t.mu.Lock()
	policy := t.mu.sched.Policy(job.Queue())
	t.mu.Unlock()
	if policy.RetriesStatus(r.StatusCode) {
		return centrifuge.OutcomeRetry
	}
	return r.Outcome
}

// retryAt is when a failed job is due again. A job whose attempts are spent is
// not due before its expiry; it is archived at once, or, if a crash comes between,
// when it expires.
func (t *tenure) retryAt(now time.Time, job *centrifuge.Job, attempt uint32, r *delivery.Result) (at time.Time, spent bool) {
	if r.ErrorCode == centrifuge.ErrorInterrupted {
		return now, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	policy := job.Settings.Retry.WithDefaults(t.mu.sched.Policy(job.Queue()).Retry)
	if policy.MaxAttempts > 0 && attempt >= policy.MaxAttempts {
		return job.ExpireAt, true
	}
	wait := max(policy.Backoff(attempt, t.o.Schedule.Random), r.RetryAfter)
	return now.Add(wait).Truncate(time.Millisecond).Add(time.Millisecond), false
}

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
func (t *tenure) deliver(job *centrifuge.Job, attempt uint32) (r delivery.Result) {
	defer func() {
		if p := recover(); p != nil {
			t.o.Logger.Error("an attempt panicked", "job", job.ID.String(), "panic", p, "stack", string(debug.Stack()))
			r = delivery.Result{
				Outcome: centrifuge.OutcomeRetry, ErrorCode: centrifuge.ErrorInternal,
				Error: fmt.Sprintf("panic: %v", p),
			}
		}
	}()
	return t.o.Deliverer.Deliver(t.attempts, job, attempt)
}
