package jobdbtest

import (
	"reflect"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// testAttemptsLoggedWhole logs attempts with their outcomes. A JobDB may leave out
// the row of a beginning that its outcome implies, and no reader may notice: nor
// that it kept the row of one that looks much like it.
func testAttemptsLoggedWhole(t *testing.T, s *store) {
	outcomes := [...]centrifuge.Transition{
		{State: centrifuge.StateAwaitingRetry, Duration: 3 * time.Second, StatusCode: 503, Error: "busy", RetryAt: epoch0.Add(time.Hour)},
		{State: centrifuge.StateAwaitingRetry, Duration: 999_999 * time.Nanosecond, ErrorCode: centrifuge.ErrorTLS, RetryAt: epoch0.Add(time.Hour)},
		{State: centrifuge.StateSucceeded, Duration: 1, StatusCode: 200},
		{State: centrifuge.StateSucceeded, StatusCode: 204},
		{State: centrifuge.StateDiscarded, Duration: 1_000_001 * time.Nanosecond, StatusCode: 410, Error: "gone"},
		{State: centrifuge.StateDiscarded, Duration: time.Hour, StatusCode: 302},
	}
	changes := [...]func(begun *centrifuge.Transition){
		func(*centrifuge.Transition) {}, // the very one that is implied
		func(begun *centrifuge.Transition) { begun.Time = begun.Time.Add(time.Millisecond) },
		func(begun *centrifuge.Transition) { begun.Seq-- },
		func(begun *centrifuge.Transition) { begun.Error = "a note" },
	}
	s.seq = 100
	for _, outcome := range outcomes {
		for _, change := range changes {
			for _, together := range []bool{true, false} {
				j := s.job()
				s.commitJobs(j)
				want := []centrifuge.Transition{{JobID: j.ID, State: centrifuge.StateAwaitingScheduling, Time: j.CreatedAt}}
				s.seq += 10
				outcome.JobID, outcome.Seq, outcome.Attempt, outcome.Time = j.ID, s.seq, 1, epoch0.Add(12_345*time.Millisecond)
				begun := outcome.Beginning()
				change(&begun)
				var b jobdb.Batch
				life := accepted()
				for _, step := range []centrifuge.Transition{begun, outcome} {
					var err error
					if life, err = b.Append(life, step); err != nil {
						t.Fatal(err)
					}
					want = append(want, step)
					if !together {
						s.commit(&b)
						b.Reset()
					}
				}
				s.commit(&b)
				trace, err := s.db.Trace(t.Context(), j.ID)
				if err != nil || !reflect.DeepEqual(trace.Transitions, want) {
					t.Errorf("together %t: transitions are %+v, %v, want %+v", together, trace.Transitions, err, want)
				}
				if got := s.load(j.ID)[j.ID].Life; got != life {
					t.Errorf("life is %+v, want %+v", got, life)
				}
			}
		}
	}
	for _, row := range s.scan() {
		if row.Last.State == centrifuge.StateExecuting || row.Last.Attempt != 1 {
			t.Errorf("last of job %s is %+v", row.ID, row.Last)
		}
	}
}
