// Package program builds the program for end-to-end tests, as users have it, and
// runs it in processes of its own.
package program

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// built is where the binary is, or why there is none.
var built struct { //nolint:gochecknoglobals // a test binary builds it once, and its TestMain removes it
	once   sync.Once
	folder string // "" outside Main
	path   string
	err    error
}

// Main runs the tests of a binary that calls [Binary], for its TestMain: with a
// folder for what is built, without the program's settings that may be in the
// environment, and, unless -parallel says otherwise, with twice as many side by side
// as there are processors, since they wait half of the time: for leases to run out,
// for retries and for servers to come back.
func Main(run func() int) int {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "CENTRIFUGE_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	folder, err := os.MkdirTemp("", "centrifuge-e2e-")
	if err != nil {
		panic(err)
	}
	built.folder = folder
	code := run()
	if err := os.RemoveAll(folder); err != nil {
		panic(err)
	}
	return code
}

// Binary is the program's path. The first call builds it.
func Binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() { built.path, built.err = build() })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

func build() (string, error) {
	if built.folder == "" {
		return "", errors.New("TestMain must run the tests with program.Main")
	}
	if err := dependOnSources(); err != nil {
		return "", fmt.Errorf("find the sources: %w", err)
	}
	path := filepath.Join(built.folder, "centrifuge")
	//nolint:noctx // it takes what time it takes
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "centrifuge/cmd/centrifuge").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
}

// dependOnSources looks at every folder of the module. The go command remembers
// what a test looked at, and so does not take its last result for one that holds
// when the program has changed, which the test's own binary does not contain.
func dependOnSources() error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(root) == root {
			return err
		}
		root = filepath.Dir(root)
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
}
