package jobdbtest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// awkward are strings that databases have been known to change, refuse or take
// for one another.
func awkward() []string {
	return []string{
		"a", "A", "á", "a\u0301", "ﬁ", "fi", "ß", "ss", "a ", "a  ", " a", "a\x00", "a\x00b", "\x00", "a\t", "a\n",
		"'", `"`, `\`, "%", "_", "?", "😀", "日本語", "\xff\xfe", "\xed\xa0\x80", "null", "NULL", "0", "00", "1e0", "-0",
	}
}

func testJobsSurviveUnchanged(t *testing.T, s *store) {
	var jobs []*centrifuge.Job
	add := func(change func(j *centrifuge.Job)) {
		j := s.job()
		change(j)
		jobs = append(jobs, j)
	}
	add(func(*centrifuge.Job) {})
	add(func(j *centrifuge.Job) { j.Payload = nil })
	add(func(j *centrifuge.Job) { j.Payload = []byte{0} })
	add(func(j *centrifuge.Job) { j.Source, j.Destination, j.Endpoint, j.Method = "", "", "", "" })
	add(func(j *centrifuge.Job) { j.ReplayOf = centrifuge.ID{1, 2, 3, 255} })
	add(func(j *centrifuge.Job) {
		j.Settings = centrifuge.Settings{
			Timeout: 1500 * time.Millisecond, Encoding: centrifuge.EncodingZstd,
			Retry: centrifuge.RetryPolicy{MinBackoff: time.Second, MaxBackoff: time.Hour, MaxAttempts: 1<<32 - 1},
		}
	})
	add(func(j *centrifuge.Job) { j.Settings.Retry.MaxAttempts = 1 })
	add(func(j *centrifuge.Job) { j.Headers = []centrifuge.Header{{}} })
	add(func(j *centrifuge.Job) {
		j.Headers = []centrifuge.Header{{Name: "X", Value: "1"}, {Name: "X", Value: "2"}, {Name: "x", Value: ""}}
	})
	add(func(j *centrifuge.Job) {
		for _, v := range awkward() {
			j.Headers = append(j.Headers, centrifuge.Header{Name: v, Value: v + v})
		}
	})
	for _, at := range []time.Time{
		{},
		time.UnixMilli(0).UTC(), time.UnixMilli(-1).UTC(), time.UnixMilli(1<<31*1000 + 1).UTC(),
		time.Date(1901, 1, 1, 0, 0, 0, 1e6, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
	} {
		add(func(j *centrifuge.Job) { j.CreatedAt, j.ExpireAt = at, at })
	}
	s.commitJobs(jobs...)
	s.reopen()
	loaded := s.load(idsOf(jobs)...)
	for i, j := range jobs {
		if got := loaded[j.ID].Job; !reflect.DeepEqual(got, *j) {
			t.Errorf("job %d is %+v, want %+v", i, got, *j)
		}
	}
}

func testTransitionsSurviveUnchanged(t *testing.T, s *store) {
	j := s.job()
	b := &jobdb.Batch{Jobs: []*centrifuge.Job{j}}
	life := accepted()
	var want []centrifuge.Transition
	for i, message := range append(awkward(), string(bytes.Repeat([]byte("é"), 8<<10))) {
		for _, tr := range []centrifuge.Transition{
			{State: centrifuge.StateExecuting, Attempt: life.Attempt + 1},
			{
				State: centrifuge.StateAwaitingRetry, Attempt: life.Attempt + 1,
				RetryAt: epoch0.Add(time.Duration(i) * time.Hour), StatusCode: 503, ErrorCode: centrifuge.ErrorTimedOut, Error: message,
				Duration: time.Duration(1) << (i % 50),
			},
		} {
			tr.JobID, tr.Seq, tr.Time = j.ID, uint64(len(want))+1<<40, time.UnixMilli(int64(i)-5).UTC()
			var err error
			if life, err = b.Append(life, tr); err != nil {
				t.Fatal(err)
			}
			want = append(want, tr)
		}
	}
	s.commit(b)
	trace, err := s.db.Trace(t.Context(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range trace.Transitions[1:] {
		if got != want[i] {
			t.Errorf("transition %d is %+v, want %+v", i, got, want[i])
		}
	}
}

func testLargePayload(t *testing.T, s *store) {
	const size = 1 << 20
	random := rand.NewChaCha8([32]byte{})
	var jobs []*centrifuge.Job
	for range 4 {
		j := s.job()
		j.Payload = make([]byte, size)
		_, _ = random.Read(j.Payload)
		jobs = append(jobs, j)
	}
	s.commitJobs(jobs...)
	s.reopen()
	loaded := s.load(idsOf(jobs)...)
	for _, j := range jobs {
		if !bytes.Equal(loaded[j.ID].Job.Payload, j.Payload) {
			t.Errorf("payload of %s differs", j.ID)
		}
	}
}

// Sources and destinations are told apart byte by byte.
func testNamesAreBytes(t *testing.T, s *store) {
	var jobs []*centrifuge.Job
	var policies []jobdb.Policy
	for _, name := range awkward() {
		j := s.job()
		j.Source, j.Destination, j.Endpoint, j.Method = name, name+name, "http://"+name, name
		jobs = append(jobs, j)
		policies = append(policies, jobdb.Policy{Scope: centrifuge.QueueKey{Source: name}, Time: epoch0})
	}
	s.commit(&jobdb.Batch{Jobs: jobs, Policies: policies})
	loaded := s.load(idsOf(jobs)...)
	for i, row := range s.scan() {
		if row.Queue != jobs[i].Queue() {
			t.Errorf("queue is %q, want %q", row.Queue, jobs[i].Queue())
		}
		if got := loaded[row.ID].Job; !reflect.DeepEqual(got, *jobs[i]) {
			t.Errorf("job is %+v, want %+v", got, *jobs[i])
		}
	}
	got, err := s.db.Policies(t.Context())
	if err != nil || len(got) != len(policies) {
		t.Fatalf("%d policies, %v, want %d", len(got), err, len(policies))
	}
	scopes := map[centrifuge.QueueKey]bool{}
	for _, p := range got {
		scopes[p.Scope] = true
	}
	for _, p := range policies {
		if !scopes[p.Scope] {
			t.Errorf("policy of %q is missing", p.Scope.Source)
		}
	}
}

func testTransactionIDsAreBytes(t *testing.T, s *store) {
	var b jobdb.Batch
	for _, id := range awkward() {
		j := s.job()
		b.Jobs = append(b.Jobs, j)
		b.Transactions = append(b.Transactions, jobdb.Transaction{ID: id, JobIDs: []centrifuge.ID{j.ID}, CreatedAt: epoch0})
	}
	s.commit(&b)
	for _, want := range b.Transactions {
		if got, err := s.db.Transaction(t.Context(), want.ID); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("transaction %q is %+v, %v", want.ID, got, err)
		}
	}
	for _, id := range []string{"", "á ", "b", "SS"} {
		if _, err := s.db.Transaction(t.Context(), id); !errors.Is(err, jobdb.ErrNotFound) {
			t.Errorf("transaction %q: %v, want ErrNotFound", id, err)
		}
	}
}

// IDs that differ in one byte, at either end and high or low, in the order of
// their bytes.
func testIDsAreBytes(t *testing.T, s *store) {
	var jobs []*centrifuge.Job
	for _, c := range []byte{0, 1, ' ', 'A', 'a', 0x7f, 0x80, 0xc3, 0xff} {
		for _, at := range []int{0, 10, 19} {
			j := s.job()
			j.ID = centrifuge.ID{0: 'x', 19: 'x'}
			j.ID[at] = c
			j.Payload = j.ID[:]
			if c != 0 || at != 10 { // that is the same id in each place
				jobs = append(jobs, j)
			}
		}
	}
	s.commitJobs(jobs...)
	loaded := s.load(idsOf(jobs)...)
	for _, j := range jobs {
		if got := loaded[j.ID].Job; !reflect.DeepEqual(got, *j) {
			t.Errorf("job is %+v, want %+v", got, *j)
		}
	}
	var last centrifuge.ID
	rows := s.scan()
	for _, row := range rows {
		if row.ID.Compare(last) <= 0 {
			t.Errorf("%x after %x", row.ID, last)
		}
		last = row.ID
	}
	if len(rows) != len(jobs) {
		t.Errorf("%d rows, want %d", len(rows), len(jobs))
	}
}
