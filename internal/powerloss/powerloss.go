// Package powerloss tells tests what a loss of power may leave of the files that a
// process wrote. It traces the process with strace: what it writes, and what it has
// synced when. Whatever was not synced may be there or not, each write for itself
// and torn between sectors, and each change of a name.
//
// A sync that fails leaves of the writes before it what a loss of power would, for
// good: the kernel takes them for written, and later syncs do not bring them.
package powerloss

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Log is what processes did below a folder, one after the other, and what they said
// on their standard output.
type Log struct {
	dir string
	ops []op
}

// New returns an empty log of a folder.
func New(dir string) *Log { return &Log{dir: dir} }

// Run runs a command to its end, and adds what it does to the log. Each of inject is
// an expression of strace's --inject. It returns the command's error.
func (l *Log) Run(t testing.TB, cmd *exec.Cmd, inject ...string) error {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	args := []string{
		"-f", "-y", "-xx", "-s", "16777216", "-o", out, "-e", "signal=none", "-e",
		"trace=open,openat,write,pwrite64,fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat",
	}
	for _, expression := range inject {
		args = append(args, "-e", "inject="+expression)
	}
	strace := exec.CommandContext(t.Context(), "strace", append(append(args, "--"), cmd.Args...)...)
	strace.Env, strace.Stderr = cmd.Env, os.Stderr
	failed := strace.Run()
	if _, exited := errors.AsType[*exec.ExitError](failed); failed != nil && !exited {
		t.Fatalf("strace: %v", failed)
	}
	trace, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	p := parser{dir: l.dir, unfinished: make(map[string]string)}
	for line := range bytes.Lines(trace) {
		if err := p.line(strings.TrimSpace(string(line))); err != nil {
			t.Fatalf("read the trace: %v", err)
		}
	}
	l.ops = append(l.ops, p.ops...)
	return failed
}

// Len is how many steps there are between which the power can go.
func (l *Log) Len() int { return len(l.ops) }

// Said is what was said within the first n steps.
func (l *Log) Said(n int) string {
	var said strings.Builder
	for _, o := range l.ops[:n] {
		if o.kind == opSay {
			said.Write(o.data)
		}
	}
	return said.String()
}

// Cut makes in a folder, which is empty, what a loss of power after n steps may have
// left.
func (l *Log) Cut(dir string, n int, random *rand.Rand) error {
	d := newDisk(random)
	for i := range l.ops[:n] {
		d.do(&l.ops[i])
	}
	for name, data := range d.cut() {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return fmt.Errorf("leave %s: %w", name, err)
		}
	}
	return nil
}
