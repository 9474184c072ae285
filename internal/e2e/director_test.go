package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// director is a `centrifuge serve` in a process of its own.
type director struct {
	cmd   *exec.Cmd
	log   *childLog
	ended chan struct{} // closed when it has ended; then err says how
	err   error
}

// startDirector starts one by its command line. It ends with the test at the
// latest.
func startDirector(t *testing.T, line []string) *director {
	t.Helper()
	d := &director{cmd: exec.Command(line[0], line[1:]...), log: &childLog{}, ended: make(chan struct{})} //nolint:gosec // our own binary
	d.cmd.Stderr = d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() {
		d.signal(os.Kill)
		<-d.ended
	})
	return d
}

// signal sends a signal; one that has ended cannot be told anything.
func (d *director) signal(s os.Signal) { _ = d.cmd.Process.Signal(s) }

// childLog keeps the end of what a process logs.
type childLog struct {
	mu struct {
		sync.Mutex
		rest      []byte // of a line that is not whole
		lines     []string
		listening string
	}
}

const keptLines = 60

// Write implements [io.Writer].
func (l *childLog) Write(p []byte) (int, error) {
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
			l.mu.listening = record.Address
		}
	}
}

// address is where the process listens, once it does.
func (l *childLog) address() (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.listening, l.mu.listening != ""
}

// String is the end of the log.
func (l *childLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("the Director's log:\n%s%s", strings.Join(l.mu.lines, "\n"), l.mu.rest)
}
