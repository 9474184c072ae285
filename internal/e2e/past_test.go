package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "centrifuge/gen/centrifuge/v1"
)

// What became of a job can be told many JobDBs later, with its whole trace, also of
// one that was moved from one to the next, and after a restart as before it. Once those JobDBs are dropped, the answer says so.
func TestToldOfJobDBsAgo(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	r := newReceiver(t, seed, append(loadRoutes, "/later=latency:20ms;outage:0s+4s:503")...)
	s := newScene(t, r)
	keeping := append(cycling(), "--jobdb-keep", "1h")
	s.serve(keeping...)
	l := s.startLoad(seed)
	var early []string
	for _, path := range []string{"healthy", "later"} {
		id := s.submit(&pb.JobSpec{
			Source: "told", Destination: path, Endpoint: r.url + "/" + path, Payload: []byte("payload of " + path),
			Retry: &pb.RetryPolicy{MinBackoff: durationpb.New(50 * time.Millisecond), MaxBackoff: durationpb.New(100 * time.Millisecond)},
		})[0]
		early = append(early, id)
		l.mu.Lock()
		l.mu.acknowledged[id] = struct{}{}
		l.mu.Unlock()
	}
	s.await("gone through some JobDBs", func() (bool, string) {
		states := s.jobdbs()
		return len(states[pb.JobDBState_JOB_DB_STATE_DRAINED]) >= 4, fmt.Sprint(states)
	})
	l.stop()
	if out := s.command("fleet"); !strings.Contains(out, "drained") || !strings.Contains(out, "59m") {
		t.Errorf("fleet does not tell what is kept, and for how long:\n%s", out)
	}
	tell := func() {
		t.Helper()
		const want = pb.JobState_JOB_STATE_SUCCEEDED
		for _, id := range early {
			trace := s.commandTrace(id)
			transitions := trace.GetTransitions()
			last := transitions[len(transitions)-1]
			if trace.GetJob().GetState() != want || last.GetState() != want || transitions[0].GetState() != pb.JobState_JOB_STATE_AWAITING_SCHEDULING ||
				!strings.HasPrefix(string(trace.GetJob().GetPayload()), "payload of ") {
				t.Errorf("told of one that should be %s: %s", want, trace)
			}
			if found := s.command("search", "--job", id); !strings.Contains(found, id) {
				t.Errorf("search does not find %s:\n%s", id, found)
			}
		}
		n := 0
		for id := range l.mu.acknowledged {
			if state := s.trace(id).GetJob().GetState(); state != pb.JobState_JOB_STATE_SUCCEEDED {
				t.Errorf("job %s is %s", id, state)
			}
			if n++; n == 200 {
				break
			}
		}
	}
	tell()
	s.terminate()
	s.serve(keeping...)
	tell()

	s.terminate()
	s.serve(cycling()...)
	s.awaitDropped()
	for _, id := range early {
		_, err := s.client.Jobs.Get(s.ctx, connect.NewRequest(&pb.GetRequest{Id: id}))
		if connect.CodeOf(err) != connect.CodeNotFound || !strings.Contains(err.Error(), "jobdb-00000") || !strings.Contains(err.Error(), "was dropped at 20") {
			t.Errorf("after its JobDB was dropped: %v", err)
		}
	}
	s.terminate()
}
