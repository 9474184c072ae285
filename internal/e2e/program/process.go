package program

import (
	"os"
	"os/exec"
	"testing"
)

// Process is a process of the program. It may be used by several goroutines.
type Process struct {
	Log   *Log
	Ended <-chan struct{} // closed when it has ended

	process *os.Process
	err     error
}

// Start starts a process by its command line, whose first word is the path of what
// is run: [Binary], or what runs that. It ends with the test at the latest.
func Start(t *testing.T, line ...string) *Process {
	t.Helper()
	log, ended := newLog(), make(chan struct{})
	cmd := exec.Command(line[0], line[1:]...) //nolint:noctx,gosec // our own binary; it ends with the test
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{Log: log, Ended: ended, process: cmd.Process}
	go func() {
		defer close(ended)
		p.err = cmd.Wait()
	}()
	t.Cleanup(func() {
		p.Signal(os.Kill)
		<-ended
	})
	return p
}

// Signal sends a signal; one that has ended cannot be told anything.
func (p *Process) Signal(s os.Signal) { _ = p.process.Signal(s) }

// Err is how it ended, nil for well. It waits for the end.
func (p *Process) Err() error {
	<-p.Ended
	return p.err
}
