package fanout

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// peer is a Director of another process that says what a test has it say.
type peer struct {
	Director
	survey Survey
	err    error
	asked  Question
	hangs  bool
}

func (p *peer) Survey(ctx context.Context, q Question) (Survey, error) {
	p.asked = q
	if p.hangs {
		<-ctx.Done()
		return Survey{}, ctx.Err()
	}
	return p.survey, p.err
}

func key(destination, source string) centrifuge.QueueKey {
	return centrifuge.QueueKey{Source: source, Destination: destination}
}

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func TestSum(t *testing.T) {
	queue := func(k centrifuge.QueueKey, ready, waiting int, g schedule.Gate) schedule.QueueInfo {
		return schedule.QueueInfo{Queue: k, Ready: ready, Waiting: waiting, Gate: g}
	}
	one := Survey{
		JobDBs: []string{"jobdb-000001"},
		Queues: []schedule.QueueInfo{
			queue(key("a", "s"), 1, 2, schedule.Gate{InFlight: 3, Limit: 4}),
			queue(key("b", "s"), 5, 6, schedule.Gate{Breaker: schedule.Probing, HeldUntil: noon, Failing: 0.5}),
		},
		Destinations: []schedule.DestinationInfo{{Destination: "b", Queues: 3, Gate: schedule.Gate{InFlight: 1, Limit: 8, Breaker: schedule.Open, HeldUntil: noon}}},
		Ledgers:      []director.QueueLedger{{Queue: key("a", "s"), Ledger: director.Ledger{Accepted: 5, Succeeded: 2, AwaitingRetry: 3}}},
		Said:         jobdb.Policy{Policy: centrifuge.QueuePolicy{Paused: true}, Time: noon},
		Oldest:       noon, Expiring: 7,
	}
	two := Survey{
		JobDBs: []string{"jobdb-000002"},
		Queues: []schedule.QueueInfo{
			queue(key("a", "t"), 10, 0, schedule.Gate{}),
			queue(key("b", "s"), 20, 30, schedule.Gate{InFlight: 1, Limit: 1, Breaker: schedule.Open, HeldUntil: noon.Add(time.Minute), Latency: time.Second}),
		},
		Destinations: []schedule.DestinationInfo{{Destination: "a", Queues: 1}, {Destination: "b", Queues: 2, Gate: schedule.Gate{InFlight: 2, Limit: 8, Breaker: schedule.Ramping}}},
		Ledgers:      []director.QueueLedger{{Queue: key("a", "s"), Ledger: director.Ledger{Accepted: 1, Discarded: 1}}, {Queue: key("a", "t"), Ledger: director.Ledger{Accepted: 10, AwaitingScheduling: 10}}},
		Said:         jobdb.Policy{Time: noon.Add(-time.Second)},
		Oldest:       noon.Add(-time.Hour), Expiring: 1, MoreQueues: true,
	}
	nothing := Survey{JobDBs: []string{"jobdb-000003"}}
	got := sum([]answer[Survey]{{"one", one}, {"two", two}, {"three", nothing}}, &Question{Queues: 10, Destinations: 10})
	want := Survey{
		JobDBs: []string{"jobdb-000001", "jobdb-000002", "jobdb-000003"},
		Queues: []schedule.QueueInfo{
			one.Queues[0],
			two.Queues[0],
			queue(key("b", "s"), 25, 36, schedule.Gate{
				InFlight: 1, Limit: 1, Breaker: schedule.Open, HeldUntil: noon.Add(time.Minute), Failing: 0.5, Latency: time.Second,
			}),
		},
		MoreQueues: true,
		Destinations: []schedule.DestinationInfo{
			two.Destinations[0],
			{Destination: "b", Queues: 3, Gate: schedule.Gate{InFlight: 3, Limit: 16, Breaker: schedule.Open, HeldUntil: noon}},
		},
		Ledgers: []director.QueueLedger{
			{Queue: key("a", "s"), Ledger: director.Ledger{Accepted: 6, Succeeded: 2, Discarded: 1, AwaitingRetry: 3}},
			two.Ledgers[1],
		},
		Said: one.Said, Oldest: two.Oldest, Expiring: 8,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the sum is\n%+v, want\n%+v", got, want)
	}
	if one.Ledgers[0].Ledger.Accepted != 5 || one.Queues[1].Ready != 5 {
		t.Error("what a Director said was changed")
	}

	// A page has the first of all, and says that there are more.
	page := sum([]answer[Survey]{{"one", one}, {"three", nothing}}, &Question{Queues: 1, Destinations: 10})
	if len(page.Queues) != 1 || page.Queues[0].Queue != key("a", "s") || !page.MoreQueues || page.MoreDestinations {
		t.Errorf("a page of one queue is %+v", page)
	}
}

// of is a fleet of those Directors, of which none is in this process: it is asked as
// the first of them.
func of(members ...Member) (*Fleet, []Member) {
	return New(Options{Others: func() []Member { return members }, Patience: 50 * time.Millisecond}), members
}

func TestWhoDoesNotAnswerIsNamed(t *testing.T) {
	f, members := of(
		Member{Name: "a", Director: &peer{survey: Survey{Expiring: 1}}},
		Member{Name: "b", Director: &peer{hangs: true}},
		Member{Name: "c", Director: &peer{err: errors.New("connection refused")}},
		Member{Name: "d", Err: errors.New("no such host")},
		Member{Name: "e", Director: &peer{survey: Survey{Expiring: 2}}},
	)
	survey := func(ctx context.Context, m Member) (Survey, error) { return m.Survey(ctx, Question{}) }
	answers, reach, err := ask(t.Context(), f, members, survey)
	if err != nil || len(answers) != 2 || answers[0].from != "a" || answers[1].value.Expiring != 2 {
		t.Errorf("the answers are %+v, %v", answers, err)
	}
	want := Reach{Directors: 2, Missing: []Missing{
		{Director: "b", Why: "no answer within 50ms"}, {Director: "c", Why: "connection refused"}, {Director: "d", Why: "no such host"},
	}}
	if !reflect.DeepEqual(reach, want) {
		t.Errorf("the reach is %+v, want %+v", reach, want)
	}
	if _, reach, err = ask(t.Context(), f, members[2:4], survey); err == nil || err.Error() != "connection refused" || reach.Directors != 0 {
		t.Errorf("of nobody who answers: %+v, %v", reach, err)
	}
}

// What no Director has that answered is missing; what one has that did not is named
// with it, once.
func TestJobDBsThatNobodyHas(t *testing.T) {
	s := &Standing{Survey: Survey{JobDBs: []string{"jobdb-000001"}}, Reach: Reach{Missing: []Missing{{Director: "b", Why: "gone"}}}}
	free := Missing{JobDB: "jobdb-000004", Why: "on its way"}
	orphan := Missing{JobDB: "jobdb-000003", Director: "c", Why: "its owner is dead"}
	unknown := Missing{Why: "the catalog does not answer"}
	got := unheld([]Missing{{JobDB: "jobdb-000001", Director: "a"}, {JobDB: "jobdb-000002", Director: "b"}, orphan, free, unknown}, s)
	if want := []Missing{orphan, free, unknown}; !reflect.DeepEqual(got, want) {
		t.Errorf("missing are %+v, want %+v", got, want)
	}
}
