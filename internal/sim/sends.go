package sim

import (
	"bytes"
	"time"

	"centrifuge"
	"centrifuge/delivery"
)

// flights counts the attempts under way in the present tenure.
type flights struct {
	all          int
	queues       map[centrifuge.QueueKey]int
	destinations map[string]int
}

func newFlights() flights {
	return flights{queues: make(map[centrifuge.QueueKey]int), destinations: make(map[string]int)}
}

func (f *flights) add(key centrifuge.QueueKey, n int) {
	f.all += n
	f.queues[key] += n
	f.destinations[key.Destination] += n
}

// sends checks that an attempt may be made now, and takes it down. It returns nil
// if the process that makes it is dead.
func (w *witness) sends(p *process, job *centrifuge.Job, number uint32) *try {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.dead.Load() {
		return nil
	}
	j := w.mu.jobs[job.ID]
	if j == nil {
		w.breaksLocked("job %s is sent and is not durable", job.ID)
		return nil
	}
	w.run.log.add("job %s: attempt %d to %s begins", job.ID, number, job.Destination)
	w.checkTurnLocked(j, number)
	w.checkTimeLocked(j, number)
	if !w.mu.stalled.IsZero() && time.Since(w.mu.stalled) > 10*time.Millisecond {
		w.breaksLocked("job %s: attempt %d while the JobDB refuses commits", job.ID, number)
	}
	if !bytes.Equal(job.Payload, j.job.Payload) || job.Endpoint != j.job.Endpoint || job.Method != j.job.Method {
		w.breaksLocked("job %s is sent other than it was accepted", job.ID)
	}
	t := &try{job: j, tenure: w.mu.tenure, number: number}
	j.tries = append(j.tries, t)
	w.mu.tries = append(w.mu.tries, t)
	w.mu.flights.add(j.job.Queue(), 1)
	w.checkLimitsLocked(j.job.Queue())
	return t
}

// checkTurnLocked checks an attempt against what is durable of the job and
// against its attempts before.
func (w *witness) checkTurnLocked(j *witnessed, number uint32) {
	id := j.job.ID
	switch j.life.State {
	case centrifuge.StateAwaitingScheduling, centrifuge.StateAwaitingRetry:
		if number != j.life.Attempt+1 {
			w.breaksLocked("job %s: attempt %d after %d durable ones", id, number, j.life.Attempt)
		}
	case centrifuge.StateExecuting:
		if number != j.life.Attempt {
			w.breaksLocked("job %s: attempt %d while attempt %d is executing", id, number, j.life.Attempt)
		}
	case centrifuge.StateSucceeded, centrifuge.StateDiscarded, centrifuge.StateArchiving,
		centrifuge.StateArchived, centrifuge.StateMoved:
		w.breaksLocked("job %s: attempt %d of a job that is %s", id, number, j.life.State)
	}
	for _, t := range j.tries {
		switch {
		case t.tenure != w.mu.tenure:
		case !t.over:
			w.breaksLocked("job %s: attempt %d while attempt %d is under way", id, number, t.number)
		case !t.durable:
			w.breaksLocked("job %s: attempt %d before the outcome of attempt %d is durable", id, number, t.number)
		case t.outcome == centrifuge.OutcomeSucceeded:
			w.breaksLocked("job %s: attempt %d after attempt %d was answered 2xx", id, number, t.number)
		}
	}
	if most := j.job.Settings.Retry.MaxAttempts; most > 0 && number > most+j.interrupted {
		w.breaksLocked("job %s: attempt %d of at most %d", id, number, most)
	}
}

// checkTimeLocked checks an attempt against the Director's clock.
func (w *witness) checkTimeLocked(j *witnessed, number uint32) {
	if now := w.run.clock.now(); !now.Before(j.job.ExpireAt) {
		w.breaksLocked("job %s: attempt %d at %s, after it expired at %s", j.job.ID, number, now, j.job.ExpireAt)
	}
	last := j.failure()
	if last == nil || w.mu.words.retried(j) {
		return
	}
	if latest := w.run.clock.highest(j.retried); latest.Before(last.RetryAt) {
		w.breaksLocked("job %s: attempt %d at %s, before it is due at %s", j.job.ID, number, latest, last.RetryAt)
	}
}

// checkLimitsLocked checks what is in flight, the new attempt included.
func (w *witness) checkLimitsLocked(key centrifuge.QueueKey) {
	f, o := &w.mu.flights, w.run.plan.options.Schedule
	over := func(what string, n, most int) {
		if n > most {
			w.breaksLocked("%d attempts in flight %s, at most %d are allowed", n, what, most)
		}
	}
	over("over everything", f.all, o.MaxInFlight)
	if p, sure := w.mu.words.destination(key.Destination); sure {
		over("to "+key.Destination, f.destinations[key.Destination], limit(p.Concurrency, o.MaxPerDestination))
	}
	p, sure := w.mu.words.queue(key)
	if !sure {
		return
	}
	over("of queue "+key.Source+"/"+key.Destination, f.queues[key], limit(p.Concurrency, o.MaxPerQueue))
	if p.Paused {
		w.breaksLocked("queue %s/%s is paused and sends", key.Source, key.Destination)
	}
	leaps, last := w.run.clock.leaps()
	if !w.mu.words.spend(key, &p, round{w.mu.tenure, leaps, last}, 4*w.run.plan.readLatency+10*time.Millisecond) {
		w.breaksLocked("queue %s/%s exceeds its rate of %g", key.Source, key.Destination, p.Rate)
	}
}

// limit is a policy's, or else the Director's, or else the scheduler's default.
func limit(policy, option int) int {
	switch {
	case policy > 0:
		return policy
	case option > 0:
		return option
	default:
		return 256
	}
}

// apart is a moment of the attempt's own, less than a millisecond, which keeps it
// from ending at the same instant as other things that take whole seconds: what
// happens at the same instant happens in no particular order.
func (r *run) apart(what string, job *centrifuge.Job, attempt uint32) time.Duration {
	return between(dice(r.plan.seed, what, number(job.ID.String()), uint64(attempt)), time.Nanosecond, time.Millisecond)
}

// answered takes down the end of an attempt, and reports whether the process
// that made it lives to hear of it.
func (w *witness) answered(p *process, t *try, r *delivery.Result) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.dead.Load() {
		return false
	}
	w.run.log.add("job %s: attempt %d ends: %s %d %s", t.job.job.ID, t.number, r.Outcome, r.StatusCode, r.ErrorCode)
	t.over, t.outcome = true, r.Outcome
	w.mu.flights.add(t.job.job.Queue(), -1)
	if r.Sent && r.StatusCode == 0 {
		t.job.excuses++ // nobody knows what the endpoint made of it
	}
	return true
}

// accepts hears from an endpoint that it answers 2xx.
func (w *witness) accepts(id centrifuge.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j := w.mu.jobs[id]; j != nil {
		j.answered++
	}
}

// received checks the body that came to an endpoint, and returns whose job it is.
func (w *witness) received(id centrifuge.ID, body []byte) (source string, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.mu.jobs[id]
	if j == nil {
		w.breaksLocked("an endpoint got job %s, which is not durable", id)
		return "", false
	}
	if !bytes.Equal(body, j.job.Payload) {
		w.breaksLocked("an endpoint got another payload for job %s", id)
	}
	return j.job.Source, true
}
