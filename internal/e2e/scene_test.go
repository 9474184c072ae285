package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/internal/e2e/program"
)

// scene is a receiver, a data folder and the Directors that serve it one after
// the other. Its methods are for the test's goroutine.
type scene struct {
	*testing.T
	ctx      context.Context //nolint:containedctx // the test's, with a deadline
	receiver *receiver
	binary   string
	dir      string                 // the data folder
	seenAs   string                 // the same, for the test
	address  atomic.Pointer[string] // of the Director that serves
	retried  atomic.Int64           // calls of Submits that were repeated
	director *program.Process
	client   *client.Client
}

// newScene sets the scene. Whatever is awaited on it is awaited no longer than
// [patience] lasts, and then the test fails.
func newScene(t *testing.T, r *receiver) *scene {
	t.Helper()
	path := program.Binary(t) // which takes what time it takes
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s := &scene{T: t, ctx: ctx, receiver: r, binary: path}
	s.dir = t.TempDir()
	s.seenAs = s.dir
	s.client = s.newClient(client.Options{RetryFor: patience, OnRetry: func(error, time.Duration) { s.retried.Add(1) }})
	return s
}

// newClient makes a client that reaches whichever Director serves at the time.
func (s *scene) newClient(o client.Options) *client.Client {
	s.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	s.Cleanup(transport.CloseIdleConnections)
	o.Transport = rerouted{transport, &s.address}
	c, err := client.New(o)
	if err != nil {
		s.Fatal(err)
	}
	return c
}

// rerouted is a transport that sends requests to an address that changes.
type rerouted struct {
	http.RoundTripper
	address *atomic.Pointer[string]
}

func (r rerouted) RoundTrip(req *http.Request) (*http.Response, error) {
	if address := r.address.Load(); address != nil {
		req = req.Clone(req.Context())
		req.URL.Host, req.Host = *address, *address
	}
	return r.RoundTripper.RoundTrip(req)
}

// serve starts a Director on the scene's folder and waits until it is ready.
func (s *scene) serve(args ...string) {
	s.Helper()
	s.launch(nil, args...)
	s.await("ready", s.ready)
}

// launch starts a Director, by way of another command if one is given, and waits
// until it listens.
func (s *scene) launch(via []string, args ...string) {
	s.Helper()
	s.begin(via, args...)
	s.awaitListening()
}

// begin starts a Director and waits for nothing.
func (s *scene) begin(via []string, args ...string) {
	s.Helper()
	s.director = program.Start(s.T, slices.Concat(via, []string{
		s.binary, "serve", "--listen", "127.0.0.1:0", "--allow-network", "127.0.0.0/8", "--log-format", "json", "--data-dir", s.dir,
	}, args)...)
}

func (s *scene) awaitListening() {
	s.Helper()
	s.await("listening", func() (bool, string) {
		address, ok := s.director.Log.Address()
		if ok {
			s.address.Store(&address)
		}
		return ok, ""
	})
}

func (s *scene) ready() (bool, string) {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.url()+"/readyz", nil)
	if err != nil {
		s.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err.Error()
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK, resp.Status
}

func (s *scene) url() string { return "http://" + *s.address.Load() }

// kill ends the Director as a crash of the machine's power would, but for what
// the operating system had not written yet.
func (s *scene) kill() {
	s.Helper()
	s.director.Signal(syscall.SIGKILL)
	_ = s.awaitEnd() // it was killed
}

// terminate asks the Director to end, and expects that it does so in order.
func (s *scene) terminate() {
	s.Helper()
	s.director.Signal(syscall.SIGTERM)
	if err := s.awaitEnd(); err != nil {
		s.Errorf("after SIGTERM: %v\n%s", err, s.director.Log)
	}
}

// awaitEnd waits until the Director has ended and tells how.
func (s *scene) awaitEnd() error {
	s.Helper()
	select {
	case <-s.director.Ended:
		return s.director.Err()
	case <-s.ctx.Done():
		s.Fatalf("the Director has still not ended\n%s", s.director.Log)
		return nil
	}
}

// await asks until the answer is yes, or the scene's time is over, or the
// Director has ended, which no test awaits here.
func (s *scene) await(what string, ask func() (bool, string)) {
	s.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, said := ask()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-s.director.Ended:
			s.Fatalf("the Director ended, not yet %s: %v\n%s", what, s.director.Err(), s.director.Log)
		case <-s.ctx.Done():
			s.Fatalf("still not %s: %s\n%s", what, said, s.director.Log)
		}
	}
}

// submit submits jobs, which must be accepted, and returns their ids.
func (s *scene) submit(jobs ...*pb.JobSpec) []string {
	s.Helper()
	resp, err := s.client.Submit(s.ctx, &pb.SubmitRequest{Jobs: jobs})
	if err != nil {
		s.Fatal(err)
	}
	return resp.GetJobIds()
}

// trace is what the Director knows of a job.
func (s *scene) trace(id string) *pb.GetResponse {
	s.Helper()
	resp, err := s.client.Jobs.Get(s.ctx, connect.NewRequest(&pb.GetRequest{Id: id}))
	if err != nil {
		s.Fatal(err)
	}
	return resp.Msg
}

// ledger is the sum of the books, which must balance and, recounted, agree with
// the JobDB. While a JobDB is being recovered or left, they cannot be told.
func (s *scene) ledger() *pb.Ledger {
	s.Helper()
	resp, err := s.client.Ledger.Get(s.ctx, connect.NewRequest(&pb.LedgerServiceGetRequest{Verify: true}))
	for connect.CodeOf(err) == connect.CodeUnavailable {
		s.pause()
		resp, err = s.client.Ledger.Get(s.ctx, connect.NewRequest(&pb.LedgerServiceGetRequest{Verify: true}))
	}
	if err != nil {
		s.Fatal(err)
	}
	if !resp.Msg.GetBalanced() {
		s.Errorf("the ledger does not balance: %v", resp.Msg)
	}
	return resp.Msg.GetTotal()
}

// awaitDelivered waits until the receiver has taken as many jobs.
func (s *scene) awaitDelivered(n int) {
	s.Helper()
	s.await(fmt.Sprintf("%d jobs delivered", n), func() (bool, string) {
		st := s.receiver.Stats()
		return st.Delivered >= uint64(n), fmt.Sprintf("%d delivered, %v", st.Delivered, st.Routes)
	})
}

// command runs a command of the program against the Director and returns what it
// printed; it must succeed.
func (s *scene) command(args ...string) string {
	s.Helper()
	out, errs, err := s.run(args...)
	if err != nil {
		s.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, errs)
	}
	return out
}

func (s *scene) run(args ...string) (out, errs string, err error) {
	cmd := exec.CommandContext(s.ctx, s.binary, append(args, "--server", s.url())...) //nolint:gosec // our own binary
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// verify has the command recount the books, whose exit code says whether they
// balance. While a JobDB is being recovered or left, it says that they cannot be told.
func (s *scene) verify() {
	s.Helper()
	s.await("counted by the command", func() (bool, string) {
		out, errs, err := s.run("ledger", "--verify")
		if err != nil && !strings.Contains(errs, "unavailable: ") {
			s.Fatalf("ledger --verify: %v\n%s%s", err, out, errs)
		}
		return err == nil, errs
	})
}

// commandTrace is what `job ID --json` tells of a job.
func (s *scene) commandTrace(id string) *pb.GetResponse {
	s.Helper()
	var trace pb.GetResponse
	if err := protojson.Unmarshal([]byte(s.command("job", id, "--json")), &trace); err != nil {
		s.Fatal(err)
	}
	return &trace
}

// pause lets a moment pass, unless the scene's time is over.
func (s *scene) pause() {
	s.Helper()
	if !rest(s.ctx, 5*time.Millisecond) {
		s.Fatalf("out of time\n%s", s.director.Log)
	}
}

// rest waits and reports whether ctx lasted.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
