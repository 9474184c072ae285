package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestUsageErrors(t *testing.T) {
	for _, tc := range []struct {
		args string
		want string
	}{
		{"bogus", `unknown command "bogus"`},
		{"queue", "needs a command"},
		{"queue bogus", `unknown command "bogus"`},
		{"queue set --rate 5", "--source, --destination or both"},
		{"queue set --source a", "--reset"},
		{"queue set --source a --rate 5 --reset", "--reset"},
		{"queue pause", "--source, --destination or both"},
		{"serve --listn x", "unknown flag: --listn"},
		{"serve --cache-size much", "no size such as 64MiB"},
		{"serve --allow-network 10.0.0.1", "no network such as"},
		{"serve --allow-network 10.0.0.1/8", "did you mean 10.0.0.0/8?"},
		{"serve --max-in-flight 0", "--max-in-flight: must be above 0"},
		{"serve --min-free-disk 20MiB", "--min-free-disk: must be 32MiB or more"},
		{"serve --min-free-disk 1", "--min-free-disk: must be 32MiB or more"},
		{"serve --tls-cert x", "--tls-key"},
		{"serve --log-format xml", "text or json"},
		{"serve --log-level loud", "loud"},
		{"serve --proxy nowhere", "--proxy"},
		{"serve --otlp-endpoint localhost:4318", "--otlp-endpoint"},
		{"job", "accepts 1 arg(s)"},
		{"job x --timeout 0s", "--timeout"},
		{"job x --server 127.0.0.1:7800", "want http://HOST:PORT"},
		{"submit --source a", "say what to submit"},
		{"submit --endpoint http://x --header novalue", "'Name: value'"},
		{"submit --endpoint http://x --encoding br", "gzip or zstd"},
		{"submit --file x --endpoint http://x", "--endpoint and --file"},
		{"submit --file x --transaction-id y", "--transaction-prefix"},
		{"submit --file x --batch 5001", "1 to 5000"},
		{"submit --file x --parallel 0", "1 to 256"},
		{"archive replay", "say what to replay"},
		{"archive ls --status 5xx", "want a status code"},
		{"archive ls --since yesterday", "want an age"},
		{"archive ls --since 1h --until 2h", "nothing can match"},
		{"sink --route flaky", "no equals sign"},
		{"sink --behaviour status:200:x", "--behaviour"},
		{"demo --rate 0", "--rate"},
		{"demo --duration 1ms", "--duration"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			r := call(t, "", strings.Fields(tc.args)...)
			if r.code() != exitUsage {
				t.Errorf("exit code %d, want %d: %v", r.code(), exitUsage, r.err)
			}
			if r.err == nil || !strings.Contains(r.err.Error(), tc.want) || !strings.Contains(r.err.Error(), "--help)") {
				t.Errorf("error %v does not say %q and where help is", r.err, tc.want)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{errUnbalanced, 1},
		{usagef("x"), 2},
		{fmt.Errorf("around: %w", usagef("x")), 2},
	} {
		if got := exitCode(tc.err); got != tc.want {
			t.Errorf("exitCode(%v) = %d, want %d", tc.err, got, tc.want)
		}
	}
}

func TestVersion(t *testing.T) {
	if out := must(t, "", "version"); !strings.HasPrefix(out, "centrifuge "+versionName()+" (go1.") {
		t.Errorf("got %q", out)
	}
}

// Every command explains itself, and can be completed.
func TestHelp(t *testing.T) {
	out := must(t, "", "--help")
	for _, name := range []string{"serve", "submit", "job", "queue", "archive", "ledger", "sink", "demo", "version", "completion"} {
		if !strings.Contains(out, "\n  "+name+" ") {
			t.Errorf("help does not list %s", name)
		}
		if help := must(t, "", name, "--help"); !strings.Contains(help, "Usage:") {
			t.Errorf("help of %s: %s", name, help)
		}
	}
	if out := must(t, "", "completion", "bash"); !strings.Contains(out, "centrifuge") {
		t.Error("no completion for bash")
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2Jb\tc\nd\u202e é"); got != "a·[2Jb·c·d· é" {
		t.Errorf("got %q", got)
	}
}
