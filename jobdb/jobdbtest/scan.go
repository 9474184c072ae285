package jobdbtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"centrifuge"
	"centrifuge/jobdb"
)

func testScanEmpty(t *testing.T, s *store) {
	if rows := s.scan(); len(rows) != 0 {
		t.Errorf("%d rows", len(rows))
	}
}

// Thousands of jobs that lie in every state, committed in no order.
func testScanAllStates(t *testing.T, s *store) {
	const n = 2500
	lives := [][]centrifuge.State{
		{},
		{centrifuge.StateExecuting},
		{centrifuge.StateExecuting, centrifuge.StateSucceeded},
		{centrifuge.StateExecuting, centrifuge.StateDiscarded},
		{centrifuge.StateExecuting, centrifuge.StateAwaitingRetry},
		{centrifuge.StateExecuting, centrifuge.StateAwaitingRetry, centrifuge.StateExecuting, centrifuge.StateAwaitingRetry},
		{centrifuge.StateArchiving},
		{centrifuge.StateExecuting, centrifuge.StateAwaitingRetry, centrifuge.StateArchiving, centrifuge.StateArchived},
		{centrifuge.StateMoved},
	}
	jobs := s.jobs(n)
	for i, j := range jobs {
		j.Source = []string{"a", "b", "c"}[i%3]
		j.Destination = []string{"x", "y"}[i%2]
	}
	last := make(map[centrifuge.ID]centrifuge.Transition, n)
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test's order
	for _, i := range random.Perm(n) {
		j := jobs[i]
		last[j.ID] = centrifuge.Transition{JobID: j.ID, State: centrifuge.StateAwaitingScheduling, Time: j.CreatedAt}
	}
	var b jobdb.Batch
	for _, i := range random.Perm(n) {
		b.Jobs = append(b.Jobs, jobs[i])
		if len(b.Jobs) == 500 {
			s.commit(&b)
			b.Reset()
		}
	}
	for k, i := range random.Perm(n) {
		if appended := s.append(&b, jobs[i].ID, accepted(), lives[i%len(lives)]...); len(appended) > 0 {
			t := appended[len(appended)-1]
			if t.State != centrifuge.StateArchiving {
				t.Error = ""
			}
			last[jobs[i].ID] = t
		}
		if k%500 == 499 {
			s.commit(&b)
			b.Reset()
		}
	}

	rows := s.scan()
	if len(rows) != n {
		t.Fatalf("%d rows, want %d", len(rows), n)
	}
	for i, row := range rows {
		j := jobs[i]
		if row.Last.State != centrifuge.StateArchiving {
			row.Last.Error = "" // free to be there or not
		}
		want := jobdb.Row{ID: j.ID, Queue: j.Queue(), CreatedAt: j.CreatedAt, ExpireAt: j.ExpireAt, Last: last[j.ID]}
		if row != want {
			t.Fatalf("row %d is %+v, want %+v", i, row, want)
		}
	}
}

func testScanStopsEarly(t *testing.T, s *store) {
	s.commitJobs(s.jobs(100)...)
	n := 0
	for _, err := range s.db.Scan(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 10 {
			break
		}
	}
	s.commitJobs(s.job())

	ctx, cancel := context.WithCancel(t.Context())
	var ended error
	for _, err := range s.db.Scan(ctx) {
		cancel()
		ended = err
	}
	cancel()
	if ended != nil && !errors.Is(ended, context.Canceled) { // the rows may all have been read by then
		t.Errorf("scan ended with %v", ended)
	}
	if n := len(s.scan()); n != 101 {
		t.Errorf("%d rows, want 101", n)
	}
}

// What is committed during a scan is not in it, and reading on the way is allowed.
func testScanSeesOneMoment(t *testing.T, s *store) {
	jobs := s.jobs(3000)
	s.commitJobs(jobs...)
	n := 0
	for row, err := range s.db.Scan(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			b := &jobdb.Batch{Jobs: []*centrifuge.Job{s.job()}}
			s.append(b, jobs[2999].ID, accepted(), centrifuge.StateExecuting)
			s.commit(b)
		}
		if row.Last.State != centrifuge.StateAwaitingScheduling {
			t.Errorf("row %d is %s", n, row.Last.State)
		}
		if n%1000 == 0 && s.load(row.ID)[row.ID].Job.Payload == nil {
			t.Errorf("job %s was not loaded", row.ID)
		}
		n++
	}
	if n != 3000 {
		t.Errorf("%d rows, want 3000", n)
	}
}
