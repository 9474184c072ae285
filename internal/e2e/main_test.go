// Package e2e tests the program as it is run: the built binary in a process of
// its own, a real receiver on loopback, real files, SIGKILL. What is random comes
// from a seed that a failing test prints; E2E_SEED repeats it.
package e2e

import (
	"os"
	"strconv"
	"testing"
	"time"

	"centrifuge/internal/e2e/program"
	"centrifuge/jobdb/mysql/mysqltest"
)

// patience is how long a test may take, several times what it takes beside others on
// a machine that has nothing else to do.
const patience = 4 * time.Minute

func TestMain(m *testing.M) {
	os.Exit(program.Main(func() int { return mysqltest.Main(m) }))
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
