package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge"
	"centrifuge/internal/powerloss"
	"centrifuge/jobdb"
)

const powerEnv = "CENTRIFUGE_TEST_POWER" // path, epoch, how many batches

// commitAndVanish is a child process: it commits some batches, prints the ids of each
// that was acknowledged, and ends without closing the JobDB, also if a commit fails,
// whose outcome must be unknown then.
func commitAndVanish(args string) error {
	var epoch, batches int
	path, rest, _ := strings.Cut(args, "\n")
	if _, err := fmt.Sscan(rest, &epoch, &batches); err != nil {
		return err
	}
	tune := defaults()
	tune.checkpointSize = 128 << 10
	db, err := open(context.Background(), Options{Path: path, Epoch: uint64(epoch)}, tune)
	if err != nil {
		return err
	}
	l := newLoad(make([]byte, 700))
	for range batches {
		var b jobdb.Batch
		if err := l.batch(&b, 1+rand.IntN(25), 2); err != nil {
			return err
		}
		if err := db.Commit(context.Background(), &b); err != nil {
			if !errors.Is(err, jobdb.ErrUnknownOutcome) {
				return err
			}
			_, err = os.Stdout.WriteString("unknown\n")
			return err
		}
		if _, err := os.Stdout.WriteString(acknowledged(&b)); err != nil {
			return err
		}
	}
	return nil
}

// child is one that writes a JobDB.
type child struct {
	batches int
	inject  []string // into its calls of the system
}

// traced runs children one after the other, and returns what they did, and after how
// many steps the last of them began.
func traced(t *testing.T, children ...child) (log *powerloss.Log, last int) {
	t.Helper()
	dir := t.TempDir()
	log = powerloss.New(dir)
	for i, c := range children {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s\n%d %d", powerEnv, filepath.Join(dir, "jobs.db"), i+1, c.batches))
		last = log.Len()
		if err := log.Run(t, cmd, c.inject...); err != nil {
			t.Fatal(err)
		}
	}
	return log, last
}

// left opens what a loss of power after n steps has left, and returns what is wrong
// with it.
func left(t *testing.T, log *powerloss.Log, n int, random *rand.Rand) error {
	t.Helper()
	dir := t.TempDir()
	if err := log.Cut(dir, n, random); err != nil {
		t.Fatal(err)
	}
	states := map[string]centrifuge.State{}
	for line := range strings.Lines(log.Said(n)) {
		note(states, line)
	}
	path := filepath.Join(dir, "jobs.db")
	if size, err := sizeOf(path); err != nil || size < 0 && len(states) > 0 {
		return fmt.Errorf("%d jobs were acknowledged, and the file is not there: %w", len(states), err)
	}
	db, err := Open(t.Context(), Options{Path: path, Epoch: 1 << 20})
	if err != nil {
		return err
	}
	defer db.Close()
	var verdict string
	if err := db.readers.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		return fmt.Errorf("integrity: %s, %w", verdict, err)
	}
	return compare(t.Context(), db, states)
}

// A loss of power at any moment takes nothing that was acknowledged, whatever of the
// writes that were not synced is on the disk.
func TestLossOfPowerLosesNothingAcknowledged(t *testing.T) {
	log, _ := traced(t, child{batches: 50}, child{batches: 10})
	random := rand.New(rand.NewPCG(7, 8)) //nolint:gosec // what is lost
	for i := range 40 {
		n := random.IntN(log.Len() + 1)
		if i%2 == 0 {
			n /= 12 // while the file is new
		}
		if err := left(t, log, n, random); err != nil {
			t.Errorf("after step %d of %d: %v", n, log.Len(), err)
		}
	}
}

// Of a sync that failed the kernel keeps pages that look as if they had been written.
// The next owner finds them, and must not build on what a loss of power would take.
func TestLossOfPowerAfterAFailedSync(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10)) //nolint:gosec // what is lost
	for _, first := range []int{9, 14, 30} {
		// Each thread's syncs fail from that one on, the first few do not: the JobDB opens.
		log, last := traced(t, child{batches: 5}, child{1000, []string{fmt.Sprintf("fsync:error=EIO:when=%d+", first)}}, child{batches: 30})
		before, after, failed := strings.Cut(log.Said(log.Len()), "unknown\n")
		if !failed || before == "" || after == "" {
			t.Fatalf("no commit failed: %s, %s", before, after)
		}
		for range 12 {
			n := last + random.IntN(log.Len()-last+1)
			if err := left(t, log, n, random); err != nil {
				t.Errorf("first %d, after step %d of %d: %v", first, n, log.Len(), err)
			}
		}
	}
}
