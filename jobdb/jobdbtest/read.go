package jobdbtest

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

func testLoad(t *testing.T, s *store) {
	jobs := s.jobs(3)
	b := &jobdb.Batch{Jobs: jobs}
	s.append(b, jobs[1].ID, accepted(), centrifuge.StateExecuting, centrifuge.StateAwaitingRetry, centrifuge.StateExecuting)
	s.commit(b)
	first := jobdb.Loaded{Job: centrifuge.Job{Source: "kept"}}
	loaded, err := s.db.Load(t.Context(), []jobdb.Loaded{first}, []centrifuge.ID{jobs[1].ID, {0xff}, jobs[2].ID})
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded) != 3 || !reflect.DeepEqual(loaded[0], first) {
		t.Fatalf("loaded %+v, want two appended to one", loaded)
	}
	slices.SortFunc(loaded[1:], func(a, b jobdb.Loaded) int { return a.Job.ID.Compare(b.Job.ID) })
	want := []jobdb.Loaded{
		first,
		{Job: *jobs[1], Life: centrifuge.Life{State: centrifuge.StateExecuting, Attempt: 2}},
		{Job: *jobs[2], Life: accepted()},
	}
	if !reflect.DeepEqual(loaded, want) {
		t.Errorf("loaded %+v, want %+v", loaded, want)
	}
	if loaded, err := s.db.Load(t.Context(), nil, nil); err != nil || len(loaded) != 0 {
		t.Errorf("load of nothing: %v, %v", loaded, err)
	}
}

func testLoadManyInAnyOrder(t *testing.T, s *store) {
	jobs := s.jobs(300)
	b := &jobdb.Batch{Jobs: jobs}
	for i, j := range jobs {
		if i%2 == 0 {
			s.append(b, j.ID, accepted(), centrifuge.StateExecuting)
		}
	}
	s.commit(b)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's order
	for _, n := range []int{1, 2, 63, 64, 65, 129, 300} {
		ids := idsOf(jobs)
		random.Shuffle(len(ids), func(i, k int) { ids[i], ids[k] = ids[k], ids[i] })
		ids = append(ids[:n], ids[0]) // one is asked for twice, and loaded once
		loaded := s.load(ids...)
		if len(loaded) != n {
			t.Fatalf("loaded %d jobs, want %d", len(loaded), n)
		}
		for i, j := range jobs {
			l, ok := loaded[j.ID]
			if !ok {
				continue
			}
			want := accepted()
			if i%2 == 0 {
				want = centrifuge.Life{State: centrifuge.StateExecuting, Attempt: 1}
			}
			if l.Life != want || !reflect.DeepEqual(l.Job, *j) {
				t.Fatalf("loaded %+v, want %+v with %+v", l, *j, want)
			}
		}
	}
}

func testTrace(t *testing.T, s *store) {
	j := s.job()
	s.commitJobs(j)
	first := centrifuge.Transition{JobID: j.ID, State: centrifuge.StateAwaitingScheduling, Time: j.CreatedAt}
	trace, err := s.db.Trace(t.Context(), j.ID)
	if want := (jobdb.Trace{Job: *j, Transitions: []centrifuge.Transition{first}}); err != nil || !reflect.DeepEqual(trace, want) {
		t.Errorf("trace is %+v, %v, want %+v", trace, err, want)
	}

	var b jobdb.Batch
	want := []centrifuge.Transition{first}
	life := accepted()
	for range 20 { // each attempt in a commit of its own
		b.Reset()
		want = append(want, s.append(&b, j.ID, life, centrifuge.StateExecuting, centrifuge.StateAwaitingRetry)...)
		life = centrifuge.Life{State: centrifuge.StateAwaitingRetry, Attempt: life.Attempt + 1}
		s.commit(&b)
	}
	b.Reset()
	want = append(want, s.append(&b, j.ID, life, centrifuge.StateArchiving, centrifuge.StateArchived)...)
	s.commit(&b)
	trace, err = s.db.Trace(t.Context(), j.ID)
	if err != nil || !reflect.DeepEqual(trace.Transitions, want) {
		t.Errorf("transitions are %+v, %v, want %+v", trace.Transitions, err, want)
	}
	for i, life := 0, (centrifuge.Life{}); i < len(trace.Transitions); i++ {
		if life, err = life.Append(&trace.Transitions[i]); err != nil {
			t.Errorf("transition %d: %v", i, err)
		}
	}
	if _, err := s.db.Trace(t.Context(), centrifuge.ID{0xff}); !errors.Is(err, jobdb.ErrNotFound) {
		t.Errorf("trace of an unknown job: %v, want ErrNotFound", err)
	}
}

// A job that was moved here brings its attempts, in an explicit first transition.
func testTraceOfMovedJob(t *testing.T, s *store) {
	j := s.job()
	b := &jobdb.Batch{Jobs: []*centrifuge.Job{j}}
	moved := centrifuge.Transition{JobID: j.ID, Seq: 1, State: centrifuge.StateAwaitingScheduling, Attempt: 4, Time: epoch0}
	if _, err := b.Append(centrifuge.Life{}, moved); err != nil {
		t.Fatal(err)
	}
	s.commit(b)
	trace, err := s.db.Trace(t.Context(), j.ID)
	if err != nil || !reflect.DeepEqual(trace.Transitions, []centrifuge.Transition{moved}) {
		t.Errorf("transitions are %+v, %v, want %+v", trace.Transitions, err, moved)
	}
	if got, want := s.load(j.ID)[j.ID].Life, (centrifuge.Life{State: centrifuge.StateAwaitingScheduling, Attempt: 4}); got != want {
		t.Errorf("life is %+v, want %+v", got, want)
	}
	if rows := s.scan(); len(rows) != 1 || rows[0].Last != moved {
		t.Errorf("rows are %+v", rows)
	}
}

// The histories of many jobs are those of each: of jobs that were never tried, were
// tried once with the attempt logged whole, or several times.
func testTracesOfMany(t *testing.T, s *store) {
	jobs := s.jobs(150)
	s.commitJobs(jobs...)
	b := &jobdb.Batch{}
	for i, j := range jobs {
		switch i % 3 {
		case 1:
			s.seq += 2
			outcome := centrifuge.Transition{
				JobID: j.ID, Seq: s.seq, State: centrifuge.StateAwaitingRetry, Attempt: 1, Time: epoch0, RetryAt: epoch0, Duration: 1,
			}
			life, err := b.Append(accepted(), outcome.Beginning())
			if err == nil {
				_, err = b.Append(life, outcome)
			}
			if err != nil {
				t.Fatal(err)
			}
		case 2:
			s.append(b, j.ID, accepted(), centrifuge.StateExecuting, centrifuge.StateAwaitingRetry, centrifuge.StateExecuting)
		}
	}
	s.commit(b)
	for _, n := range []int{1, 2, 64, 65, 150} {
		ids := append(idsOf(jobs[:n]), centrifuge.ID{0xff}, jobs[0].ID) // one is unknown, and one is asked for twice
		slices.Reverse(ids)
		traces, err := s.db.Traces(t.Context(), ids)
		if err != nil || len(traces) != n {
			t.Fatalf("%d traces, %v, want %d", len(traces), err, n)
		}
		slices.SortFunc(traces, func(a, b jobdb.Trace) int { return a.Job.ID.Compare(b.Job.ID) })
		for i := range traces {
			want, err := s.db.Trace(t.Context(), jobs[i].ID)
			if err != nil || !reflect.DeepEqual(traces[i], want) {
				t.Errorf("of %d traces, %d is %+v, want %+v, %v", n, i, traces[i], want, err)
			}
		}
		if got, want := len(traces[n-1].Transitions), [...]int{1, 3, 4}[(n-1)%3]; got != want {
			t.Errorf("job %d has %d transitions, want %d", n-1, got, want)
		}
	}
	if traces, err := s.db.Traces(t.Context(), nil); err != nil || len(traces) != 0 {
		t.Errorf("traces of nothing: %v, %v", traces, err)
	}
}

func testKnown(t *testing.T, s *store) {
	jobs := s.jobs(150)
	s.commitJobs(jobs...)
	var ask, want []centrifuge.ID
	for i, j := range jobs {
		if i%3 == 0 {
			want = append(want, j.ID)
			ask = append(ask, j.ID)
		}
		unknown := j.ID
		unknown[1] = 0xee
		ask = append(ask, unknown)
	}
	for _, n := range []int{len(ask), 2, 1, 0} {
		got, err := s.db.Known(t.Context(), ask[:n])
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, centrifuge.ID.Compare)
		if want := want[:min(len(want), (n+3)/4)]; n == len(ask) && !slices.Equal(got, want) || len(got) > n {
			t.Errorf("of %d ids %v are known, want %v", n, got, want)
		}
	}
	if got, err := s.db.Known(t.Context(), []centrifuge.ID{jobs[5].ID}); err != nil || !slices.Equal(got, []centrifuge.ID{jobs[5].ID}) {
		t.Errorf("known: %v, %v", got, err)
	}
}

func testPolicies(t *testing.T, s *store) {
	full := centrifuge.QueuePolicy{
		Paused: true, Rate: 12.5, Burst: 3, Weight: 2, Concurrency: 9, BatchSize: 4, RetryStatuses: []int{404, 409},
		Retry: centrifuge.RetryPolicy{MinBackoff: 1, MaxBackoff: 2, MaxAttempts: 3},
	}
	policy := func(source, destination string, p centrifuge.QueuePolicy) jobdb.Policy {
		return jobdb.Policy{Scope: centrifuge.QueueKey{Source: source, Destination: destination}, Policy: p, Time: epoch0}
	}
	s.commit(&jobdb.Batch{Policies: []jobdb.Policy{
		policy("a", "", full), policy("", "a", full), policy("a", "a", centrifuge.QueuePolicy{Rate: 1}),
		policy("a", "a", centrifuge.QueuePolicy{Rate: 2}),
	}})
	s.commit(&jobdb.Batch{Policies: []jobdb.Policy{policy("a", "", centrifuge.QueuePolicy{})}})
	s.reopen()
	got, err := s.db.Policies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b jobdb.Policy) int {
		return slices.Compare([]string{a.Scope.Source, a.Scope.Destination}, []string{b.Scope.Source, b.Scope.Destination})
	})
	want := []jobdb.Policy{
		policy("", "a", full), policy("a", "", centrifuge.QueuePolicy{}), policy("a", "a", centrifuge.QueuePolicy{Rate: 2}),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("policies are %+v, want %+v", got, want)
	}
}

func testOrders(t *testing.T, s *store) {
	at := func(n int) time.Time { return epoch0.Add(time.Duration(n) * time.Millisecond) }
	order := func(source, destination string, kind jobdb.OrderKind, n int) jobdb.Order {
		return jobdb.Order{Scope: centrifuge.QueueKey{Source: source, Destination: destination}, Kind: kind, Seq: uint64(100 + n), Time: at(n)}
	}
	s.commit(&jobdb.Batch{Orders: []jobdb.Order{
		order("a", "", jobdb.OrderRetry, 1), order("a", "", jobdb.OrderExpire, 2), order("", "a", jobdb.OrderExpire, 3),
		order("a", "a", jobdb.OrderExpire, 9), order("A", "a", jobdb.OrderExpire, 4), order("a", "a ", jobdb.OrderExpire, 5),
	}})
	s.commit(&jobdb.Batch{Orders: []jobdb.Order{order("a", "a", jobdb.OrderExpire, 6), order("a", "", jobdb.OrderExpire, 7)}})
	s.reopen()
	for _, test := range []struct {
		since int
		want  []jobdb.Order
	}{
		{1, []jobdb.Order{
			order("", "a", jobdb.OrderExpire, 3), order("A", "a", jobdb.OrderExpire, 4), order("a", "", jobdb.OrderRetry, 1),
			order("a", "", jobdb.OrderExpire, 7), order("a", "a", jobdb.OrderExpire, 9), order("a", "a ", jobdb.OrderExpire, 5),
		}},
		{7, []jobdb.Order{order("a", "", jobdb.OrderExpire, 7), order("a", "a", jobdb.OrderExpire, 9)}},
		{10, nil},
	} {
		got, err := s.db.Orders(t.Context(), at(test.since))
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b jobdb.Order) int {
			return cmp.Or(cmp.Compare(a.Scope.Source, b.Scope.Source), cmp.Compare(a.Scope.Destination, b.Scope.Destination), cmp.Compare(a.Kind, b.Kind))
		})
		if !slices.Equal(got, test.want) {
			t.Errorf("since %d: orders are %+v, want %+v", test.since, got, test.want)
		}
	}
}
