// Command bench measures Centrifuge on this machine and prints a table, or JSON
// with --json. The sink and the Director run as processes of their own; this one
// generates the load. In the same run it measures the raw limit - the same HTTP
// client posting the same bodies to the same sink with nothing in between - and,
// with --peers, other job queues doing the same work.
//
// Each figure is the median of --runs runs; a raw run stands beside each.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measurements in the order in which they run.
var measurements = [...]struct {
	name string
	run  func(context.Context, *bench) error
}{
	{"1kb", func(ctx context.Context, b *bench) error { return b.throughput(ctx, 1024, b.jobs) }},
	{"5kb", func(ctx context.Context, b *bench) error { return b.throughput(ctx, 5*1024, b.jobs/2) }},
	{"queues", queues},
	{"latency", latency},
	{"isolation", isolation},
	{"waiting", waiting},
	{"peers", peers},
	{"mariadb", onMariaDB},
	{"cycle", cycle},
	{"drain", drain},
	{"takeover", takeover},
	{"fleet", manyDirectors},
	{"recording", recording},
	{"overview", overview},
	{"firstload", firstLoad},
	{"trace", trace},
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var names []string
	for _, m := range measurements {
		names = append(names, m.name)
	}
	b := &bench{stderr: stderr, log: slog.New(slog.NewTextHandler(stderr, nil))}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.IntVar(&b.jobs, "jobs", 200_000, "jobs of a throughput run")
	flags.IntVar(&b.runs, "runs", 3, "runs of which the median is taken")
	flags.IntVar(&b.pending, "pending", 1_000_000, "jobs that wait while memory and recovery are measured, and that are drained")
	flags.IntVar(&b.traced, "traced", 10_000_000, "live jobs among which one is found")
	flags.StringVar(&b.profile, "profile", "", "`folder` for a CPU and an allocation profile of each throughput run")
	flags.StringVar(&b.serveArgs, "serve-args", "", "further `flags` for centrifuge serve, separated by spaces")
	only := flags.String("only", strings.Join(names, ","), "measurements to make, separated by commas")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer b.clean()
	var failed error
	for _, m := range measurements {
		if !strings.Contains(","+*only+",", ","+m.name+",") {
			continue
		}
		b.log.Info("measuring", "what", m.name)
		if err := m.run(ctx, b); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", m.name, err)) // the others are measured all the same
		}
	}
	if *asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return errors.Join(failed, enc.Encode(b.figures))
	}
	return errors.Join(failed, printTable(stdout, b.figures))
}
