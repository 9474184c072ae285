package centrifuge

import (
	"errors"
	"fmt"
	"time"
)

// ErrIllegalTransition is wrapped by the errors of [Life.Append].
var ErrIllegalTransition = errors.New("illegal transition")

// Transition is one step of a job's life, as it is logged: immutable, and
// ordered within its job by Seq.
type Transition struct {
	JobID      ID
	Seq        uint64 // increases within a JobDB; given by its Director, the sole writer
	State      State
	Attempt    uint32        // attempts begun so far, 0 before the first
	RetryAt    time.Time     // awaiting_retry only: no attempt before this
	StatusCode int           // of the response, 0 if there was none
	ErrorCode  ErrorCode     // why the attempt failed without a usable response, or why it ended so
	Error      string        // message, or the first bytes of the response body; for archiving, the archive object's name
	Duration   time.Duration // of the attempt
	Time       time.Time     // millisecond precision, UTC
}

// Life is the end of a job's list of transitions: all that is needed to tell
// which transition may follow. The zero Life is that of a job not yet accepted.
type Life struct {
	State   State
	Attempt uint32
}

// Append checks that t may follow and returns the life that ends with it. The
// state must be a successor of the last one, and the attempt must be one higher
// when an attempt begins and the same otherwise. A job that was moved in from
// another JobDB begins its life here with the attempts it had there.
func (l Life) Append(t *Transition) (Life, error) {
	switch {
	case !l.State.CanBecome(t.State):
		return l, fmt.Errorf("job %s: %s after %s: %w", t.JobID, t.State, l.State, ErrIllegalTransition)
	case l.State == 0: // begins with the attempts it brings
	case t.State == StateExecuting && t.Attempt != l.Attempt+1,
		t.State != StateExecuting && t.Attempt != l.Attempt:
		return l, fmt.Errorf("job %s: %s with attempt %d after attempt %d: %w",
			t.JobID, t.State, t.Attempt, l.Attempt, ErrIllegalTransition)
	}
	return Life{State: t.State, Attempt: t.Attempt}, nil
}

// Beginning is the transition to executing that an attempt's outcome implies: right
// before the outcome in sequence, and by its duration before it in time, rounded up
// to the millisecond. Whoever logs the beginning of an attempt together with its
// outcome logs this one, so that a JobDB can leave its row out and put it back when
// it is read. t must be an outcome: succeeded, discarded or awaiting_retry.
func (t *Transition) Beginning() Transition {
	at := t.Time.UTC().Truncate(time.Millisecond).Add(-t.Duration)
	if whole := at.Truncate(time.Millisecond); whole.Before(at) {
		at = whole.Add(time.Millisecond)
	}
	return Transition{JobID: t.JobID, Seq: t.Seq - 1, State: StateExecuting, Attempt: t.Attempt, Time: at}
}
