package sim

import (
	"errors"
	"fmt"
	"sync"

	"centrifuge/jobdb"
)

// moment is a place in the Director's work at which it can be made to crash.
type moment string

// The moments. A crash right after a commit or a put leaves something durable of
// which the Director never heard.
const (
	beforeCommit moment = "before a commit"
	afterCommit  moment = "after a commit"
	beforeSend   moment = "before an attempt is sent"
	afterAnswer  moment = "between an answer and its commit"
	beforePut    moment = "before a put"
	afterPut     moment = "after a put"
	duringOpen   moment = "while the JobDB is opened"
	duringScan   moment = "while recovery scans"
	duringRead   moment = "while jobs are read"

	// At these it is told to shut down instead.
	endAtRefusal moment = "when a commit is refused"
	endAtRead    moment = "when jobs are read"
)

func moments() []moment {
	return []moment{
		beforeCommit, afterCommit, afterCommit, beforeSend, afterAnswer, afterAnswer,
		beforePut, afterPut, duringOpen, duringScan, duringRead, endAtRefusal, endAtRead,
	}
}

// errCrashed is what a dead process's calls return. To be superseded is what
// makes a Director give up without another try.
var errCrashed = fmt.Errorf("the process is dead: %w", jobdb.ErrSuperseded)

var errCrashedBucket = errors.New("the process is dead")

// trap kills the process at a moment that was chosen before.
type trap struct {
	mu struct {
		sync.Mutex
		set   bool
		at    moment
		after int // so many times it is let pass
	}
}

func (t *trap) arm(at moment, after int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.set, t.mu.at, t.mu.after = true, at, after
}

func (t *trap) disarm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.set = false
}

// springs reports whether the process is to die at this moment.
func (t *trap) springs(at moment) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.mu.set || t.mu.at != at {
		return false
	}
	if t.mu.after--; t.mu.after >= 0 {
		return false
	}
	t.mu.set = false
	return true
}
