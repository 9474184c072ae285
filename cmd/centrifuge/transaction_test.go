package main

import (
	"fmt"
	"strings"
	"testing"

	pb "centrifuge/gen/centrifuge/v1"
)

func TestTransactions(t *testing.T) {
	receiver, url := startSink(t)
	server := ready(t)
	address := strings.TrimPrefix(server, "--server=")
	prepare := func(id string) (job string) {
		return strings.TrimSpace(must(t, "", "submit", server, "--source", "shop", "--endpoint", url+"/hook",
			"--transaction-id", id, "--prepare", "--prepare-ttl", "10m"))
	}
	kept, dropped := prepare("kept"), prepare("dropped")
	var shown pb.Transaction
	mustJSON(t, must(t, "", "transaction", "show", "kept", server, "--json"), &shown)
	if shown.GetState() != pb.TransactionState_TRANSACTION_STATE_PREPARED || shown.GetJobIds()[0] != kept || shown.GetDeadline() == nil {
		t.Errorf("transaction is %v", &shown)
	}
	if r := call(t, "", "job", kept, server); r.code() != exitFailure {
		t.Errorf("a job that is only prepared is there: %s", r.stdout)
	}
	// Several servers may be named: here one of them is not there.
	both := "--server=http://127.0.0.1:1," + address
	if out := must(t, "", "transaction", "commit", "kept", both); !strings.Contains(out, "committed") {
		t.Errorf("commit says %q", out)
	}
	if out := must(t, "", "transaction", "abort", "dropped", server); !strings.Contains(out, "aborted") {
		t.Errorf("abort says %q", out)
	}
	awaitState(t, address, kept, "JOB_STATE_SUCCEEDED")
	if got := receiver.Job(kept); got.Successes != 1 {
		t.Errorf("the receiver has %+v", got)
	}
	if r := call(t, "", "job", dropped, server); r.code() != exitFailure {
		t.Errorf("a job that was aborted is there: %s", r.stdout)
	}
	out := must(t, "", "transaction", "show", "kept", "dropped", "nobodys", server)
	for i, want := range []string{"TRANSACTION", "committed", "aborted", "unknown"} {
		if line := strings.Split(out, "\n")[i]; !strings.Contains(line, want) {
			t.Errorf("line %d is %q, want %s", i, line, want)
		}
	}
	for _, test := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"commit", "dropped"}, "was aborted", exitFailure},
		{[]string{"abort", "kept"}, "was committed", exitFailure},
		{[]string{"commit", "nobodys", "--retry-for", "1ms"}, "outcome of transaction nobodys is unknown", exitFailure},
		{[]string{"commit"}, "1 to 100 ids", exitUsage},
	} {
		r := call(t, "", append(append([]string{"transaction"}, test.args...), server)...)
		if r.code() != test.code || !strings.Contains(fmt.Sprint(r.err), test.want) {
			t.Errorf("%v: %v, want %q", test.args, r.err, test.want)
		}
	}
	for _, args := range [][]string{{"--prepare-ttl", "1m"}, {"--prepare", "--prepare-ttl", "-1s"}} {
		if r := call(t, "", append([]string{"submit", "--source", "s", "--endpoint", url, server}, args...)...); r.code() != exitUsage {
			t.Errorf("%v: %v", args, r.err)
		}
	}
	// Jobs go to several servers as they go to one.
	id := strings.TrimSpace(must(t, "", "submit", both, "--source", "shop", "--endpoint", url+"/hook"))
	awaitState(t, address, id, "JOB_STATE_SUCCEEDED")
}
