package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "centrifuge/gen/centrifuge/v1"
)

// gate is an endpoint that remembers what it is sent, and answers when it is let.
type gate struct {
	open chan struct{} // closed to let answers pass
	mu   struct {
		sync.Mutex
		seen []http.Header
	}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	g.mu.Lock()
	g.mu.seen = append(g.mu.seen, req.Header.Clone())
	g.mu.Unlock()
	select {
	case <-g.open:
		w.WriteHeader(http.StatusOK)
	case <-req.Context().Done():
	}
}

func (g *gate) requests() []http.Header {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.seen
}

// metric reports whether a line of the Director's metrics begins so.
func (s *scene) metric(line string) (bool, string) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.url()+"/metrics", nil)
	if err != nil {
		s.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return false, err.Error()
	}
	return strings.Contains(string(text), "\n"+line), "no " + line
}

// Killed after the endpoint has answered and the Director has read it, and before
// that is durable: the job is delivered again, as the same job, and its trace
// tells what there is to tell.
//
// Commits are so far apart that the test, not chance, decides what is durable: one
// begins at once when the job is submitted, and the next after the interval.
func TestKilledBetweenAnswerAndCommit(t *testing.T) {
	t.Parallel()
	const interval = 4 * time.Second
	for name, tc := range map[string]struct {
		begun bool // the beginning of the attempt is durable
		want  []string
	}{
		"nothing of the attempt is durable": {false, []string{"executing 1", "succeeded 1"}},
		"its beginning is durable":          {true, []string{"executing 1", "awaiting_retry 1 EINTERRUPTED", "executing 2", "succeeded 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gate{open: make(chan struct{})}
			s := newScene(t, newReceiverOf(t, g))
			s.serve("--commit-interval", interval.String())
			id := s.submit(&pb.JobSpec{Source: "s", Destination: "d", Endpoint: s.receiver.url, Timeout: durationpb.New(30 * time.Second)})[0]
			s.await("attempted", func() (bool, string) { return len(g.requests()) == 1, "" })
			if tc.begun {
				s.await("its beginning durable", func() (bool, string) {
					state := s.trace(id).GetJob().GetState()
					return state == pb.JobState_JOB_STATE_EXECUTING, state.String()
				})
			}
			close(g.open)
			s.await("told of the success", func() (bool, string) {
				return s.metric(`centrifuge_attempts_total{code="200",outcome="succeeded"} 1`)
			})
			s.kill()

			s.serve()
			s.await("delivered again", func() (bool, string) {
				state := s.trace(id).GetJob().GetState()
				return state == pb.JobState_JOB_STATE_SUCCEEDED, state.String()
			})
			seen := g.requests()
			if len(seen) != 2 {
				t.Fatalf("the endpoint was asked %d times, want twice", len(seen))
			}
			for i, h := range seen {
				attempt := "1"
				if i == 1 && tc.begun {
					attempt = "2"
				}
				if h.Get("Centrifuge-Job-Id") != id || h.Get("Idempotency-Key") != id || h.Get("Centrifuge-Attempt") != attempt {
					t.Errorf("request %d is attempt %s of job %s with the key %s, want attempt %s of %s", i+1,
						h.Get("Centrifuge-Attempt"), h.Get("Centrifuge-Job-Id"), h.Get("Idempotency-Key"), attempt, id)
				}
			}
			if got := steps(s.commandTrace(id)); fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("the trace tells %q, want %q", got, tc.want)
			}
			s.ledger()
			s.terminate()
			s.checkHistory()
		})
	}
}

// steps are a trace's attempts, in short: state, attempt, and status or error code
// where it is neither 0 nor 200.
func steps(trace *pb.GetResponse) (steps []string) {
	for _, t := range trace.GetTransitions() {
		if t.GetState() == pb.JobState_JOB_STATE_AWAITING_SCHEDULING {
			continue
		}
		step := fmt.Sprintf("%s %d", strings.ToLower(strings.TrimPrefix(t.GetState().String(), "JOB_STATE_")), t.GetAttempt())
		if code := t.GetStatusCode(); code != 0 && code != http.StatusOK {
			step += fmt.Sprint(" ", code)
		}
		if code := t.GetErrorCode(); code != "" {
			step += " " + code
		}
		steps = append(steps, step)
	}
	return steps
}
