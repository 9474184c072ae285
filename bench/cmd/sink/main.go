// Command sink runs the misbehaving receiver of package sink in a process of its
// own, so that a benchmark does not measure it. It prints its URL as one line on
// standard output once it listens, and ends on SIGTERM or an interrupt.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"centrifuge/sink"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	var opts sink.Options
	flags := flag.NewFlagSet("sink", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "`address` to listen on")
	flags.Uint64Var(&opts.Seed, "seed", 0, "seed of the sink's choices")
	flags.BoolVar(&opts.ForgetIDs, "forget-ids", false, "do not count by job id")
	flags.BoolVar(&opts.MeasureArrival, "measure-arrival", false, "keep a histogram of the time from "+sink.HeaderSent+" to arrival")
	flags.Func("route", "`PREFIX=BEHAVIOUR` of one route, as in /flaky=status:200:0.8,500:0.2 (may be repeated)", func(spec string) error {
		route, err := sink.ParseRoute(spec)
		opts.Routes = append(opts.Routes, route)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := sink.New(opts)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("sink: %w", err)
	}
	if _, err := fmt.Fprintf(stdout, "http://%s\n", l.Addr()); err != nil {
		return errors.Join(fmt.Errorf("sink: print the URL: %w", err), l.Close())
	}
	return s.Serve(ctx, l)
}
