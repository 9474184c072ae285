package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/sink"
)

// scene is a program that serves, and the receiver that it delivers to.
type scene struct {
	t    *testing.T
	url  string
	sink *sink.Sink
	at   string // the receiver's URL
	api  *client.Client
}

// newScene starts both; routes are the receiver's.
func newScene(t *testing.T, routes ...string) *scene {
	t.Helper()
	return startScene(t, nil, routes)
}

func startScene(t *testing.T, flags []string, routes []string) *scene {
	t.Helper()
	t.Parallel() // each has a server, a receiver and windows of its own
	s := &scene{t: t}
	var o sink.Options
	for _, spec := range routes {
		route, err := sink.ParseRoute(spec)
		if err != nil {
			t.Fatal(err)
		}
		o.Routes = append(o.Routes, route)
	}
	var err error
	if s.sink, err = sink.New(o); err != nil {
		t.Fatal(err)
	}
	receiver := httptest.NewServer(s.sink)
	t.Cleanup(receiver.Close)
	s.at = receiver.URL
	s.url = serve(t, append([]string{"--allow-network", "127.0.0.0/8"}, flags...)...)
	if s.api, err = client.New(client.Options{URL: s.url}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.api.Close)
	return s
}

// serve starts the program in a process of its own, and returns its URL when it is
// ready.
func serve(t *testing.T, flags ...string) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{
		"serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--log-format", "json", "--shutdown-grace", "1s", "--min-free-disk", "0",
	}, flags...)...)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var line struct{ Level, Msg, Address, Err string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
				address <- line.Address
			}
			if line.Level == "ERROR" {
				t.Errorf("the server logs: %s", lines.Text())
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	var url string
	select {
	case a := <-address:
		url = "http://" + a
	case <-ended:
		t.Fatal("the server ended before it listened")
	case <-time.After(patience):
		t.Fatal("the server does not listen")
	}
	await(t, "the server to be ready", func() bool {
		resp, err := http.Get(url + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return url
}

// await waits until what it is told of has come.
func await(t *testing.T, what string, come func() bool) {
	t.Helper()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !come() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// submit submits n jobs of a source for a destination to a path of the receiver.
func (s *scene) submit(source, destination, path string, n int, change ...func(*pb.JobSpec)) []string {
	s.t.Helper()
	req := &pb.SubmitRequest{}
	for i := range n {
		job := &pb.JobSpec{
			Source: source, Destination: destination, Endpoint: s.at + path,
			Headers: []*pb.Header{{Name: "Content-Type", Value: "application/json"}},
			Payload: fmt.Appendf(nil, `{"order":%d}`, i),
			Timeout: durationpb.New(2 * time.Second),
		}
		for _, c := range change {
			c(job)
		}
		req.Jobs = append(req.Jobs, job)
	}
	resp, err := s.api.Submit(s.t.Context(), req)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.GetJobIds()
}

// eager are retries that come quickly.
func eager(j *pb.JobSpec) {
	j.Retry = &pb.RetryPolicy{MinBackoff: durationpb.New(50 * time.Millisecond), MaxBackoff: durationpb.New(200 * time.Millisecond)}
}

// patient are retries that do not come while a test lasts.
func patient(j *pb.JobSpec) {
	j.Retry = &pb.RetryPolicy{MinBackoff: durationpb.New(time.Hour), MaxBackoff: durationpb.New(time.Hour)}
}

// ledger is what the API says of all jobs.
func (s *scene) ledger() *pb.Ledger {
	s.t.Helper()
	resp, err := s.api.Ledger.Get(s.t.Context(), connect.NewRequest(&pb.LedgerServiceGetRequest{}))
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.Msg.GetTotal()
}

// queue is what the API says of one queue.
func (s *scene) queue(source, destination string) *pb.Queue {
	s.t.Helper()
	resp, err := s.api.Queues.List(s.t.Context(), connect.NewRequest(&pb.QueueServiceListRequest{
		Selector: &pb.QueueSelector{Source: source, Destination: destination},
	}))
	if err != nil {
		s.t.Fatal(err)
	}
	if queues := resp.Msg.GetQueues(); len(queues) == 1 {
		return queues[0]
	}
	return &pb.Queue{}
}

// settled waits until nothing is pending, and returns the ledger.
func (s *scene) settled(pending int64) *pb.Ledger {
	s.t.Helper()
	var l *pb.Ledger
	await(s.t, fmt.Sprintf("%d pending jobs", pending), func() bool {
		l = s.ledger()
		return l.GetPending() == pending && l.GetExecuting() == 0
	})
	return l
}

// get asks for a page without a browser.
func (s *scene) get(ctx context.Context, path string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if _, err := bufio.NewReader(resp.Body).WriteTo(&b); err != nil {
		s.t.Fatal(err)
	}
	return b.String()
}

// as makes the API's calls bring a token.
func (s *scene) as(token string) {
	s.t.Helper()
	api, err := client.New(client.Options{URL: s.url, Token: token})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(api.Close)
	s.api = api
}
