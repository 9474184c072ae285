package sim

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

// TestSeeds runs the whole Director in virtual time, once a seed.
func TestSeeds(t *testing.T) { eachSeed(t, 500, runSeed) }

func runSeed(t *testing.T, n uint64, events io.Writer) {
	o := Options{Seed: n, Dir: t.TempDir(), Events: events}
	synctest.Test(t, func(t *testing.T) {
		report, err := Run(o)
		if err != nil {
			t.Fatalf("seed %d: %v", n, err)
		}
		if len(report.Violations) > 0 {
			t.Errorf("%s\nthe last events:\n%s\n%s",
				strings.Join(report.Violations, "\n"), strings.Join(report.Tail, "\n"), report.Plan)
		}
		t.Logf("%d jobs, %d attempts, %d archived, %d duplicates of %d in doubt, %d processes, %d tenures",
			report.Jobs, report.Attempts, report.Archived, report.Duplicates, report.Excuses, report.Processes, report.Tenures)
	})
}

// TestFleet runs a Director that is cycled, drained, robbed of its leases and killed
// in the middle of that, once a seed.
func TestFleet(t *testing.T) { eachSeed(t, 60, runFleet) }

func runFleet(t *testing.T, n uint64, events io.Writer) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(n, events)
		if err := f.troubles(); err != nil {
			t.Fatal(err)
		}
		for i, violation := range f.mu.broken {
			if i < 20 {
				t.Error(violation)
			}
		}
		t.Logf("%d orders, %d JobDBs, %d cycles, %d drains, %d leases lost, %d jobs in doubt",
			len(f.mu.orders), len(f.mu.records), f.mu.cycles, f.mu.drains, f.mu.losses, len(f.mu.excused))
	})
}

// TestSeedsRepeat is what makes a violation worth something: the same seed is the same
// run, to the last event. Among these are seeds with real files and with the real client.
func TestSeedsRepeat(t *testing.T) {
	for test, seeds := range map[string][]uint64{"TestSeeds": {1, 2, 3, 21}, "TestFleet": {1, 2}} {
		for _, n := range seeds {
			t.Run(fmt.Sprintf("%s/seed=%d", test, n), func(t *testing.T) {
				first, again := tell(t, test, n), tell(t, test, n)
				for i := range min(len(first), len(again)) {
					if first[i] != again[i] {
						t.Fatalf("event %d was\n\t%s\nand the second time\n\t%s", i+1, first[i], again[i])
					}
				}
				if len(first) != len(again) {
					t.Errorf("%d events, and the second time %d", len(first), len(again))
				}
			})
		}
	}
}

// tell is every event of a run.
func tell(t *testing.T, test string, n uint64) []string {
	t.Helper()
	var output bytes.Buffer
	if err := runAlone(t, &output, test, n, true); err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	events, _, _ := strings.Cut(output.String(), "\n--- PASS") // what follows says how long it really took
	lines := strings.Split(events, "\n")
	if len(lines) < 100 {
		t.Fatalf("hardly anything happened:\n%s", events)
	}
	return lines
}

// TestInParallel runs some seeds in this process, on all of its processors: those
// repeat nearly always, and with -race the race detector sees the Director at work.
func TestInParallel(t *testing.T) {
	for n := uint64(1); n <= 30; n++ {
		runSeed(t, n, nil)
	}
	for n := uint64(1); n <= 5; n++ {
		runFleet(t, n, io.Discard)
	}
}
