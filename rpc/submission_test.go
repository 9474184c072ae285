package rpc

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
)

// What JSON cannot say but protobuf can.
func TestSubmitsThatOnlyProtobufCanMake(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for name, spec := range map[string]*pb.JobSpec{
		"jobs[0].ttl: is not a duration":        {Ttl: &durationpb.Duration{Seconds: math.MaxInt64}},
		"jobs[0].timeout: is not a duration":    {Timeout: &durationpb.Duration{Seconds: 1, Nanos: -1}},
		"jobs[0].expire_at: is not a time":      {ExpireAt: &timestamppb.Timestamp{Seconds: math.MaxInt64}},
		"jobs[0].encoding: is -1":               {Encoding: -1},
		"jobs[0].id: is \"\\xff\"; want 27":     {Id: "\xff"},
		"jobs[0].id: is \"" + long(64) + "…\";": {Id: long(1 << 20)},
	} {
		_, err := newSubmission(&pb.SubmitRequest{Jobs: []*pb.JobSpec{spec}}, now)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %.200v, want %q", err, name)
		}
	}
	// A missing message is one without fields.
	submission, err := newSubmission(&pb.SubmitRequest{Jobs: []*pb.JobSpec{nil}}, now)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, *submission.Jobs[0], centrifuge.Job{})
}

func long(n int) string { return strings.Repeat("x", n) }

// The wire's states and encodings have the numbers of the vocabulary's.
func TestNumbersOnTheWire(t *testing.T) {
	for _, s := range centrifuge.States {
		if got, want := pb.JobState(s).String(), "JOB_STATE_"+strings.ToUpper(s.String()); got != want {
			t.Errorf("%s is %s on the wire, want %s", s, got, want)
		}
	}
	if n := len(pb.JobState_name) - 1; n != len(centrifuge.States) {
		t.Errorf("the wire has %d states, the vocabulary %d", n, len(centrifuge.States))
	}
	for number := range pb.Encoding_name {
		f := fields{}
		if got := f.encoding("encoding", pb.Encoding(number)); f.err != nil || int32(got) != number {
			t.Errorf("encoding %d became %d: %v", number, got, f.err)
		}
	}
}

func TestIDStrings(t *testing.T) {
	for n := range 4 {
		ids := make([]centrifuge.ID, n)
		for i := range ids {
			ids[i] = centrifuge.ID{0: byte(i), 19: byte(n)}
		}
		for i, text := range idStrings(ids) {
			if text != ids[i].String() {
				t.Errorf("id %d is %s, want %s", i, text, ids[i])
			}
		}
	}
}

// Whatever is sent becomes a submission that says the same, or a fault that
// names a field.
func FuzzSubmit(f *testing.F) {
	for _, seed := range []string{
		`{}`,
		`{"transactionId": "t", "jobs": [{"source": "s", "endpoint": "http://e/", "payload": "aGk=", "ttl": "3600s"}]}`,
		`{"jobs": [{"id": "0ujtsYcgvSTl8PAuAdqWYSMnLOv", "expireAt": "2100-01-02T03:04:05.678Z", "timeout": "1.5s",
			"encoding": "ENCODING_GZIP", "headers": [{"name": "A", "value": "b"}, {}],
			"retry": {"minBackoff": "1s", "maxBackoff": "2s", "maxAttempts": 3}}]}`,
		`{"jobs": [{"ttl": "-1s"}, {"ttl": "315576000000s"}, {"expireAt": "0001-01-01T00:00:00Z"}, {"encoding": 7}]}`,
	} {
		f.Add([]byte(seed))
	}
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	f.Fuzz(func(t *testing.T, content []byte) {
		var request pb.SubmitRequest
		if err := (strictJSON{}).Unmarshal(content, &request); err != nil {
			return
		}
		submission, err := newSubmission(&request, now)
		if err != nil {
			fault := new(director.InvalidError)
			if !errors.As(err, &fault) || fault.Field == "" || fault.Reason == "" || fault.Index < 0 || fault.Index >= len(request.GetJobs()) {
				t.Fatalf("not a fault that names a field of a job: %v", err)
			}
			return
		}
		if submission.TransactionID != request.GetTransactionId() || len(submission.Jobs) != len(request.GetJobs()) {
			t.Fatalf("submission %q of %d jobs", submission.TransactionID, len(submission.Jobs))
		}
		for i, job := range submission.Jobs {
			spec := request.GetJobs()[i]
			if job.Source != spec.GetSource() || job.Endpoint != spec.GetEndpoint() || string(job.Payload) != string(spec.GetPayload()) ||
				len(job.Headers) != len(spec.GetHeaders()) || job.ID.IsZero() != (spec.GetId() == "") {
				t.Fatalf("job %d is %+v", i, job)
			}
			s := job.Settings
			if s.Timeout < 0 || s.Encoding > centrifuge.EncodingZstd || s.Retry.MinBackoff < 0 || s.Retry.MaxBackoff < 0 {
				t.Fatalf("job %d has the settings %+v", i, s)
			}
			if given := spec.GetTtl() != nil || spec.GetExpireAt() != nil; given == job.ExpireAt.IsZero() {
				t.Fatalf("job %d expires at %s, given: %t", i, job.ExpireAt, given)
			}
			if !job.ExpireAt.Equal(job.ExpireAt.Truncate(time.Millisecond)) {
				t.Fatalf("job %d expires between milliseconds", i)
			}
		}
	})
}

// BenchmarkSubmission is the cost of the conversion alone, of a batch of 500 jobs
// of 1 KB.
func BenchmarkSubmission(b *testing.B) {
	request := &pb.SubmitRequest{}
	for range 500 {
		request.Jobs = append(request.Jobs, &pb.JobSpec{
			Source: "s", Endpoint: "http://e.example/", Payload: make([]byte, 1024),
			Headers: []*pb.Header{{Name: "Content-Type", Value: "application/json"}},
			Ttl:     durationpb.New(time.Hour),
		})
	}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := newSubmission(request, now); err != nil {
			b.Fatal(err)
		}
	}
}
