package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"centrifuge/sink"
)

// bench is one run of the program.
type bench struct {
	jobs      int
	runs      int
	pending   int
	traced    int
	profile   string
	serveArgs string
	stderr    io.Writer
	log       *slog.Logger

	dir     string
	month   *month // once it was filled
	figures []figure
}

// prepare builds the binaries into a temporary folder.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "centrifuge-bench-"); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", b.dir+"/", "./cmd/centrifuge", "./bench/cmd/sink")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build (run from the repository's root): %w\n%s", err, out)
	}
	return nil
}

// newData makes a data folder; remove takes it away.
func (b *bench) newData() (dir string, remove func(), err error) {
	if dir, err = os.MkdirTemp(b.dir, "data-"); err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

func (b *bench) clean() { _ = os.RemoveAll(b.dir) }

// process is a child that listens.
type process struct {
	cmd *exec.Cmd
	url string
}

// startSink starts a sink and returns when it listens.
func (b *bench) startSink(ctx context.Context, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, "sink"), args...)
	cmd.Stderr = b.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the sink: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the sink did not say where it listens: %w", err)
	}
	return &process{cmd, strings.TrimSpace(line)}, nil
}

// startServe starts a Director on the data folder and returns when it is ready.
func (b *bench) startServe(ctx context.Context, data string, args ...string) (*process, error) {
	args = append([]string{"--data-dir", data, "--allow-network", "127.0.0.0/8"}, args...)
	return b.startCentrifuge(ctx, "serve", append(args, strings.Fields(b.serveArgs)...)...)
}

// startCentrifuge starts a role and returns when it is ready.
func (b *bench) startCentrifuge(ctx context.Context, role string, args ...string) (*process, error) {
	args = append([]string{role, "--listen", "127.0.0.1:0", "--log-format", "json", "--pprof"}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, "centrifuge"), args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start centrifuge %s: %w", role, err)
	}
	lines := bufio.NewReader(stderr)
	p := &process{cmd: cmd}
	var said strings.Builder
	for p.url == "" {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			return nil, fmt.Errorf("centrifuge %s ended before it listened: %w\n%s", role, err, said.String())
		}
		var entry struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "listening" {
			p.url = "http://" + entry.Address
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return p, p.awaitReady(ctx)
}

// awaitReady polls until the Director accepts jobs.
func (p *process) awaitReady(ctx context.Context) error {
	return poll(ctx, func() (bool, error) {
		resp, err := get(ctx, p.url+"/readyz")
		if err != nil {
			return false, nil //nolint:nilerr // it does not listen yet
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
}

func (p *process) stop() error { return p.end(syscall.SIGTERM) }
func (p *process) kill() error { return p.end(syscall.SIGKILL) }

func (p *process) end(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return err
	}
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && (sig != syscall.SIGKILL || !errors.As(err, &exit)) {
		return err
	}
	return nil
}

// residentMB is the memory that the process holds, in MB of 1e6 bytes.
func (p *process) residentMB() (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 64)
			return n * 1024 / 1e6, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// cpuSeconds is the processor time that the process has used.
func (p *process) cpuSeconds() (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100, err
}

// stats asks the sink for its counts.
func (p *process) stats(ctx context.Context) (sink.Stats, error) {
	var s sink.Stats
	resp, err := get(ctx, p.url+"/_sink/stats")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

func get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// poll asks every 5 ms until it is told to stop.
func poll(ctx context.Context, done func() (bool, error)) error {
	return pollEvery(ctx, 5*time.Millisecond, done)
}

func pollEvery(ctx context.Context, interval time.Duration, done func() (bool, error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
