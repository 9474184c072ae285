// Package steady builds test programs whose goroutines act in an order that is the
// same each time: on Go's own runtime but for a few lines (see edits).
//
// It is for programs that run everything in one bubble of testing/synctest, whose
// time is virtual. Go's runtime lets chance decide there what comes first at one
// instant, on purpose, and real time as well: how long a goroutine has run, how long a
// system call takes, and when the garbage collector comes. Without these, all that is
// left is what the program itself does.
package steady

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// memory bounds the heap of a program. The garbage collector comes only near it.
const memory = "3GiB"

// Build builds the tests of the package in the working directory on the steady runtime,
// as the program dir/steady.test. dir is an empty folder and an absolute path. It fails
// if the runtime of the Go that builds is not one that the edits fit.
func Build(ctx context.Context, dir string) (program string, err error) {
	root, err := goCommand(ctx, "env", "GOROOT")
	if err != nil {
		return "", fmt.Errorf("find the runtime's sources: %w", err)
	}
	overlay, err := writeOverlay(filepath.Join(strings.TrimSpace(root), "src", "runtime"), dir)
	if err != nil {
		return "", fmt.Errorf("edit the runtime: %w", err)
	}
	program = filepath.Join(dir, "steady.test")
	if _, err := goCommand(ctx, "test", "-c", "-overlay", overlay, "-o", program, "."); err != nil {
		return "", fmt.Errorf("build on the steady runtime: %w", err)
	}
	return program, nil
}

func goCommand(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // C has threads of its own
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, complaint.String())
	}
	return string(out), nil
}

// writeOverlay writes the edited files, and for the go command what they replace.
func writeOverlay(runtime, dir string) (string, error) {
	edited := make(map[string]string) // sources by file
	for i := range edits {
		e := &edits[i]
		if edited[e.file] == "" {
			source, err := os.ReadFile(filepath.Join(runtime, e.file))
			if err != nil {
				return "", err
			}
			edited[e.file] = string(source)
		}
		var err error
		if edited[e.file], err = e.apply(edited[e.file]); err != nil {
			return "", fmt.Errorf("%s: %w", e.file, err)
		}
	}
	var overlay struct{ Replace map[string]string }
	overlay.Replace = make(map[string]string)
	for file, source := range edited {
		replacement := filepath.Join(dir, file)
		if err := os.WriteFile(replacement, []byte(source), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(runtime, file)] = replacement
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// Command is the program, to be run as it must be for its order to be steady. When ctx
// ends it tells where its goroutines are, and exits.
func Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // which program is the caller's affair
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off", "GOMEMLIMIT="+memory)
	// Nothing less ends a goroutine that never yields.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	return cmd
}
