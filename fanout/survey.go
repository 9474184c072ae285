package fanout

import (
	"cmp"
	"context"
	"slices"
	"time"

	"centrifuge"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// Question says what a survey is to find out.
type Question struct {
	Selector     schedule.Selector
	After        centrifuge.QueueKey // only queues after it, and destinations after its destination
	Queues       int                 // so many at most; 0 for none
	Destinations int                 // so many at most; 0 for none. Of the selected destination alone, if there is one
	Ledgers      bool                // of the selected queues
	Within       time.Duration       // how many jobs expire within it, and how old the oldest is; 0 not to know
}

// Survey is how queues stand at one Director, or at several together.
type Survey struct {
	JobDBs []string // that are held

	Queues           []schedule.QueueInfo // by destination and source
	MoreQueues       bool
	Destinations     []schedule.DestinationInfo // by name
	MoreDestinations bool
	Ledgers          []director.QueueLedger // by destination and source

	// Said is what was last said of exactly the selected scope.
	Said jobdb.Policy

	Oldest   time.Time // pending job; zero if there is none
	Expiring int64
}

// Holder is what one Director has of a queue.
type Holder struct {
	Name string
	schedule.QueueInfo
}

// Standing is how queues stand in the fleet.
type Standing struct {
	Survey
	Reach

	// Holders are the Directors that have something of the queue, if exactly one queue
	// is selected and there are several Directors.
	Holders []Holder
}

// Survey tells how queues stand, over all Directors that answer:
//
//   - what is counted is added up, and so are the limits of requests under way;
//   - of breakers the worst is told, and the hold that lasts longest;
//   - of the shares and latencies of requests the highest are;
//   - of what was said of a scope, the latest is.
//
// A destination's number of queues is that of the Director that has the most: the same
// queue may be at several.
func (f *Fleet) Survey(ctx context.Context, q Question) (Standing, error) {
	adrift := f.adrift(ctx) // before: a JobDB is held before it is said to be used
	answers, reach, err := ask(ctx, f, f.members(), func(ctx context.Context, m Member) (Survey, error) { return m.Survey(ctx, q) })
	if err != nil {
		return Standing{}, err
	}
	s := Standing{Survey: answers[0].value, Reach: reach}
	if len(answers) > 1 {
		s.Survey = sum(answers, &q)
	}
	if f.o.Others != nil && q.Selector.Source != "" && q.Selector.Destination != "" {
		for _, a := range answers {
			for _, queue := range a.value.Queues {
				s.Holders = append(s.Holders, Holder{a.from, queue})
			}
		}
	}
	s.Missing = append(s.Missing, unheld(adrift, &s)...)
	return s, nil
}

func (f *Fleet) adrift(ctx context.Context) []Missing {
	if f.o.Adrift == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.o.Patience)
	defer cancel()
	adrift, err := f.o.Adrift(ctx)
	if err != nil {
		return []Missing{{Why: "it cannot be told whether there are JobDBs that no Director has: " + f.why(err)}}
	}
	return adrift
}

// unheld are those of the JobDBs that none of the Directors has which answered. What a
// Director has that did not is missing with it.
func unheld(adrift []Missing, s *Standing) (missing []Missing) {
	for _, m := range adrift {
		named := slices.ContainsFunc(s.Missing, func(other Missing) bool { return m.Director != "" && other.Director == m.Director })
		if !named && (m.JobDB == "" || !slices.Contains(s.JobDBs, m.JobDB)) {
			missing = append(missing, m)
		}
	}
	return missing
}

// sum adds up what several Directors said.
func sum(answers []answer[Survey], q *Question) (s Survey) {
	var queues [][]schedule.QueueInfo
	var destinations [][]schedule.DestinationInfo
	var ledgers [][]director.QueueLedger
	for i := range answers {
		a := &answers[i].value
		s.JobDBs = append(s.JobDBs, a.JobDBs...)
		queues, destinations, ledgers = append(queues, a.Queues), append(destinations, a.Destinations), append(ledgers, a.Ledgers)
		s.MoreQueues = s.MoreQueues || a.MoreQueues
		s.MoreDestinations = s.MoreDestinations || a.MoreDestinations
		if a.Said.Time.After(s.Said.Time) {
			s.Said = a.Said
		}
		if s.Oldest.IsZero() || !a.Oldest.IsZero() && a.Oldest.Before(s.Oldest) {
			s.Oldest = a.Oldest
		}
		s.Expiring += a.Expiring
	}
	// The first so many of all are among the first so many of each.
	var more bool
	s.Queues, more = first(merge(queues, func(a, b *schedule.QueueInfo) int { return compareKeys(a.Queue, b.Queue) }, joinQueues), q.Queues)
	s.MoreQueues = s.MoreQueues || more
	s.Destinations, more = first(merge(destinations, func(a, b *schedule.DestinationInfo) int { return cmp.Compare(a.Destination, b.Destination) }, joinDestinations), q.Destinations)
	s.MoreDestinations = s.MoreDestinations || more
	s.Ledgers = merge(ledgers, func(a, b *director.QueueLedger) int { return compareKeys(a.Queue, b.Queue) }, joinLedgers)
	return s
}

func compareKeys(a, b centrifuge.QueueKey) int {
	return cmp.Or(cmp.Compare(a.Destination, b.Destination), cmp.Compare(a.Source, b.Source))
}

func joinQueues(into, other *schedule.QueueInfo) {
	into.Ready += other.Ready
	into.Waiting += other.Waiting
	joinGates(&into.Gate, &other.Gate)
}

func joinDestinations(into, other *schedule.DestinationInfo) {
	into.Queues = max(into.Queues, other.Queues)
	joinGates(&into.Gate, &other.Gate)
}

func joinGates(into, other *schedule.Gate) {
	into.InFlight += other.InFlight
	into.Limit += other.Limit
	if severity(other.Breaker) > severity(into.Breaker) {
		into.Breaker = other.Breaker
	}
	into.Failing = max(into.Failing, other.Failing)
	into.Latency = max(into.Latency, other.Latency)
	if other.HeldUntil.After(into.HeldUntil) {
		into.HeldUntil = other.HeldUntil
	}
}

// severity orders breakers by how much they hold up.
func severity(b schedule.Breaker) int {
	return [...]int{schedule.Closed: 0, schedule.Ramping: 1, schedule.Probing: 2, schedule.Open: 3}[b]
}

func joinLedgers(into, other *director.QueueLedger) { into.Ledger.Add(&other.Ledger) }

// merge merges lists that are each in order, and joins what is in several.
func merge[T any](lists [][]T, order func(a, b *T) int, join func(into, other *T)) []T {
	merged := lists[0]
	for _, list := range lists[1:] {
		a, b := merged, list
		merged = make([]T, 0, max(len(a), len(b)))
		for len(a) > 0 && len(b) > 0 {
			switch c := order(&a[0], &b[0]); {
			case c < 0:
				merged, a = append(merged, a[0]), a[1:]
			case c > 0:
				merged, b = append(merged, b[0]), b[1:]
			default:
				merged = append(merged, a[0])
				join(&merged[len(merged)-1], &b[0])
				a, b = a[1:], b[1:]
			}
		}
		merged = append(append(merged, a...), b...)
	}
	return merged
}

// first cuts a list off after n, and reports whether there was more.
func first[T any](list []T, n int) ([]T, bool) {
	if len(list) > n {
		return list[:n], true
	}
	return list, false
}
