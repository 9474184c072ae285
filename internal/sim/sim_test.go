package sim

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seeds = flag.Uint64("seeds", 0, "how many seeds to run; CENTRIFUGE_SIM_SEEDS does the same")
	seed  = flag.Uint64("seed", 0, "the one seed to run; with -v every event is told")
	share = flag.String("share", "", "which of how many shares of the seeds this process is to run, as 0/2")
)

const (
	defaultSeeds = 300
	enough       = 5 // failures, after which a process runs no more seeds
)

// TestSeeds runs the whole Director in virtual time, once a seed. A process runs
// its seeds one after the other on a single processor, where goroutines take turns
// in an order that is the same each time; so that all processors have work, the
// seeds are shared out among child processes.
func TestSeeds(t *testing.T) {
	last := uint64(defaultSeeds)
	if n, err := strconv.ParseUint(os.Getenv("CENTRIFUGE_SIM_SEEDS"), 10, 64); err == nil {
		last = n
	}
	if *seeds > 0 {
		last = *seeds
	}
	if *seed == 0 && *share == "" {
		shareOut(t, last)
		return
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	first, step := uint64(1), uint64(1)
	if *seed > 0 {
		first, last = *seed, *seed
	} else if _, err := fmt.Sscanf(*share, "%d/%d", &first, &step); err != nil {
		t.Fatalf("-share %q: %v", *share, err)
	}
	if first == 0 {
		first = step
	}
	var run []uint64
	for n := first; n <= last; n += step {
		run = append(run, n)
	}
	if *seed == 0 && first == step { // with those beyond the usual ones that have found something
		run = append(run, 1608, 2425)
	}
	failed := 0
	for _, n := range run {
		if !t.Run(fmt.Sprintf("seed=%d", n), func(t *testing.T) { runSeed(t, n) }) {
			failed++
		}
		if failed == enough {
			break
		}
	}
}

// shareOut runs the seeds in as many processes as there are processors.
func shareOut(t *testing.T, last uint64) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i, n := 0, runtime.GOMAXPROCS(0); i < n; i++ {
		share := fmt.Sprintf("%d/%d", i, n)
		t.Run("share="+share, func(t *testing.T) {
			t.Parallel()
			args := []string{"-test.run=^TestSeeds$", "-share=" + share, fmt.Sprintf("-seeds=%d", last)}
			if deadline, ok := t.Deadline(); ok { // so that it names the seed that hangs
				args = append(args, fmt.Sprintf("-test.timeout=%s", time.Until(deadline)*9/10))
			}
			out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput() //nolint:gosec // this program
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func runSeed(t *testing.T, n uint64) {
	o := Options{Seed: n, Dir: t.TempDir()}
	if *seed > 0 && testing.Verbose() {
		o.Events = io.Writer(os.Stdout)
	}
	synctest.Test(t, func(t *testing.T) {
		report, err := Run(o)
		if err != nil {
			t.Fatalf("seed %d: %v", n, err)
		}
		if len(report.Violations) > 0 {
			t.Errorf("%s\nthe last events:\n%s\n%s\n\nreproduce with:\n\tgo test ./internal/sim -run TestSeeds -seed %d -v",
				strings.Join(report.Violations, "\n"), strings.Join(report.Tail, "\n"), report.Plan, n)
		}
		t.Logf("%d jobs, %d attempts, %d archived, %d duplicates of %d in doubt, %d processes, %d tenures",
			report.Jobs, report.Attempts, report.Archived, report.Duplicates, report.Excuses, report.Processes, report.Tenures)
	})
}
