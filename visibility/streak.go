package visibility

import (
	"net/http"
	"time"

	"centrifuge"
)

// Streak is a run of attempts of a queue that were refused for want of the right
// credentials (401 or 403), and nothing else between them.
type Streak struct {
	Queue centrifuge.QueueKey
	Code  int // of the last
	Count int64
	Since time.Time
}

// maxStreaks bounds how many queues have a streak that is followed.
const maxStreaks = 10_000

// streaks follows the runs that are not over.
type streaks map[centrifuge.QueueKey]*Streak

// note is told of the outcome of each attempt. It is cheap while all is well.
func (s streaks) note(queue centrifuge.QueueKey, t *centrifuge.Transition) {
	if t.StatusCode != http.StatusUnauthorized && t.StatusCode != http.StatusForbidden {
		if len(s) > 0 && t.StatusCode != 0 { // without an answer nobody judged the credentials
			delete(s, queue)
		}
		return
	}
	at := s[queue]
	if at == nil {
		if len(s) >= maxStreaks {
			return
		}
		at = &Streak{Queue: queue, Since: t.Time}
		s[queue] = at
	}
	at.Code = t.StatusCode
	at.Count++
}

// Streaks returns the runs of refusals that are at least so long. They begin anew
// when the process does.
func (r *Recorder) Streaks(least int64) []Streak {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Streak
	for _, s := range r.mu.streaks {
		if s.Count >= least {
			out = append(out, *s)
		}
	}
	return out
}
