package rpc

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/jobdb"
)

// newGetResponse tells all that is known of a job.
func newGetResponse(trace *jobdb.Trace) *pb.GetResponse {
	job := newJob(&trace.Job)
	transitions := make([]*pb.Transition, len(trace.Transitions))
	for i := range trace.Transitions {
		transitions[i] = newTransition(&trace.Transitions[i])
	}
	if n := len(transitions); n > 0 {
		job.State, job.Attempts = transitions[n-1].State, transitions[n-1].Attempt
	}
	return &pb.GetResponse{Job: job, Transitions: transitions}
}

func newJob(j *centrifuge.Job) *pb.Job {
	lines := make([]*pb.Header, len(j.Headers))
	for i, h := range j.Headers {
		lines[i] = &pb.Header{Name: text(h.Name), Value: text(h.Value)}
	}
	return &pb.Job{
		Id:          j.ID.String(),
		Source:      text(j.Source),
		Destination: text(j.Destination),
		Endpoint:    text(j.Endpoint),
		Method:      text(j.Method),
		Headers:     lines,
		Payload:     j.Payload,
		CreatedAt:   timestamp(j.CreatedAt),
		ExpireAt:    timestamp(j.ExpireAt),
		Timeout:     duration(j.Settings.Timeout),
		Encoding:    pb.Encoding(j.Settings.Encoding),
		Retry:       newRetryPolicy(j.Settings.Retry),
		ReplayOf:    idText(j.ReplayOf),
	}
}

func newTransition(t *centrifuge.Transition) *pb.Transition {
	return &pb.Transition{
		State:      pb.JobState(t.State),
		Time:       timestamp(t.Time),
		Attempt:    t.Attempt,
		RetryAt:    timestamp(t.RetryAt),
		StatusCode: int32(t.StatusCode),
		ErrorCode:  string(t.ErrorCode),
		Error:      text(t.Error),
		Duration:   duration(t.Duration),
	}
}

// newRetryPolicy is nil for the zero policy, which is none.
func newRetryPolicy(p centrifuge.RetryPolicy) *pb.RetryPolicy {
	if p == (centrifuge.RetryPolicy{}) {
		return nil
	}
	return &pb.RetryPolicy{
		MinBackoff:  duration(p.MinBackoff),
		MaxBackoff:  duration(p.MaxBackoff),
		MaxAttempts: p.MaxAttempts,
	}
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func duration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func idText(id centrifuge.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// text is s as the wire can carry it. The start of a response's body is often
// not UTF-8, or was cut in the middle of a character.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
