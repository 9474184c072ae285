// Command peers measures what other job queues make of Centrifuge's main task:
// accept a job durably, then make one HTTP POST of it. It starts the database
// the queue needs, on a loopback port and in a temporary folder, inserts and
// delivers at the same time, and stops everything it started.
//
//	peers --peer river --sink http://127.0.0.1:4000/peer --jobs 20000 --size 1024
//
// The clock runs from before the first insert until the sink has counted every
// job.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// config is what one measurement is made with.
type config struct {
	Peer      string `json:"peer"`
	Sink      string `json:"-"`
	Dir       string `json:"-"`
	Jobs      int    `json:"jobs"`
	Size      int    `json:"size"`
	Inserters int    `json:"inserters"`
	Batch     int    `json:"batch"`
	Workers   int    `json:"workers"`
	Servers   int    `json:"servers"`
	Conns     int    `json:"conns"`
}

// tuned has the settings that measured best for a peer, among those a careful
// user would consider.
func tuned(peer string) (config, error) {
	switch peer {
	case "river":
		return config{Inserters: 4, Batch: 500, Workers: 500, Servers: 1, Conns: 64}, nil
	case "asynq":
		return config{Inserters: 32, Batch: 1, Workers: 64, Servers: 32, Conns: 64}, nil
	default:
		return config{}, fmt.Errorf("--peer %q: want river or asynq", peer)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	var cfg config
	flags := flag.NewFlagSet("peers", flag.ExitOnError)
	flags.StringVar(&cfg.Peer, "peer", "river", "what to measure: river or asynq")
	flags.StringVar(&cfg.Sink, "sink", "", "`URL` to post to, on a running sink")
	flags.IntVar(&cfg.Jobs, "jobs", 20_000, "jobs to insert and deliver")
	flags.IntVar(&cfg.Size, "size", 1024, "`bytes` of a job's body")
	flags.StringVar(&cfg.Dir, "dir", os.TempDir(), "`folder` that the database's own is made in")
	flags.IntVar(&cfg.Inserters, "inserters", 0, "concurrent inserters (0: what measured best)")
	flags.IntVar(&cfg.Batch, "batch", 0, "jobs an insert; asynq knows only 1 (0: what measured best)")
	flags.IntVar(&cfg.Workers, "workers", 0, "concurrent workers (0: what measured best)")
	flags.IntVar(&cfg.Servers, "servers", 0, "servers that share the workers; river runs 1 (0: what measured best)")
	flags.IntVar(&cfg.Conns, "conns", 0, "connections to the sink (0: what measured best)")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := cfg.complete(); err != nil {
		return err
	}
	result, err := measure(ctx, cfg)
	if err != nil {
		return fmt.Errorf("measure %s: %w", cfg.Peer, err)
	}
	if *asJSON {
		return json.NewEncoder(stdout).Encode(result)
	}
	_, err = fmt.Fprintf(stdout, "%s: %d jobs of %d bytes in %v: %.0f jobs/s (all inserted after %v, all marked done after %v)\n",
		result.Peer, result.Jobs, result.Size, result.Elapsed.Round(time.Millisecond), result.PerSecond, result.Inserted.Round(time.Millisecond), result.Settled.Round(time.Millisecond))
	return err
}

func (c *config) complete() error {
	best, err := tuned(c.Peer)
	switch {
	case err != nil:
		return err
	case c.Sink == "":
		return fmt.Errorf("--sink: is required")
	case c.Jobs < 1 || c.Size < 0:
		return fmt.Errorf("--jobs %d --size %d: must be above 0", c.Jobs, c.Size)
	}
	for _, f := range []struct {
		value *int
		best  int
	}{{&c.Inserters, best.Inserters}, {&c.Batch, best.Batch}, {&c.Workers, best.Workers}, {&c.Servers, best.Servers}, {&c.Conns, best.Conns}} {
		if *f.value <= 0 {
			*f.value = f.best
		}
	}
	if c.Servers > c.Workers {
		return fmt.Errorf("--servers %d: more than --workers %d", c.Servers, c.Workers)
	}
	return nil
}
