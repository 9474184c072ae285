package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
)

// ready starts a serve and returns the flag that reaches it, when it serves.
func ready(t *testing.T, args ...string) string {
	t.Helper()
	s := startServe(t, t.TempDir(), args...)
	server := "--server=http://" + s.address
	eventually(t, "ready", func() (bool, string) {
		r := call(t, "", "queue", "ls", server)
		return r.err == nil, fmt.Sprint(r.err)
	})
	return server
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "jobs.ndjson")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSubmitOneJob(t *testing.T) {
	receiver, url := startSink(t)
	server := ready(t)
	id := strings.TrimSpace(must(t, "from stdin", "submit", server, "--source", "shop", "--destination", "api",
		"--endpoint", url+"/hook", "--method", "PUT", "--header", "X-Order: 7", "--payload", "-", "--ttl", "1h", "--encoding", "gzip"))
	awaitState(t, strings.TrimPrefix(server, "--server="), id, "JOB_STATE_SUCCEEDED")
	if got := receiver.Job(id); got.Successes != 1 {
		t.Errorf("the receiver has %+v", got)
	}
	out := must(t, "", "job", id, server)
	for _, want := range []string{id, "PUT " + url + "/hook, 10 bytes", "awaiting_scheduling", "executing", "succeeded", "200"} {
		if !strings.Contains(out, want) {
			t.Errorf("the trace does not tell %q:\n%s", want, out)
		}
	}
	var trace pb.GetResponse
	mustJSON(t, must(t, "", "job", id, server, "--json"), &trace)
	job := trace.GetJob()
	if string(job.GetPayload()) != "from stdin" || job.GetHeaders()[0].GetValue() != "7" || job.GetDestination() != "api" {
		t.Errorf("the job is %v", job)
	}

	named := must(t, "", "submit", server, "--source", "shop", "--endpoint", url, "--transaction-id", "tx")
	if again := must(t, "", "submit", server, "--source", "shop", "--endpoint", url, "--transaction-id", "tx"); again != named {
		t.Errorf("the transaction gave %s and then %s", named, again)
	}
}

func TestSubmitFile(t *testing.T) {
	_, url := startSink(t)
	server := ready(t)
	var lines strings.Builder
	for i := range 250 {
		fmt.Fprintf(&lines, `{"source":"s%d","endpoint":"%s","payloadJson":{"n":%d}}`+"\n", i%7, url, i)
	}
	file := write(t, lines.String())
	for range 2 { // the second time enqueues nothing
		out := must(t, "", "submit", server, "--file", file, "--batch", "100", "--transaction-prefix", "import")
		if out != "250 jobs accepted in 3 transactions\n" {
			t.Errorf("submit said %q", out)
		}
	}
	out := must(t, lines.String(), "submit", server, "--json", "--batch", "100") // from stdin
	responses := strings.Split(strings.TrimSpace(out), "\n")
	jobs := 0
	for _, line := range responses {
		var resp pb.SubmitResponse
		mustJSON(t, line, &resp)
		jobs += len(resp.GetJobIds())
	}
	if len(responses) != 3 || jobs != 250 {
		t.Errorf("%d responses with %d jobs", len(responses), jobs)
	}
	var ledger pb.LedgerServiceGetResponse
	mustJSON(t, must(t, "", "ledger", server, "--json", "--verify", "--by-queue"), &ledger)
	if ledger.GetTotal().GetAccepted() != 500 || !ledger.GetBalanced() || len(ledger.GetQueues()) != 7 {
		t.Errorf("the ledger is %v", &ledger)
	}
}

func TestSubmitFileBlamesTheLine(t *testing.T) {
	server := ready(t)
	good := `{"source":"a","destination":"d","endpoint":"http://127.0.0.1:1/"}` + "\n"
	for name, tc := range map[string]struct{ input, want string }{
		"by the server": {"\n" + good + `{"source":"a","endpoint":"ftp://x/"}` + "\n" + good, "line 3: "},
		"by the parser": {good + "{}}\n", "line 2: "},
	} {
		r := call(t, "", "submit", server, "--file", write(t, tc.input), "--transaction-prefix", "again")
		if r.code() != exitFailure || !strings.HasPrefix(fmt.Sprint(r.err), tc.want) || !strings.Contains(r.err.Error(), "--transaction-prefix again") {
			t.Errorf("%s: exit code %d, error %v", name, r.code(), r.err)
		}
	}
}

func TestOperateQueuesAndArchive(t *testing.T) {
	receiver, url := startSink(t)
	server := ready(t)
	queue := []string{server, "--source", "s", "--destination", "d"}
	with := func(command string, args ...string) []string {
		return append(append(strings.Fields(command), queue...), args...)
	}
	if out := must(t, "", with("queue set", "--rate", "100", "--retry-status", "404", "--paused")...); !strings.Contains(out, "paused rate=100 retry-status=404") {
		t.Errorf("queue set said %q", out)
	}
	var jobs strings.Builder
	for range 3 {
		fmt.Fprintf(&jobs, `{"source":"s","destination":"d","endpoint":"%s"}`+"\n", url)
	}
	must(t, jobs.String(), "submit", server)
	var q pb.Queue
	mustJSON(t, must(t, "", with("queue ls", "--json")...), &q)
	if q.GetReady() != 3 || !q.GetPolicy().GetPaused() {
		t.Errorf("the queue is %v", &q)
	}
	if out := must(t, "", with("queue retry")...); !strings.Contains(out, "0 waiting jobs") {
		t.Errorf("queue retry said %q", out)
	}
	if out := must(t, "", with("queue expire")...); !strings.Contains(out, "3 jobs of queue s → d") {
		t.Errorf("queue expire said %q", out)
	}
	eventually(t, "archived", func() (bool, string) {
		out := must(t, "", "archive", "ls", server, "--destination", "d", "--since", "1h", "--error", "flushed", "--json")
		return strings.Count(out, "\n") == 3, out
	})
	if out := must(t, "", "archive", "ls", server, "--limit", "2"); strings.Count(out, "FLUSHED") != 2 {
		t.Errorf("archive ls said %s", out)
	}
	if out := must(t, "", "archive", "ls", server, "--source", "other", "--json"); out != "" {
		t.Errorf("archive ls of another source said %s", out)
	}
	must(t, "", "queue", "set", server, "--destination", "d", "--rate", "9000")
	if out := must(t, "", "queue", "pause", server, "--destination", "d"); !strings.Contains(out, "paused rate=9000") {
		t.Errorf("queue pause of a destination said %q", out)
	}
	if out := must(t, "", "queue", "resume", server, "--destination", "d"); !strings.Contains(out, "now: rate=9000\n") {
		t.Errorf("queue resume of a destination said %q", out)
	}
	must(t, jobs.String(), "submit", server)
	if out := must(t, "", "queue", "destinations", server); !strings.Contains(out, "rate=9000") {
		t.Errorf("queue destinations said %s", out)
	}
	if out := must(t, "", with("queue resume")...); !strings.Contains(out, "rate=100 retry-status=404\n") || strings.Contains(out, "paused") {
		t.Errorf("queue resume said %q", out)
	}
	for _, want := range []string{"3 jobs replayed, 0 left alone", "0 jobs replayed, 3 left alone"} {
		if out := must(t, "", with("archive replay", "--rate", "1000")...); !strings.Contains(out, want) {
			t.Errorf("archive replay said %q, want %q", out, want)
		}
	}
	eventually(t, "delivered", func() (bool, string) {
		st := receiver.Stats()
		return st.Delivered == 6, fmt.Sprint(st)
	})
	if out := must(t, "", "ledger", server, "--verify", "--by-queue"); !strings.Contains(out, "\nbalanced: ") {
		t.Errorf("the ledger is\n%s", out)
	}
}

// books answers with a ledger that does not balance.
type books struct {
	centrifugev1connect.UnimplementedLedgerServiceHandler
}

func (books) Get(context.Context, *connect.Request[pb.LedgerServiceGetRequest]) (*connect.Response[pb.LedgerServiceGetResponse], error) {
	return connect.NewResponse(&pb.LedgerServiceGetResponse{Total: &pb.Ledger{Accepted: 2, Succeeded: 1}}), nil
}

func TestLedgerThatDoesNotBalance(t *testing.T) {
	_, handler := centrifugev1connect.NewLedgerServiceHandler(books{})
	server := httptest.NewServer(handler)
	defer server.Close()
	r := call(t, "", "ledger", "--server", server.URL)
	if r.code() != exitFailure || !strings.Contains(r.stdout, "NOT BALANCED") {
		t.Errorf("exit code %d, output %s", r.code(), r.stdout)
	}
}

func TestServerOutOfReach(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, args := range []string{"ledger", "queue ls", "job x", "archive ls", "submit --source a --endpoint http://x --retry-for 0"} {
		r := call(t, "", append(strings.Fields(args), "--server", closed.URL)...)
		if r.code() != exitFailure || !strings.Contains(fmt.Sprint(r.err), "is `centrifuge serve` running") || !strings.Contains(r.err.Error(), closed.URL) {
			t.Errorf("%s: exit code %d, error %v", args, r.code(), r.err)
		}
	}
}

func mustJSON(t *testing.T, text string, into proto.Message) {
	t.Helper()
	if err := protojson.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}
