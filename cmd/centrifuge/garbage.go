package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// roomForGarbage is what may be allocated between two collections even if
	// less is alive. A Director keeps little and allocates a lot: with the
	// runtime's own rule, which is to collect when the heap has doubled, a small
	// heap is collected a dozen times a second.
	roomForGarbage = 128 << 20 // bytes

	maxGCPercent = 800
)

// gcPercent is GOGC for so many bytes alive: roomForGarbage, or the runtime's rule
// where that leaves more.
func gcPercent(live uint64) int {
	return int(min(max(roomForGarbage*100/max(live, 1), 100), maxGCPercent))
}

// tuneCollector fits GOGC to what is alive, every second until stop is called,
// unless the operator has set it in the environment. stop returns when it has ended.
func tuneCollector() (stop func()) {
	if _, set := os.LookupEnv("GOGC"); set {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var tuner sync.WaitGroup
	tuner.Go(func() { keepCollectorTuned(ctx) })
	return func() {
		cancel()
		tuner.Wait()
	}
}

func keepCollectorTuned(ctx context.Context) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	before := 100
	for {
		metrics.Read(live)
		// Setting it stops the world for a moment, so only if it changes much.
		if percent := gcPercent(live[0].Value.Uint64()); percent*10 > before*11 || percent*11 < before*10 {
			debug.SetGCPercent(percent)
			before = percent
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			debug.SetGCPercent(100)
			return
		}
	}
}
