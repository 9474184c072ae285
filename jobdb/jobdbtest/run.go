// Package jobdbtest holds what every implementation of a JobDB must pass, and a
// wrapper that makes any of them fail on demand.
package jobdbtest

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// Open opens a JobDB under an epoch. It makes the JobDB when it is called for the
// first time and opens the same one after that.
type Open func(ctx context.Context, epoch uint64) (jobdb.DB, error)

// Run runs the suite. Each of its tests calls create for a JobDB of its own, to
// be cleaned up by the test's end; whatever Open returned the suite closes.
func Run(t *testing.T, create func(t testing.TB) Open) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *store)
	}{
		{"CommitIsDurable", testCommitIsDurable},
		{"EmptyBatch", testEmptyBatch},
		{"BatchCanBeReused", testBatchCanBeReused},
		{"BatchOfManyRows", testBatchOfManyRows},
		{"KnownIDFailsTheBatch", testKnownIDFailsTheBatch},
		{"RepeatedIDFailsTheBatch", testRepeatedIDFailsTheBatch},
		{"IllegalTransitionIsNotAppended", testIllegalTransitionIsNotAppended},
		{"EndedContext", testEndedContext},
		{"Superseded", testSuperseded},
		{"EpochMustRise", testEpochMustRise},
		{"Closed", testClosed},
		{"ReadersBesideTheWriter", testReadersBesideTheWriter},
		{"Load", testLoad},
		{"LoadManyInAnyOrder", testLoadManyInAnyOrder},
		{"Trace", testTrace},
		{"TraceOfMovedJob", testTraceOfMovedJob},
		{"TracesOfMany", testTracesOfMany},
		{"AttemptsLoggedWhole", testAttemptsLoggedWhole},
		{"Known", testKnown},
		{"Transaction", testTransaction},
		{"PreparedTransaction", testPreparedTransaction},
		{"PreparedTransactionEnds", testPreparedTransactionEnds},
		{"TransactionEndsOnce", testTransactionEndsOnce},
		{"TransactionFaults", testTransactionFaults},
		{"Ended", testEnded},
		{"Size", testSize},
		{"Policies", testPolicies},
		{"Orders", testOrders},
		{"ScanEmpty", testScanEmpty},
		{"ScanAllStates", testScanAllStates},
		{"ScanStopsEarly", testScanStopsEarly},
		{"ScanSeesOneMoment", testScanSeesOneMoment},
		{"JobsSurviveUnchanged", testJobsSurviveUnchanged},
		{"TransitionsSurviveUnchanged", testTransitionsSurviveUnchanged},
		{"LargePayload", testLargePayload},
		{"NamesAreBytes", testNamesAreBytes},
		{"TransactionIDsAreBytes", testTransactionIDsAreBytes},
		{"IDsAreBytes", testIDsAreBytes},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &store{t: t, create: create(t)}
			s.open()
			test.run(t, s)
			if err := s.db.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// store is the JobDB of one test, open.
type store struct {
	t      *testing.T
	create Open
	epoch  uint64
	db     jobdb.DB
	seq    uint64
	made   uint32
}

func (s *store) open() {
	s.t.Helper()
	s.epoch++
	db, err := s.create(s.t.Context(), s.epoch)
	if err != nil {
		s.t.Fatalf("open with epoch %d: %v", s.epoch, err)
	}
	s.db = db
}

// reopen closes the JobDB and opens it again as its next owner would.
func (s *store) reopen() {
	s.t.Helper()
	if err := s.db.Close(); err != nil {
		s.t.Fatalf("close: %v", err)
	}
	s.open()
}

func (s *store) commit(b *jobdb.Batch) {
	s.t.Helper()
	if err := s.db.Commit(s.t.Context(), b); err != nil {
		s.t.Fatalf("commit: %v", err)
	}
}

// commitJobs commits the jobs alone.
func (s *store) commitJobs(jobs ...*centrifuge.Job) {
	s.t.Helper()
	s.commit(&jobdb.Batch{Jobs: jobs})
}

// epoch0 is when the jobs of the suite were made.
var epoch0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant, were there such times

// job makes a job with an id higher than those before.
func (s *store) job() *centrifuge.Job {
	s.made++
	var id centrifuge.ID
	id[0] = 0x10
	binary.BigEndian.PutUint32(id[16:], s.made)
	created := epoch0.Add(time.Duration(s.made) * time.Millisecond)
	return &centrifuge.Job{
		ID: id, Source: "source", Destination: "destination", Endpoint: "http://127.0.0.1/", Method: "POST",
		Payload:   []byte("payload of " + id.String()),
		CreatedAt: created, ExpireAt: created.Add(centrifuge.DefaultTTL),
	}
}

func (s *store) jobs(n int) []*centrifuge.Job {
	jobs := make([]*centrifuge.Job, n)
	for i := range jobs {
		jobs[i] = s.job()
	}
	return jobs
}

// accepted is the life of a job whose row alone was committed.
func accepted() centrifuge.Life { return centrifuge.Life{State: centrifuge.StateAwaitingScheduling} }

// append appends transitions through the states to b, and returns them.
func (s *store) append(b *jobdb.Batch, id centrifuge.ID, life centrifuge.Life, states ...centrifuge.State) []centrifuge.Transition {
	s.t.Helper()
	var appended []centrifuge.Transition
	for _, state := range states {
		s.seq++
		t := centrifuge.Transition{
			JobID: id, Seq: s.seq, State: state, Attempt: life.Attempt, Time: epoch0.Add(time.Duration(s.seq) * time.Second),
		}
		switch state {
		case centrifuge.StateExecuting:
			t.Attempt++
		case centrifuge.StateAwaitingRetry:
			t.RetryAt, t.ErrorCode, t.Error = t.Time.Add(7*time.Second), centrifuge.ErrorTimedOut, "no answer"
			t.Duration = 10 * time.Second
		case centrifuge.StateSucceeded:
			t.StatusCode, t.Duration = 204, 12_345_678*time.Nanosecond
		case centrifuge.StateDiscarded:
			t.StatusCode, t.Error, t.Duration = 404, "not found", time.Millisecond
		case centrifuge.StateArchiving:
			t.ErrorCode, t.Error = centrifuge.ErrorExpired, "2026/03/01/object-"+id.String()
		case centrifuge.StateAwaitingScheduling, centrifuge.StateArchived, centrifuge.StateMoved:
		}
		var err error
		if life, err = b.Append(life, t); err != nil {
			s.t.Fatal(err)
		}
		appended = append(appended, t)
	}
	return appended
}

// scan collects all rows.
func (s *store) scan() []jobdb.Row {
	s.t.Helper()
	var rows []jobdb.Row
	for row, err := range s.db.Scan(s.t.Context()) {
		if err != nil {
			s.t.Fatalf("scan: %v", err)
		}
		rows = append(rows, *row)
	}
	return rows
}

// load loads jobs and returns them by id.
func (s *store) load(ids ...centrifuge.ID) map[centrifuge.ID]jobdb.Loaded {
	s.t.Helper()
	loaded, err := s.db.Load(s.t.Context(), nil, ids)
	if err != nil {
		s.t.Fatalf("load: %v", err)
	}
	byID := make(map[centrifuge.ID]jobdb.Loaded, len(loaded))
	for _, l := range loaded {
		if _, ok := byID[l.Job.ID]; ok {
			s.t.Errorf("job %s was loaded twice", l.Job.ID)
		}
		byID[l.Job.ID] = l
	}
	return byID
}

func idsOf(jobs []*centrifuge.Job) []centrifuge.ID {
	ids := make([]centrifuge.ID, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
	}
	return ids
}
