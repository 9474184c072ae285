package sim

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
)

// TestFleet runs a Director that is cycled, drained, robbed of its leases and killed
// in the middle of that, once a seed. -seed names one, -v tells all, -seeds tells how
// many there are.
func TestFleet(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as in TestSeeds
	first, last := uint64(1), uint64(40)
	switch {
	case *seed > 0:
		first, last = *seed, *seed
	case *seeds > 0:
		last = *seeds
	}
	for n := first; n <= last; n++ {
		t.Run(fmt.Sprintf("seed=%d", n), func(t *testing.T) {
			events := io.Discard
			if *seed > 0 && testing.Verbose() {
				events = os.Stderr
			}
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
		})
	}
}
