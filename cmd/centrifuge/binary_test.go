package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	pb "centrifuge/gen/centrifuge/v1"
)

// binary is the program as users have it, built once.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "centrifuge")
	out, err := exec.Command("go", "build", "-ldflags", "-X main.version=v0.0.0-test", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// process is a serve in a process of its own.
type process struct {
	cmd *exec.Cmd
	url string
	log *serverLog
}

func startProcess(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{log: &serverLog{listening: make(chan string, 1)}}
	p.cmd = exec.CommandContext(t.Context(), path, append([]string{
		"serve", "--listen", "127.0.0.1:0", "--data-dir", dir, "--log-format", "json",
		"--allow-network", "127.0.0.0/8",
	}, args...)...)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() }) // it has ended, unless the test failed
	eventually(t, "listening", func() (bool, string) {
		select {
		case address := <-p.log.listening:
			p.url = "http://" + address
			return true, ""
		default:
			return false, p.log.tail()
		}
	})
	awaitReady(t, http.DefaultClient, p.url)
	return p
}

// end sends a signal and waits.
func (p *process) end(t *testing.T, s os.Signal) error {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	return p.cmd.Wait()
}

func (p *process) ledger(t *testing.T, args ...string) *pb.Ledger {
	t.Helper()
	var resp pb.LedgerServiceGetResponse
	mustJSON(t, must(t, "", append([]string{"ledger", "--json", "--server", p.url}, args...)...), &resp)
	return resp.GetTotal()
}

// The main path, killed in the middle: what was accepted before is delivered
// after, and the books balance.
func TestKillAndRestart(t *testing.T) {
	receiver, url := startSink(t, "/hold=status:503", "/go=latency:1ms")
	dir := t.TempDir()
	p := startProcess(t, dir)

	var jobs strings.Builder
	for i := range 400 {
		path := "/go"
		if i%4 == 0 {
			path = "/hold" // never delivered: pending when the process is killed
		}
		fmt.Fprintf(&jobs, `{"source":"s%d","destination":"%s","endpoint":"%s%s"}`+"\n", i%5, path[1:], url, path)
	}
	must(t, jobs.String(), "submit", "--server", p.url, "--batch", "50", "--transaction-prefix", "load")
	if err := p.end(t, syscall.SIGKILL); err == nil {
		t.Fatal("the killed process ended well")
	}

	p = startProcess(t, dir)
	out := must(t, jobs.String(), "submit", "--server", p.url, "--batch", "50", "--transaction-prefix", "load")
	if !strings.HasPrefix(out, "400 jobs accepted in 8 transactions") {
		t.Errorf("submit said %q", out)
	}
	eventually(t, "delivered", func() (bool, string) {
		l := p.ledger(t)
		return l.GetSucceeded() == 300, l.String()
	})
	if l := p.ledger(t, "--verify"); l.GetAccepted() != 400 || l.GetPending() != 100 {
		t.Errorf("the ledger is %v", l)
	}
	if st := receiver.Stats(); st.Delivered != 300 {
		t.Errorf("the receiver took %d jobs, want 300", st.Delivered)
	}
	if err := p.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, p.log.tail())
	}
	if tail := p.log.tail(); !strings.Contains(tail, "shutting down") || !strings.Contains(tail, `"clean":true`) {
		t.Errorf("the log does not tell of a clean end:\n%s", tail)
	}
}

func TestTwoServesOfOneFolder(t *testing.T) {
	dir := t.TempDir()
	p := startProcess(t, dir)
	r := call(t, "", "serve", "--listen", "127.0.0.1:0", "--data-dir", dir)
	for _, want := range []string{dir, fmt.Sprintf("pid %d", p.cmd.Process.Pid), "--data-dir"} {
		if r.err == nil || !strings.Contains(r.err.Error(), want) {
			t.Errorf("error %v does not say %q", r.err, want)
		}
	}
	r = call(t, "", "serve", "--listen", strings.TrimPrefix(p.url, "http://"), "--data-dir", t.TempDir())
	if r.err == nil || !strings.Contains(r.err.Error(), "--listen") {
		t.Errorf("error %v does not name --listen", r.err)
	}
	if err := p.end(t, os.Interrupt); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
}

// With a delivery that hangs and all the grace it wants, only a second signal
// ends the process.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	receiver, url := startSink(t, "/hang=status:hang")
	p := startProcess(t, t.TempDir(), "--shutdown-grace", "1h")
	must(t, "", "submit", "--server", p.url, "--source", "a", "--endpoint", url+"/hang", "--attempt-timeout", "1m")
	eventually(t, "hanging", func() (bool, string) {
		return receiver.Stats().Requests == 1, fmt.Sprint(receiver.Stats())
	})
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "shutting down", func() (bool, string) {
		resp, err := http.Get(p.url + "/readyz")
		if err != nil {
			return false, err.Error()
		}
		defer resp.Body.Close()
		var body bytes.Buffer
		_, _ = body.ReadFrom(resp.Body)
		return resp.StatusCode == http.StatusServiceUnavailable, body.String()
	})
	err := p.end(t, syscall.SIGTERM)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("after the second signal: %v", err)
	}
}

func TestDemoBalancesAndLeavesNothing(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	cmd := exec.CommandContext(t.Context(), path, "demo", "--duration", "1s", "--rate", "200", "--drain", "1s")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "CENTRIFUGE_MAX_IN_FLIGHT=nonsense")
	cmd.WaitDelay = time.Minute
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"accepted 200", "\nbalanced: ", "every job is accounted for"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the demo does not say %q:\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
