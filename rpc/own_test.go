package rpc

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	"centrifuge"
	"centrifuge/director"
	"centrifuge/fanout"
	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
	"centrifuge/jobdb"
	"centrifuge/schedule"
	"centrifuge/visibility"
	"centrifuge/visibility/alert"
)

// fakeOwn is a Director that says what it is given, and remembers what it was asked.
type fakeOwn struct {
	survey   fanout.Survey
	policies []jobdb.Policy
	page     director.SearchPage
	alerts   []alert.Alert
	streaks  []visibility.Streak
	err      error
	asked    []any
}

func (f *fakeOwn) Survey(_ context.Context, q fanout.Question) (fanout.Survey, error) {
	f.asked = []any{q}
	return f.survey, f.err
}

func (f *fakeOwn) Policies(_ context.Context, known []byte) ([]jobdb.Policy, error) {
	f.asked = []any{known}
	return f.policies, f.err
}

func (f *fakeOwn) Learn(_ context.Context, policies ...jobdb.Policy) ([]jobdb.Policy, error) {
	f.asked = []any{policies}
	return f.policies, f.err
}

func (f *fakeOwn) Order(_ context.Context, sel schedule.Selector, expire bool) (int, error) {
	f.asked = []any{sel, expire}
	return 9, f.err
}

func (f *fakeOwn) SearchOwn(_ context.Context, filter director.JobFilter, cursor string, limit int, budget time.Duration) (director.SearchPage, error) {
	f.asked = []any{filter, cursor, limit, budget}
	return f.page, f.err
}

func (f *fakeOwn) Watched(_ context.Context, least int64) ([]alert.Alert, []visibility.Streak, error) {
	f.asked = []any{least}
	return f.alerts, f.streaks, f.err
}

// What one Director asks of another, and what that answers, comes through as it is.
func TestDirectorsAskEachOther(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.UTC)
	queue := centrifuge.QueueKey{Source: "s", Destination: "d"}
	policy := centrifuge.QueuePolicy{Paused: true, Rate: 2.5, RetryStatuses: []int{404}, Retry: centrifuge.RetryPolicy{MinBackoff: time.Second}}
	said := jobdb.Policy{Scope: queue, Policy: policy, Time: at}
	gate := schedule.Gate{InFlight: 3, Limit: 4, Breaker: schedule.Open, HeldUntil: at}
	own := &fakeOwn{
		survey: fanout.Survey{
			JobDBs:     []string{"jobdb-000001"},
			Queues:     []schedule.QueueInfo{{Queue: queue, Ready: 1, Waiting: 2, Policy: policy, Gate: gate}},
			MoreQueues: true,
			Destinations: []schedule.DestinationInfo{{
				Destination: "d", Queues: 2, Policy: policy, Gate: schedule.Gate{Limit: 1, Breaker: schedule.Probing},
			}},
			MoreDestinations: true,
			Ledgers: []director.QueueLedger{{Queue: queue, Ledger: director.Ledger{
				Accepted: 36, Succeeded: 1, Discarded: 2, Archived: 3, Moved: 4, AwaitingScheduling: 5, Executing: 6, AwaitingRetry: 7, Archiving: 8,
			}}},
			Said: said, Oldest: at, Expiring: 7,
		},
		policies: []jobdb.Policy{said},
		page: director.SearchPage{Next: "there", Cut: true, Looked: 5, Jobs: []director.Found{{
			ID: centrifuge.ID{1}, Queue: queue, Endpoint: "https://e.example/?token=hush", State: centrifuge.StateAwaitingRetry, Attempts: 3,
			StatusCode: 503, ErrorCode: "X", CreatedAt: at, ExpireAt: at, ChangedAt: at, RetryAt: at,
		}}},
		alerts:  []alert.Alert{{Rule: "r", Severity: alert.Critical, Source: "s", Destination: "d", Text: "t", Since: at, Ended: at}},
		streaks: []visibility.Streak{{Queue: queue, Code: 401, Count: 12, Since: at}},
	}
	address := serve(t, Options{Backends: Backends{Director: &fakeDirector{}, Own: own, Fleet: &fakeFleet{}}})
	peer := NewPeer(centrifugev1connect.NewDirectorServiceClient(http.DefaultClient, "http://"+address))
	ctx := t.Context()

	q := fanout.Question{
		Selector: schedule.Selector(queue), After: queue, Queues: 1, Destinations: 2, Ledgers: true, Within: time.Minute,
	}
	survey, err := peer.Survey(ctx, q)
	equal(t, []any{survey, err}, []any{own.survey, nil})
	equal(t, own.asked, []any{q})
	policies, err := peer.Policies(ctx, []byte("known"))
	equal(t, []any{policies, err}, []any{own.policies, nil})
	equal(t, own.asked, []any{[]byte("known")})
	instead, err := peer.Learn(ctx, said)
	equal(t, []any{instead, err}, []any{own.policies, nil})
	equal(t, own.asked, []any{own.policies})
	jobs, err := peer.Order(ctx, schedule.Selector(queue), true)
	equal(t, []any{jobs, err}, []any{9, nil})
	equal(t, own.asked, []any{schedule.Selector(queue), true})
	for _, filter := range []director.JobFilter{
		{Source: "s", Destination: "d", Among: []string{"s"}, Endpoint: "e*", State: centrifuge.StateArchiving, StatusCode: 500, From: at, To: at},
		{ErrorCode: "ETIMEDOUT", Among: []string{}},
		{},
	} {
		page, err := peer.SearchOwn(ctx, filter, "here", 7, time.Second)
		equal(t, []any{page, err}, []any{own.page, nil})
		equal(t, own.asked, []any{filter, "here", 7, time.Second})
	}
	alerts, streaks, err := peer.Watched(ctx, 10)
	equal(t, []any{alerts, streaks, err}, []any{own.alerts, own.streaks, nil})
	equal(t, own.asked, []any{int64(10)})

	// What nothing was said of, and what is the caller's own fault.
	own.survey = fanout.Survey{}
	if survey, err = peer.Survey(ctx, fanout.Question{}); err != nil || !survey.Said.Time.IsZero() || !survey.Oldest.IsZero() {
		t.Errorf("of nothing: %+v, %v", survey, err)
	}
	own.err = &director.InvalidError{Index: -1, Field: "selector", Reason: "names neither"}
	if _, err := peer.Order(ctx, schedule.Selector{}, false); !errors.As(err, new(*director.InvalidError)) {
		t.Errorf("what is not valid: %v", err)
	}
	own.err = director.ErrUnavailable
	if _, err := peer.Order(ctx, schedule.Selector{}, false); errors.As(err, new(*director.InvalidError)) || connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("what is not there: %v", err)
	}
}

// A Director that is of no fleet answers none of that.
func TestADirectorOfNoFleetIsNotAsked(t *testing.T) {
	address := serve(t, Options{Backends: Backends{Director: &fakeDirector{}, Fleet: &fakeFleet{}}})
	peer := NewPeer(centrifugev1connect.NewDirectorServiceClient(http.DefaultClient, "http://"+address))
	if _, err := peer.Survey(t.Context(), fanout.Question{}); connect.CodeOf(err) != connect.CodeUnimplemented {
		t.Errorf("a survey: %v", err)
	}
}
