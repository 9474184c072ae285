package sim

import (
	"slices"
	"time"

	"centrifuge"
)

// stepLocked checks a transition that became durable and takes it down.
func (w *witness) stepLocked(t *centrifuge.Transition) {
	j := w.mu.jobs[t.JobID]
	if j == nil {
		w.breaksLocked("job %s has a transition to %s and is not there", t.JobID, t.State)
		return
	}
	if t.Seq <= w.mu.lastSeq {
		w.breaksLocked("job %s: sequence number %d after %d", t.JobID, t.Seq, w.mu.lastSeq)
	}
	w.mu.lastSeq = max(w.mu.lastSeq, t.Seq)
	if t.State == centrifuge.StateAwaitingScheduling && len(j.log) == 0 && !j.dated {
		j.dated = true // the row of a job that came after an order
		return
	}
	life, err := j.life.Append(t)
	if err != nil {
		w.breaksLocked("what is durable of a job forbids what became durable now: %v", err)
		return
	}
	switch t.State {
	case centrifuge.StateSucceeded, centrifuge.StateDiscarded:
		w.outcomeLocked(j, t)
	case centrifuge.StateAwaitingRetry:
		w.outcomeLocked(j, t)
		j.retried = time.Now()
		if t.ErrorCode == centrifuge.ErrorInterrupted {
			j.interrupted++
		}
	case centrifuge.StateArchiving:
		w.archivingLocked(j, t)
	case centrifuge.StateArchived:
		w.archivedLocked(j, t)
	case centrifuge.StateExecuting, centrifuge.StateAwaitingScheduling, centrifuge.StateMoved:
	}
	j.life = life
	j.log = append(j.log, *t)
	w.run.log.add("job %s: %s, attempt %d %s", t.JobID, t.State, t.Attempt, t.ErrorCode)
}

// outcomeLocked compares what the log says of an attempt to what came of it.
func (w *witness) outcomeLocked(j *witnessed, t *centrifuge.Transition) {
	var last *try
	if n := len(j.tries); n > 0 && j.tries[n-1].tenure == w.mu.tenure {
		last = j.tries[n-1]
	}
	if last == nil || last.number != t.Attempt || last.durable {
		// What recovery logs of an attempt of an earlier tenure.
		if t.State != centrifuge.StateAwaitingRetry || t.ErrorCode != centrifuge.ErrorInterrupted {
			w.breaksLocked("job %s: the log calls attempt %d %s, and there was none", t.JobID, t.Attempt, t.State)
		}
		return
	}
	last.durable = true
	if !last.over {
		w.breaksLocked("job %s: the outcome of attempt %d is durable before it", t.JobID, t.Attempt)
	}
	var fits bool
	switch last.outcome {
	case centrifuge.OutcomeSucceeded:
		fits = t.State == centrifuge.StateSucceeded
	case centrifuge.OutcomeDiscarded: // a policy may widen the retried statuses
		fits = t.State == centrifuge.StateDiscarded || t.State == centrifuge.StateAwaitingRetry && t.StatusCode != 0
	case centrifuge.OutcomeRetry:
		fits = t.State == centrifuge.StateAwaitingRetry
	}
	if !fits {
		w.breaksLocked("job %s: attempt %d ended as %s and the log says %s", t.JobID, t.Attempt, last.outcome, t.State)
	}
}

// archivingLocked checks that the job's time has come.
func (w *witness) archivingLocked(j *witnessed, t *centrifuge.Transition) {
	switch t.ErrorCode {
	case centrifuge.ErrorExpired:
		if latest := w.run.clock.highest(j.accepted); latest.Before(j.job.ExpireAt) {
			w.breaksLocked("job %s is archived as expired at %s, before %s", t.JobID, latest, j.job.ExpireAt)
		}
	case centrifuge.ErrorFlushed:
		if !w.mu.words.flushed(j.job.Queue()) {
			w.breaksLocked("job %s is archived as flushed, and nobody said so", t.JobID)
		}
	case centrifuge.ErrorAttempts:
		if most := j.job.Settings.Retry.MaxAttempts; most == 0 || t.Attempt < most {
			w.breaksLocked("job %s is archived for its %d attempts, of %d", t.JobID, t.Attempt, most)
		}
	default:
		w.breaksLocked("job %s is archived as %q", t.JobID, t.ErrorCode)
	}
	if t.Error == "" {
		w.breaksLocked("job %s goes to an archive object without a name", t.JobID)
	}
}

// archivedLocked checks that the archive has the object.
func (w *witness) archivedLocked(j *witnessed, t *centrifuge.Transition) {
	if object := j.log[len(j.log)-1].Error; t.Error != object {
		w.breaksLocked("job %s is archived in %q and was to be in %q", t.JobID, t.Error, object)
	}
	if !w.run.inArchive(t.Error, t.JobID) {
		w.breaksLocked("job %s is called archived, and object %s does not hold it", t.JobID, t.Error)
	}
}

// reason is why the job went to the archive, empty if it did not.
func (j *witnessed) reason() centrifuge.ErrorCode {
	if j.life.State != centrifuge.StateArchived {
		return centrifuge.ErrorNone
	}
	return j.log[len(j.log)-1].ErrorCode
}

// failure is the last awaiting_retry of the job, nil if it has none.
func (j *witnessed) failure() *centrifuge.Transition {
	for i := range slices.Backward(j.log) {
		if j.log[i].State == centrifuge.StateAwaitingRetry {
			return &j.log[i]
		}
	}
	return nil
}
