package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"centrifuge/jobdb/mysql/mysqltest"
	"centrifuge/sink"
)

// buildDir holds what tests build for each other.
var buildDir string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	// Nothing of the environment that tests run in may configure what they test.
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "CENTRIFUGE_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
	var err error
	if buildDir, err = os.MkdirTemp("", "centrifuge-test-"); err != nil {
		panic(err)
	}
	code := mysqltest.Main(m)
	if err := os.RemoveAll(buildDir); err != nil {
		panic(err)
	}
	return code
}

// result is what a run of the program came to.
type result struct {
	stdout, stderr string
	err            error
}

func (r result) code() int { return exitCode(r.err) }

// call runs the program with an input.
func call(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return result{out.String(), errs.String(), err}
}

// must is call for what must succeed; it returns the output.
func must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	r := call(t, stdin, args...)
	if r.err != nil {
		t.Fatalf("centrifuge %s: %v\n%s", strings.Join(args, " "), r.err, r.stderr)
	}
	return r.stdout
}

// serving is a serve in this process.
type serving struct {
	address string
	dir     string
	stop    func() error // once
}

// startServe serves a folder on a free port until the test ends or it is stopped.
func startServe(t *testing.T, dir string, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	log := serverLog{listening: make(chan string, 1)}
	ended := make(chan error, 1)
	args = append([]string{
		"serve", "--listen", "127.0.0.1:0", "--data-dir", dir, "--log-format", "json",
		"--allow-network", "127.0.0.0/8", "--shutdown-grace", "1s",
	}, args...)
	go func() { ended <- run(ctx, args, http.NoBody, io.Discard, &log) }()
	s := &serving{dir: dir, stop: sync.OnceValue(func() error { cancel(); return <-ended })}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("serve: %v\n%s", err, log.tail())
		}
	})
	select {
	case s.address = <-log.listening:
	case err := <-ended:
		ended <- nil
		t.Fatalf("serve: %v", err)
	}
	return s
}

// awaitReady waits until the Director at the URL has its JobDB. Before, the ledger of
// none balances, and then that of one that is being recovered cannot be told.
func awaitReady(t *testing.T, client *http.Client, url string) {
	t.Helper()
	eventually(t, "ready", func() (bool, string) {
		resp, err := client.Get(url + "/readyz")
		if err != nil {
			return false, err.Error()
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK, resp.Status
	})
}

// startSink serves a receiver until the test ends.
func startSink(t *testing.T, routes ...string) (*sink.Sink, string) {
	t.Helper()
	var o sink.Options
	for _, spec := range routes {
		route, err := sink.ParseRoute(spec)
		if err != nil {
			t.Fatal(err)
		}
		o.Routes = append(o.Routes, route)
	}
	s, err := sink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, "http://" + listener.Addr().String()
}

// eventually asks until the answer is yes: what is asked happens in another
// process or over a real network, where no bubble reaches.
func eventually(t *testing.T, what string, ask func() (bool, string)) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for range 3000 {
		ok, said := ask()
		if ok {
			return
		}
		last = said
		<-tick.C
	}
	t.Fatalf("still not %s: %s", what, last)
}

// awaitState asks for a job until it is in a state.
func awaitState(t *testing.T, server, id, state string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s in state %s", id, state), func() (bool, string) {
		r := call(t, "", "job", id, "--server", server, "--json")
		return strings.Contains(r.stdout, `"state":"`+state+`","attempts"`), fmt.Sprintf("%v %s", r.err, r.stdout)
	})
}
