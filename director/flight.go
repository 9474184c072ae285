package director

import (
	"fmt"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

// An attempt that takes longer than this has its beginning logged while it is under
// way. The others log it with their outcome, which costs a JobDB one row instead of
// two.
const longAttempt = time.Second

// flight is the attempt that a worker has under way. The worker writes it while it
// holds tenure.mu, and so may read it without.
type flight struct {
	attempt
	number uint32 // of the attempt among its job's
	begun  time.Time

	underWay bool
	logged   bool // its beginning is in the log; tenure.mu guards it
}

// takeOffLocked begins an attempt.
func (t *tenure) takeOffLocked(now time.Time, f *flight, a attempt) {
	*f = flight{attempt: a, number: a.life.Attempt + 1, begun: now, underWay: true}
	t.wakeAtLocked(now.Add(longAttempt))
}

// landLocked ends an attempt and gives its slot back. It reports whether the
// beginning is in the log.
func (t *tenure) landLocked(now time.Time, f *flight, feedback schedule.Feedback) (logged bool) {
	t.mu.sched.Done(now, f.ticket, feedback)
	f.underWay = false
	return f.logged
}

// logLongLocked logs the beginning of the attempts that have become long, and
// returns when it is to be called again, at the latest.
func (t *tenure) logLongLocked(now time.Time) time.Time {
	again := now.Add(time.Hour)
	for _, f := range t.mu.flights {
		if !f.underWay || f.logged {
			continue
		}
		if due := f.begun.Add(longAttempt); due.After(now) {
			if due.Before(again) {
				again = due
			}
			continue
		}
		if err := t.log.append(f.life, centrifuge.Transition{
			JobID: f.job.ID, State: centrifuge.StateExecuting, Attempt: f.number, Time: f.begun,
		}, effect{job: f.job}); err != nil {
			t.fail(fmt.Errorf("log the beginning of an attempt: %w", err))
			return again
		}
		f.logged = true
	}
	return again
}
