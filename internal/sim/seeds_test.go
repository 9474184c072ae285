package sim

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/internal/sim/steady"
)

var (
	seeds = flag.Uint64("seeds", 0, "how many seeds to run")
	seed  = flag.Uint64("seed", 0, "the one seed to run; with -v every event is told")
	alone = flag.Bool("alone", false, "run the one seed in this process: what the tests say to the program they build")
)

const (
	enough  = 5               // failures, after which no more seeds are run
	longest = 5 * time.Minute // that a seed may take, which takes a second
)

// folder is where the program is that runs seeds.
var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "centrifuge-sim-"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(folder); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// program is this package's test program on the steady runtime.
var program = sync.OnceValues(func() (string, error) {
	return steady.Build(context.Background(), folder)
})

// eachSeed runs the test's seeds, or the one that was asked for, each in a process of
// its own, so that nothing is left of those before it.
func eachSeed(t *testing.T, usual uint64, run func(t *testing.T, n uint64, events io.Writer)) {
	t.Helper()
	if *alone {
		events := io.Discard
		if testing.Verbose() {
			events = os.Stdout
		}
		run(t, *seed, events)
		return
	}
	if _, err := program(); err != nil {
		t.Fatal(err)
	}
	first, last := uint64(1), usual
	switch {
	case *seed > 0:
		first, last = *seed, *seed
	case *seeds > 0:
		last = *seeds
	}
	var failed atomic.Int32
	for n := first; n <= last; n++ {
		t.Run(fmt.Sprintf("seed=%d", n), func(t *testing.T) {
			t.Parallel()
			if failed.Load() >= enough {
				return
			}
			test, _, _ := strings.Cut(t.Name(), "/")
			if *seed > 0 && testing.Verbose() {
				if err := runAlone(t, os.Stdout, test, n, true); err != nil {
					t.Error(err)
				}
				return
			}
			var output bytes.Buffer
			if err := runAlone(t, &output, test, n, false); err != nil {
				failed.Add(1)
				t.Errorf("%v\n%s\nreproduce with:\n\tgo test ./internal/sim -run '^%s$' -seed %d -v", err, &output, test, n)
			}
		})
	}
}

// runAlone runs the test with the seed in a process of the program, which tells every
// event if it is verbose.
func runAlone(t *testing.T, output io.Writer, test string, n uint64, verbose bool) error {
	t.Helper()
	program, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	cmd := steady.Command(ctx, program, "-test.run=^"+test+"$", "-alone", fmt.Sprintf("-seed=%d", n), fmt.Sprintf("-test.v=%t", verbose))
	cmd.Stdout, cmd.Stderr = output, output
	return cmd.Run()
}
