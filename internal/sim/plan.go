package sim

import (
	"fmt"
	"time"

	"centrifuge/director"
	"centrifuge/schedule"
)

// plan is what the seed decides before anything happens.
type plan struct {
	seed   uint64
	sqlite bool // a real JobDB and a real folder as archive; otherwise both in memory
	http   bool // the real delivery client over in-memory connections

	faulty  time.Duration // how long things go wrong; then all is well to the end
	calm    time.Duration // how long that may take until every job is at its end
	clients int
	sources []string
	hosts   []string

	commitLatency time.Duration // longest
	readLatency   time.Duration // longest
	putLatency    time.Duration // longest
	crashes       int           // about so many
	jumps         bool          // of the clock

	options director.Options // the part that the seed decides
}

func newPlan(seed uint64) plan {
	r := dice(seed, "plan")
	p := plan{
		seed:          seed,
		sqlite:        seed%15 == 3,
		http:          seed%6 == 2,
		faulty:        between(r, 5*time.Minute, oneOf(r, 20*time.Minute, time.Hour, 5*time.Hour)),
		clients:       1 + r.IntN(3),
		commitLatency: oneOf(r, 0, time.Millisecond, 5*time.Millisecond, 50*time.Millisecond, time.Second),
		readLatency:   oneOf(r, 0, time.Millisecond, 20*time.Millisecond, time.Second),
		putLatency:    oneOf(r, 0, 10*time.Millisecond, 2*time.Second),
		crashes:       r.IntN(9),
		jumps:         happens(r, 0.4),
	}
	p.calm = 10 * time.Hour
	for i := range 1 + r.IntN(4) {
		p.sources = append(p.sources, fmt.Sprintf("source-%d", i))
	}
	for i := range 1 + r.IntN(4) {
		p.hosts = append(p.hosts, fmt.Sprintf("endpoint-%d.example", i))
	}
	p.options = director.Options{
		Name: "simulated",
		Schedule: schedule.Options{
			MaxInFlight:       oneOf(r, 1, 3, 8, 64),
			MaxPerDestination: oneOf(r, 0, 1, 2, 8),
			MaxPerQueue:       oneOf(r, 0, 1, 4),
			InitialLimit:      oneOf(r, 0, 1, 4),
			FailureRun:        oneOf(r, 0, 2, 5),
		},
		CommitInterval: oneOf(r, 0, time.Microsecond, 20*time.Millisecond, 3*time.Second+1_234_567),
		MaxUnflushed:   oneOf(r, 0, 0, 1, 7),
		CacheBytes:     oneOf[int64](r, 0, 1, 2000, 20_000),
		MaxIntakeBytes: oneOf[int64](r, 0, 0, 6_000),
		MaxPending:     oneOf[int64](r, 0, 0, 20),
		ArchiveJobs:    oneOf(r, 0, 1, 3, 20),
		ArchiveBytes:   oneOf[int64](r, 0, 2_000),
		ArchiveEvery:   oneOf(r, 0, time.Millisecond, time.Minute),
		ShutdownGrace:  oneOf(r, 0, time.Millisecond, time.Second),
	}
	if happens(r, 0.2) {
		p.options.MinFreeDisk = 1
	}
	return p
}

// String tells what is special about the run.
func (p *plan) String() string {
	store, transport := "memory", "direct"
	if p.sqlite {
		store = "sqlite"
	}
	if p.http {
		transport = "http"
	}
	o, s := p.options, p.options.Schedule
	return fmt.Sprintf("JobDB %s, transport %s, %s of faults, about %d crashes, jumps of the clock %t, latencies %s/%s/%s; "+
		"in flight %d/%d/%d, unflushed %d, cache %d, intake %d, pending %d, archive %d/%d/%s, grace %s",
		store, transport, p.faulty.Round(time.Second), p.crashes, p.jumps, p.commitLatency, p.readLatency, p.putLatency,
		s.MaxInFlight, s.MaxPerDestination, s.MaxPerQueue, o.MaxUnflushed, o.CacheBytes, o.MaxIntakeBytes, o.MaxPending,
		o.ArchiveJobs, o.ArchiveBytes, o.ArchiveEvery, o.ShutdownGrace)
}
