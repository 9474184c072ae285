package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlite"
	"centrifuge/lease/leasetest"
	"centrifuge/schedule"
)

// refuser takes nothing for now.
type refuser struct{}

func (refuser) Deliver(context.Context, *centrifuge.Job, uint32) delivery.Result {
	return delivery.Result{Outcome: centrifuge.OutcomeRetry, StatusCode: 503}
}

// start runs a Director on a JobDB of its own until the test ends. All share an archive.
func start(t *testing.T, n uint64, shelf *archive.Archive) *director.Director {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jobs.db")
	serving := make(chan struct{}, 1)
	d, err := director.New(director.Options{
		Acquire: func(context.Context) (director.Holding, error) {
			return director.Holding{
				Name: jobdb.Name(n), Lease: leasetest.New(0),
				Open: func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
					return sqlite.Open(ctx, sqlite.Options{Path: path, Epoch: epoch})
				},
			}, nil
		},
		Serving: func() { serving <- struct{}{} }, Logger: slog.New(slog.DiscardHandler), Deliverer: refuser{}, Archive: shelf, ArchiveEvery: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("a Director ended with %v", err)
		}
	})
	<-serving
	return d
}

// pair is two Directors, as the first of them sees them; others are asked as well.
func pair(t *testing.T, others ...Member) (f *Fleet, one, two *director.Director) {
	t.Helper()
	folder, err := archive.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := folder.Close(); err != nil {
			t.Error(err)
		}
	})
	shelf := archive.New(folder)
	one, two = start(t, 1, shelf), start(t, 2, shelf)
	others = append(others, Member{Name: "two", Director: Own{two}})
	return New(Options{Name: "one", Own: one, Others: func() []Member { return others }, Every: time.Millisecond}), one, two
}

func said(t *testing.T, d *director.Director, scope centrifuge.QueueKey) centrifuge.QueuePolicy {
	t.Helper()
	p, err := d.Policy(scope)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What is said last holds everywhere, whatever the clocks say.
func TestThePolicyThatWasSetLastHolds(t *testing.T) {
	dead := Member{Name: "dead", Err: errors.New("no such host")}
	f, one, two := pair(t, dead)
	scope := key("d", "s")
	ahead := jobdb.Policy{Scope: scope, Policy: centrifuge.QueuePolicy{Rate: 1}, Time: time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)}
	if _, err := two.Learn(t.Context(), ahead); err != nil {
		t.Fatal(err)
	}
	if got, _, err := f.Policy(t.Context(), scope); err != nil || got.Rate != 1 {
		t.Errorf("of what is known the policy is %+v, %v", got, err)
	}
	for _, want := range []centrifuge.QueuePolicy{{Paused: true}, {}, {Weight: 3}} {
		reach, err := f.SetPolicy(t.Context(), scope, want)
		if err != nil || !reflect.DeepEqual(reach, Reach{Directors: 2, Missing: []Missing{{Director: "dead", Why: "no such host"}}}) {
			t.Errorf("it reached %+v, %v", reach, err)
		}
		for _, d := range []*director.Director{one, two} {
			if got := said(t, d, scope); !reflect.DeepEqual(got, want) {
				t.Errorf("a Director has %+v, want %+v", got, want)
			}
		}
	}
	if _, err := f.SetPolicy(t.Context(), centrifuge.QueueKey{}, centrifuge.QueuePolicy{}); !invalid(err) {
		t.Errorf("a policy of nothing: %v", err)
	}
}

// Two policies of one moment are one, wherever they come first.
func TestPoliciesOfOneMoment(t *testing.T) {
	_, one, two := pair(t)
	scope, at := key("d", ""), noon
	fast, slow := jobdb.Policy{Scope: scope, Policy: centrifuge.QueuePolicy{Rate: 9}, Time: at}, jobdb.Policy{Scope: scope, Policy: centrifuge.QueuePolicy{Rate: 1}, Time: at}
	for d, order := range map[*director.Director][]jobdb.Policy{one: {fast, slow}, two: {slow, fast}} {
		for _, p := range order {
			if _, err := d.Learn(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a, b := said(t, one, scope), said(t, two, scope); !reflect.DeepEqual(a, b) {
		t.Errorf("one has %+v, the other %+v", a, b)
	}
}

// A Director learns what was said to others: at the start, and later. What was taken
// back stays so.
func TestPoliciesAreLearned(t *testing.T) {
	f, one, two := pair(t)
	paused, back := key("paused", ""), key("back", "")
	for _, d := range []*director.Director{one, two} {
		if err := d.SetPolicy(t.Context(), back, centrifuge.QueuePolicy{Paused: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := two.SetPolicy(t.Context(), back, centrifuge.QueuePolicy{}); err != nil {
		t.Fatal(err)
	}
	if err := two.SetPolicy(t.Context(), paused, centrifuge.QueuePolicy{Paused: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		f.KeepPolicies(ctx)
	}()
	<-f.Learned()
	if !said(t, one, paused).Paused || said(t, one, back).Paused {
		t.Errorf("learned at the start: %+v, %+v", said(t, one, paused), said(t, one, back))
	}
	if err := two.SetPolicy(t.Context(), paused, centrifuge.QueuePolicy{Rate: 5}); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for said(t, one, paused).Rate != 5 {
		<-tick.C
	}
	cancel()
	<-kept
}

// As long as it is not known who the others are, nothing is learned of all.
func TestNothingIsLearnedOfWhoIsNotKnown(t *testing.T) {
	f, _, _ := pair(t, Member{Name: "?", Err: errors.New("not listed yet")})
	if f.learn(t.Context()) == "" {
		t.Error("nothing stood in the way")
	}
	select {
	case <-f.Learned():
		t.Error("all is learned")
	default:
	}
}

func submit(t *testing.T, d *director.Director, n int) {
	t.Helper()
	s := director.Submission{}
	for range n {
		s.Jobs = append(s.Jobs, &centrifuge.Job{
			Source: "s", Destination: "d", Endpoint: "http://e.example/",
			Settings: centrifuge.Settings{Retry: centrifuge.RetryPolicy{MinBackoff: time.Hour, MaxBackoff: time.Hour}},
		})
	}
	if _, err := d.Submit(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

// Orders are for the jobs of all, a search finds those of all, each once, and a listing
// tells who has what.
func TestOrdersAndSearchesGoToAll(t *testing.T) {
	f, one, two := pair(t, Member{Name: "dead", Err: errors.New("no such host")})
	submit(t, one, 2)
	submit(t, two, 3)
	ctx, sel := t.Context(), schedule.Selector{Source: "s", Destination: "d"}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var now Standing
	for {
		var err error
		if now, err = f.Survey(ctx, Question{Selector: sel, Queues: 10, Ledgers: true}); err != nil {
			t.Fatal(err)
		}
		if len(now.Queues) == 1 && now.Queues[0].Waiting == 5 {
			break
		}
		<-tick.C
	}
	if len(now.Holders) != 2 || now.Holders[0].Name != "one" || now.Holders[0].Waiting != 2 || now.Holders[1].Waiting != 3 ||
		len(now.Ledgers) != 1 || now.Ledgers[0].Ledger.AwaitingRetry != 5 || len(now.Missing) != 1 {
		t.Errorf("the queue stands as %+v", now)
	}
	search := func() (found map[centrifuge.ID]centrifuge.State, missing int) {
		t.Helper()
		found = make(map[centrifuge.ID]centrifuge.State)
		for cursor, pages := "", 0; ; pages++ {
			page, without, err := f.Search(ctx, director.JobFilter{Source: "s"}, cursor, 2, time.Minute)
			if err != nil || pages > 10 || len(page.Jobs) > 2 {
				t.Fatalf("page %d has %d jobs: %v", pages, len(page.Jobs), err)
			}
			missing += len(without)
			for _, j := range page.Jobs {
				if _, twice := found[j.ID]; twice {
					t.Errorf("%s was found twice", j.ID)
				}
				found[j.ID] = j.State
			}
			if cursor = page.Next; cursor == "" {
				return found, missing
			}
		}
	}
	if found, missing := search(); len(found) != 5 || missing != 1 {
		t.Errorf("found %v, and %d did not answer", found, missing)
	}
	if jobs, reach, err := f.Retry(ctx, sel); err != nil || jobs != 5 || reach.Directors != 2 || len(reach.Missing) != 1 {
		t.Fatalf("%d jobs are due, %+v, %v", jobs, reach, err)
	}
	archived := 0
	for archived < 5 { // those under way are left
		jobs, _, err := f.Expire(ctx, sel)
		if err != nil {
			t.Fatal(err)
		}
		archived += jobs
		<-tick.C
	}
	for n := int64(0); n < 5; <-tick.C { // a job on its way there may be found twice
		n = 0
		for _, d := range []*director.Director{one, two} {
			l, err := d.Ledger()
			if err != nil {
				t.Fatal(err)
			}
			n += l.Archived
		}
	}
	found, _ := search()
	for id, state := range found {
		if state != centrifuge.StateArchived {
			t.Errorf("%s is %s, and was archived", id, state)
		}
	}
	if len(found) != 5 {
		t.Errorf("%d of 5 archived jobs were found", len(found))
	}
	for _, cursor := range []string{"nonsense", "director %zz x"} {
		if _, _, err := f.Search(ctx, director.JobFilter{}, cursor, 1, time.Second); !invalid(err) {
			t.Errorf("from %q: %v", cursor, err)
		}
	}
	if _, _, err := f.Retry(ctx, schedule.Selector{}); !invalid(err) {
		t.Errorf("a retry of everything: %v", err)
	}
}

// A Director that is alone is asked without further ado.
func TestAlone(t *testing.T) {
	_, one, _ := pair(t)
	f := New(Options{Name: "one", Own: one})
	submit(t, one, 1)
	reach, err := f.SetPolicy(t.Context(), key("d", "s"), centrifuge.QueuePolicy{Paused: true})
	if err != nil || !reflect.DeepEqual(reach, Reach{Directors: 1}) {
		t.Errorf("it reached %+v, %v", reach, err)
	}
	s, err := f.Survey(t.Context(), Question{Selector: schedule.Selector{Source: "s", Destination: "d"}, Queues: 1, Destinations: 1, Within: time.Hour * 24})
	if err != nil || len(s.Holders) > 0 || len(s.Missing) > 0 || !s.Said.Policy.Paused || s.Expiring != 1 || s.Oldest.IsZero() || len(s.Destinations) != 1 {
		t.Errorf("it stands as %+v, %v", s, err)
	}
	if got := fmt.Sprint(s.JobDBs); got != "[jobdb-000001]" {
		t.Errorf("it has %s", got)
	}
}

// A Director that has a JobDB and is not listed is not reached by an order, though
// nobody could be asked.
func TestOrdersNameWhoIsNotListed(t *testing.T) {
	_, one, two := pair(t)
	f := New(Options{
		Name: "one", Own: one, Others: func() []Member { return []Member{{Name: "two", Director: Own{two}}} },
		Adrift: func(context.Context) ([]Missing, error) {
			return []Missing{
				{Director: "one", JobDB: "jobdb-000001"},
				{Director: "two", JobDB: "jobdb-000002"},
				{Director: "frozen", JobDB: "jobdb-000003", Why: "nobody has it"},
				{Director: "two", JobDB: "jobdb-000005", Why: "let go of just now"},
				{JobDB: "jobdb-000004", Why: "on its way"},
			}, nil
		},
	})
	want := Reach{Directors: 2, Missing: []Missing{{Director: "frozen", JobDB: "jobdb-000003", Why: "nobody has it"}}}
	if reach, err := f.SetPolicy(t.Context(), key("d", "s"), centrifuge.QueuePolicy{Paused: true}); err != nil || !reflect.DeepEqual(reach, want) {
		t.Errorf("a policy reached %+v, %v", reach, err)
	}
	if _, reach, err := f.Retry(t.Context(), schedule.Selector{Source: "s"}); err != nil || !reflect.DeepEqual(reach, want) {
		t.Errorf("an order reached %+v, %v", reach, err)
	}
}
