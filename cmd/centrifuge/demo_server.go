package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// demoServer is a child process that serves.
type demoServer struct {
	url    string
	cmd    *exec.Cmd
	log    serverLog
	ended  chan struct{} // closed when the process has ended
	result error         // set before ended is closed
}

// startServer starts this program once more, as a server on a free port with its
// data in dir, and waits until it listens.
func startServer(ctx context.Context, dir string) (*demoServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &demoServer{ended: make(chan struct{}), log: serverLog{listening: make(chan string, 1)}}
	// Its end is stop's affair: a cancelled ctx must leave it the time to end in order.
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), self, "serve", "--listen", "127.0.0.1:0",
		"--data-dir", filepath.Join(dir, "data"), "--allow-network", "127.0.0.0/8",
		"--log-format", "json", "--shutdown-grace", "2s")
	s.cmd.Env = plainEnviron()
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	go func() {
		s.result = s.cmd.Wait()
		close(s.ended)
	}()
	select {
	case address := <-s.log.listening:
		s.url = "http://" + address
	case <-s.ended:
		return nil, s.failure()
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), s.stop())
	}
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// awaitReady asks the server until it serves.
func (s *demoServer) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return s.failure()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// while is a context that ends with the server.
func (s *demoServer) while(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-s.ended:
			cancel(s.failure())
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// stop ends the server, in order if it does so in time.
func (s *demoServer) stop() error {
	const patience = 15 * time.Second
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the server: %w", err)
	}
	timer := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() }) // it has ended if this fails
	defer timer.Stop()
	<-s.ended
	if s.result != nil && s.cmd.ProcessState.ExitCode() >= 0 {
		return s.failure()
	}
	return nil // in order, or by the second of two signals: an interrupt goes to children too
}

func (s *demoServer) failure() error {
	result := s.result
	if result == nil {
		result = errors.New("without an error")
	}
	return fmt.Errorf("the server ended: %w; its last words were\n%s", result, s.log.tail())
}

// plainEnviron is the environment without what would configure the server.
func plainEnviron() []string {
	var plain []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CENTRIFUGE_") {
			plain = append(plain, v)
		}
	}
	return plain
}

// serverLog reads a server's log in JSON: it tells the address when the server
// says it, and keeps the last lines for when something goes wrong.
type serverLog struct {
	listening chan string // has room for one

	mu struct {
		sync.Mutex
		rest  []byte // of a line that is not whole
		lines []string
	}
}

const keptLines = 10

// Write implements [io.Writer].
func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.rest = append(l.mu.rest, p...)
	for {
		line, rest, whole := bytes.Cut(l.mu.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		l.mu.rest = rest
		l.mu.lines = append(l.mu.lines, string(line))
		if len(l.mu.lines) > keptLines {
			l.mu.lines = l.mu.lines[1:]
		}
		var record struct{ Msg, Address string }
		if json.Unmarshal(line, &record) == nil && record.Msg == "listening" {
			select {
			case l.listening <- record.Address:
			default: // said before
			}
		}
	}
}

func (l *serverLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.mu.lines, "\n")
}
