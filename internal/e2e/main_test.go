// Package e2e tests the program as it is run: the built binary in a process of
// its own, a real receiver on loopback, real files, SIGKILL. What is random comes
// from a seed that a failing test prints; E2E_SEED repeats it.
package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"centrifuge/jobdb/mysql/mysqltest"
)

// buildDir holds the binary.
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
	if buildDir, err = os.MkdirTemp("", "centrifuge-e2e-"); err != nil {
		panic(err)
	}
	code := mysqltest.Main(m)
	if err := os.RemoveAll(buildDir); err != nil {
		panic(err)
	}
	return code
}

// binary is the program as users have it, built once.
var binary = sync.OnceValues(func() (string, error) {
	if err := dependOnSources("../.."); err != nil {
		return "", err
	}
	path := filepath.Join(buildDir, "centrifuge")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "centrifuge/cmd/centrifuge").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// dependOnSources looks at every folder of the sources. The go command remembers
// what a test looked at, and so does not take its last result for one that holds
// when the program has changed, which the test's own binary does not contain.
func dependOnSources(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
}

// newSeed is a seed of the test's own.
func newSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("E2E_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("E2E_SEED: %v", err)
		}
	}
	t.Logf("seed %d (E2E_SEED=%d repeats it)", seed, seed)
	return seed
}
