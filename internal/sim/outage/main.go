// Command outage simulates, in virtual time, the incident that the post of 23 May
// 2018 tells of: an endpoint that takes 16,000 requests a second lets 15 % of
// them succeed for 105 minutes, while the traffic to all other endpoints, 88,000
// queues on a power law, goes on. It prints what the endpoint, the others and the
// backlog saw of it as a page of Markdown.
//
// What is simulated is one of the Directors that share the traffic: its scheduler
// with the limits of production and the retry policy are the real ones, events are
// taken one after the other from a clock that is only counted, and the endpoints
// are models. There is no JobDB and no network in it, and the processor costs no
// time; what those add is measured elsewhere.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "outage:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	s := incident()
	flags := flag.NewFlagSet("outage", flag.ContinueOnError)
	flags.IntVar(&s.Directors, "directors", s.Directors, "how many Directors share the traffic; one of them is simulated")
	flags.Float64Var(&s.Others, "others", s.Others, "requests a second to all other endpoints, over all Directors")
	flags.IntVar(&s.Queues, "queues", s.Queues, "virtual queues, over all endpoints")
	flags.DurationVar(&s.Outage, "outage", s.Outage, "how long the outage lasts")
	flags.Uint64Var(&s.Seed, "seed", s.Seed, "of everything that is random")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return writePage(stdout, s, simulate(s))
}

// simulate makes all runs of the scenario, two at a time, in the order of the list.
func simulate(s scenario) []result {
	results := make([]result, len(runs))
	var running sync.WaitGroup
	room := make(chan struct{}, 2)
	for i, v := range runs {
		running.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			results[i] = newWorld(s, v).run()
		})
	}
	running.Wait()
	return results
}

// scenario is what happens. Rates are those of all Directors together.
type scenario struct {
	Seed      uint64
	Directors int           // that share the traffic evenly
	Rate      float64       // requests a second to the endpoint when all is well
	Others    float64       // requests a second to all other endpoints
	Queues    int           // over all endpoints; the endpoint has a share as of the traffic
	Endpoints int           // others
	Before    time.Duration // from the beginning to the outage
	Outage    time.Duration
	After     time.Duration // at most, for what has waited to be delivered
	Success   float64       // what is left of it in the outage
}

func (s *scenario) recovered() time.Duration { return s.Before + s.Outage }

// incident is that of the post: 16,000 of 400,000 requests a second over 80
// Directors at least, 88,000 queues, 15 % success from 16:45 to 18:30.
func incident() scenario {
	return scenario{
		Seed:      1,
		Directors: 80,
		Rate:      16_000,
		Others:    384_000,
		Queues:    88_000,
		Endpoints: 200,
		Before:    10 * time.Minute,
		Outage:    105 * time.Minute,
		After:     2 * time.Hour,
		Success:   0.15,
	}
}

// kind is a way in which an endpoint can let 15 % through.
type kind uint8

const (
	none     kind = iota // no outage, to compare with
	random               // each request succeeds with the same probability
	overload             // it takes no more requests a second than that, and fails the others
)

// variant is one run of the scenario.
type variant struct {
	name     string
	kind     kind
	capacity float64 // requests a second that the healthy endpoint can take, in its normal rate
}

// The endpoint of the post took at least 3.95 times its normal rate once it was
// well: a backlog of 85 million in 30 minutes beside what came. It was sent 6.25 times
// that rate at the peak.
var runs = [...]variant{
	{"no outage", none, 3.95},
	{"15 % at random", random, 3.95},
	{"overload", overload, 3.95},
	{"overload, ample capacity after", overload, 6.25},
}
