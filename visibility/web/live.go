package web

import (
	"context"
	"fmt"
	"math"
	"time"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/schedule"
	"centrifuge/visibility"
)

// mostRows bounds how many rows of the record a page looks at.
const mostRows = 200_000

// live is what a queue, or all of a scope's, hold now.
type live struct {
	Queues   int
	Ready    int
	Waiting  int
	InFlight int
	Pending  int64 // of the ledger
	Open     int   // queues whose breaker is not closed
	Paused   int   // queues
	Gate     *schedule.Gate
	Above    *schedule.Gate // of a queue: its destination's
	Policy   centrifuge.QueuePolicy
	Ledger   Ledger
}

// add counts a queue in.
func (l *live) add(q *schedule.QueueInfo) {
	l.Queues++
	l.Ready += q.Ready
	l.Waiting += q.Waiting
	l.InFlight += q.InFlight
	if q.Breaker != schedule.Closed {
		l.Open++
	}
	if q.Policy.Paused {
		l.Paused++
	}
}

// book adds the ledger of a queue.
func (l *live) book(q Ledger) {
	l.Ledger = l.Ledger.Plus(q)
	l.Pending += q.Pending()
}

// AllPaused reports whether nothing of it is sent since somebody said so.
func (l *live) AllPaused() bool { return l.Policy.Paused || l.Queues > 0 && l.Paused == l.Queues }

// Held reports whether an outage holds all of it up.
func (l *live) Held() bool {
	return shut(l.Gate) || shut(l.Above) || l.Queues > 0 && l.Open == l.Queues
}

func shut(g *schedule.Gate) bool { return g != nil && g.Breaker != schedule.Closed }

// Breaker is the state of the outage controller in a word.
func (l *live) Breaker() code {
	switch {
	case l.Gate != nil && l.Gate.Breaker == schedule.Open:
		return code{"open", "bad"}
	case l.Gate != nil && l.Gate.Breaker != schedule.Closed:
		return code{"half open", "warn"}
	case shut(l.Above):
		return code{"open at the destination", "bad"}
	case l.Open == 0:
		return code{"closed", ""}
	case l.Queues == 1:
		return code{"open", "bad"}
	default:
		return code{plural(l.Open, "queue") + " held", "warn"}
	}
}

// code is a word or number with the class that it is shown with.
type code struct{ Text, Class string }

// group gathers what the queues hold that the principal may see, by what name tells.
func (v *Survey) group(p access.Principal, name func(centrifuge.QueueKey) string) map[string]*live {
	all := map[string]*live{}
	at := func(key centrifuge.QueueKey) *live {
		l := all[name(key)]
		if l == nil {
			l = &live{}
			all[name(key)] = l
		}
		return l
	}
	for i := range v.Queues {
		if q := &v.Queues[i]; visible(p, q.Queue) {
			at(q.Queue).add(q)
		}
	}
	for i := range v.Ledgers {
		if l := &v.Ledgers[i]; visible(p, l.Queue) {
			at(l.Queue).book(l.Ledger)
		}
	}
	return all
}

// gates are what may hold destinations up as a whole, by name.
func (v *Survey) gates() map[string]*schedule.DestinationInfo {
	byName := make(map[string]*schedule.DestinationInfo, len(v.Destinations))
	for i := range v.Destinations {
		byName[v.Destinations[i].Destination] = &v.Destinations[i]
	}
	return byName
}

// survey looks at the selected queues.
func (s *Site) survey(ctx context.Context, sel schedule.Selector) (*Survey, error) {
	now, err := s.o.Backends.Queues.Survey(ctx, sel)
	return now, whatFailed("look at the queues", err)
}

// surveyed is survey, or what was found out for another viewer a moment ago.
func (s *Site) surveyed(ctx context.Context, sel schedule.Selector) (*Survey, error) {
	return gathered(ctx, s.shared, fmt.Sprintf("survey %q %q", sel.Source, sel.Destination), func(ctx context.Context) (*Survey, error) {
		return s.survey(ctx, sel)
	})
}

// health is how deliveries go, in a word.
type health struct {
	Word  string
	Class string
	rank  int // the worst is the least
}

// healthOf judges what is held up first, and then what ended.
func healthOf(l *live, c *visibility.Counts) health {
	first, ended := c.FirstAttemptShare()
	failing := float64(c.Retried+c.Discarded) / math.Max(1, float64(c.Attempts()))
	switch {
	case l.AllPaused():
		return health{"Paused", "idle", 3}
	case l.Held():
		return health{"Held back", "bad", 0}
	case c.Attempts() > 0 && failing >= 0.5:
		return health{"Failing", "bad", 1}
	case ended && first < 0.95, c.Attempts() > 0 && failing >= 0.05, l.Open > 0:
		return health{"Degraded", "warn", 2}
	case c.Attempts() == 0 && l.Pending == 0:
		return health{"Idle", "idle", 5}
	default:
		return health{"Healthy", "ok", 4}
	}
}

// drain is when what is pending will have been dealt with.
type drain struct {
	Kind  string // drains, growing, held, paused; empty if nothing is pending or nothing can be said
	Class string
	In    time.Duration
}

// drainWindow is the time by which the pace is judged.
const drainWindow = 10 * time.Minute

// drainOf goes by the pace at which jobs came and ended lately.
func drainOf(l *live, lately *visibility.Counts) drain {
	pace := float64(lately.Ended()-lately.Accepted) / drainWindow.Seconds()
	switch {
	case l.Pending == 0:
		return drain{}
	case l.AllPaused():
		return drain{Kind: "paused", Class: "muted"}
	case l.Held():
		return drain{Kind: "held", Class: "bad"}
	case lately.Ended() == 0 && lately.Accepted == 0:
		return drain{}
	case pace < -0.02 && l.Pending > 20:
		return drain{Kind: "growing", Class: "warn"}
	case pace <= 0:
		// As many end as come: what is here is gone when as many more have ended.
		pace = float64(lately.Ended()) / drainWindow.Seconds()
		if pace == 0 {
			return drain{}
		}
	}
	return drain{Kind: "drains", In: time.Duration(math.Min(float64(l.Pending)/pace, 1e6) * float64(time.Second)).Round(time.Second)}
}
