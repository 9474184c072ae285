package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "centrifuge/gen/centrifuge/v1"
)

// Every way in which an endpoint misbehaves, and what docs/states.md says becomes
// of the job, as `job ID --json` tells it.
func TestMisbehaviour(t *testing.T) {
	t.Parallel()
	table := []struct {
		reply string // of the sink
		want  string // state, attempt, and status or error code
	}{
		{"200", "succeeded 1"},
		{"204", "succeeded 1 204"},
		{"endless", "succeeded 1"}, // who says 200 has taken it, whatever follows
		{"drip", "succeeded 1"},
		{"101", "discarded 1 101"},
		{"301", "discarded 1 301"},
		{"400", "discarded 1 400"},
		{"418", "discarded 1 418"},
		{"501", "discarded 1 501"},
		{"505", "discarded 1 505"},
		{"999", "discarded 1 999"},
		{"malformed", "discarded 1 1"}, // HTTP/1.1 1
		{"endless-header", "discarded 1 EBADRESPONSE"},
		{"408", "awaiting_retry 1 408"},
		{"425", "awaiting_retry 1 425"},
		{"429", "awaiting_retry 1 429"},
		{"500", "awaiting_retry 1 500"},
		{"503", "awaiting_retry 1 503"},
		{"close", "awaiting_retry 1 ECONNRESET"},
		{"reset", "awaiting_retry 1 ECONNRESET"},
		{"hang", "awaiting_retry 1 ETIMEDOUT"},
		{"refused", "awaiting_retry 1 ECONNREFUSED"},
		{"forbidden", "discarded 1 EFORBIDDEN"},
	}
	var routes []string
	for _, tc := range table {
		if tc.reply != "refused" && tc.reply != "forbidden" {
			routes = append(routes, "/"+tc.reply+"=status:"+tc.reply)
		}
	}
	s := newScene(t, newReceiver(t, 1, routes...))
	s.serve()
	jobs := make([]*pb.JobSpec, len(table))
	for i, tc := range table {
		endpoint := s.receiver.url + "/" + tc.reply
		switch tc.reply {
		case "refused":
			endpoint = "http://" + closedPort(t)
		case "forbidden":
			endpoint = "http://169.254.169.254/latest/meta-data"
		}
		jobs[i] = &pb.JobSpec{
			Source: "s", Destination: tc.reply, Endpoint: endpoint, Payload: []byte("x"), Timeout: durationpb.New(2 * time.Second),
			Retry: &pb.RetryPolicy{MinBackoff: durationpb.New(time.Hour), MaxBackoff: durationpb.New(time.Hour)},
		}
	}
	ids := s.submit(jobs...)
	for i, tc := range table {
		var trace *pb.GetResponse
		s.await("attempted: "+tc.reply, func() (bool, string) {
			trace = s.trace(ids[i])
			state := trace.GetJob().GetState()
			return state != pb.JobState_JOB_STATE_AWAITING_SCHEDULING && state != pb.JobState_JOB_STATE_EXECUTING, state.String()
		})
		trace = s.commandTrace(ids[i])
		if got, want := steps(trace), []string{"executing 1", tc.want}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, want %q", tc.reply, got, want)
		}
		last := trace.GetTransitions()[len(trace.GetTransitions())-1]
		if last.GetState().String() != "JOB_STATE_"+strings.ToUpper(strings.Fields(tc.want)[0]) || last.GetState() != trace.GetJob().GetState() {
			t.Errorf("%s: the last transition is to %v, the job is %v", tc.reply, last.GetState(), trace.GetJob().GetState())
		}
		if waits := last.GetState() == pb.JobState_JOB_STATE_AWAITING_RETRY; waits != (last.GetRetryAt() != nil) {
			t.Errorf("%s: retry at %v", tc.reply, last.GetRetryAt())
		}
		if last.GetErrorCode() != "" && last.GetError() == "" {
			t.Errorf("%s: %s without a message", tc.reply, last.GetErrorCode())
		}
	}
	ledger := s.ledger()
	if n := ledger.GetSucceeded() + ledger.GetDiscarded() + ledger.GetAwaitingRetry(); n != int64(len(table)) {
		t.Errorf("of %d jobs the ledger has %v", len(table), ledger)
	}
	s.terminate()
	s.checkHistory()
}

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
