package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/sink"
)

// demoOptions are the flags of demo.
type demoOptions struct {
	duration time.Duration
	rate     float64
	sources  int
	seed     uint64
	drain    time.Duration
}

func newDemo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show Centrifuge at work against failing endpoints, on loopback",
		Long: `Starts a receiver whose endpoints fail in different ways and a server that delivers
to them, sends traffic from many sources, and shows what becomes of it. What cannot
be delivered is archived at the end, and the ledger is compared with what the
receiver counted. Exits with 1 if they disagree. Nothing is left behind.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return demo(cmd.Context(), &o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().DurationVar(&o.duration, "duration", 30*time.Second, "how long traffic comes")
	cmd.Flags().Float64Var(&o.rate, "rate", 500, "jobs a second")
	cmd.Flags().IntVar(&o.sources, "sources", 200, "who sends; the first send most")
	cmd.Flags().Uint64Var(&o.seed, "seed", 1, "seed of the traffic and of the failures")
	cmd.Flags().DurationVar(&o.drain, "drain", 15*time.Second, "how long the backlog may be delivered before the rest is archived")
	return cmd
}

func (o *demoOptions) check() error {
	switch {
	case o.duration < time.Second || o.duration > time.Hour:
		return usagef("--duration %s: want 1s to 1h", o.duration)
	case !(o.rate >= 1 && o.rate <= 20_000):
		return usagef("--rate %g: want 1 to 20000", o.rate)
	case o.sources < 1 || o.sources > 100_000:
		return usagef("--sources %d: want 1 to 100000", o.sources)
	case o.drain < 0:
		return usagef("--drain %s: must not be negative", o.drain)
	}
	return nil
}

// demo runs all of it. Whatever ends it, the server it started has ended and its
// folder is gone when it returns.
func demo(ctx context.Context, o *demoOptions, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "centrifuge-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	receiver, baseURL, stopReceiver, err := startReceiver(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopReceiver()) }()
	server, err := startServer(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	ctx, cancel := server.while(ctx)
	defer cancel()
	c, err := client.New(client.Options{URL: server.url})
	if err != nil {
		return err
	}
	defer c.Close()

	show := &demoTable{client: c, out: out, redraw: isTerminal(out), begun: time.Now()}
	traffic := newTraffic(o, baseURL)
	if err := during(ctx, o.duration, traffic, c, show); err != nil {
		return err
	}
	if err := drain(ctx, o.drain, c, show); err != nil {
		return err
	}
	return settle(ctx, c, receiver, traffic.accepted, out)
}

// startReceiver serves the misbehaving endpoints on a free port.
func startReceiver(ctx context.Context, o *demoOptions) (*sink.Sink, string, func() error, error) {
	routes, err := demoRoutes(o.duration)
	if err != nil {
		return nil, "", nil, err
	}
	receiver, err := sink.New(sink.Options{Seed: o.seed, Routes: routes})
	if err != nil {
		return nil, "", nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- receiver.Serve(ctx, listener) }()
	stop := func() error {
		cancel()
		return <-served
	}
	return receiver, "http://" + listener.Addr().String(), stop, nil
}

// during sends traffic and shows what becomes of it.
func during(ctx context.Context, d time.Duration, traffic *traffic, c *client.Client, show *demoTable) error {
	group, ctx := errgroup.WithContext(ctx)
	over := make(chan struct{})
	group.Go(func() error {
		defer close(over)
		return traffic.run(ctx, d, c)
	})
	group.Go(func() error { return show.run(ctx, over, func(*pb.Ledger) bool { return false }) })
	return group.Wait()
}

// drain waits until nothing is pending, for a while, and then archives what is.
func drain(ctx context.Context, patience time.Duration, c *client.Client, show *demoTable) error {
	enough := make(chan struct{})
	timer := time.AfterFunc(patience, func() { close(enough) })
	defer timer.Stop()
	show.note = "traffic is over; the backlog is delivered"
	if err := show.run(ctx, enough, func(l *pb.Ledger) bool { return l.GetPending() == 0 }); err != nil {
		return err
	}
	show.note = "what is left goes to the archive"
	return show.run(ctx, nil, func(l *pb.Ledger) bool {
		if l.GetPending() == 0 {
			return true
		}
		// Jobs whose attempt is under way stay, so this is said until none is left.
		for _, d := range demoDestinations {
			req := connect.NewRequest(&pb.ExpireRequest{Selector: &pb.QueueSelector{Destination: d.name}})
			if _, err := c.Queues.Expire(ctx, req); err != nil {
				return false // the table fails the same way, and tells
			}
		}
		return false
	})
}

// settle prints the ledger and compares it with what was sent and what arrived.
func settle(ctx context.Context, c *client.Client, receiver *sink.Sink, accepted int64, out io.Writer) error {
	resp, err := c.Ledger.Get(ctx, connect.NewRequest(&pb.LedgerServiceGetRequest{Verify: true}))
	if err != nil {
		return fmt.Errorf("get the ledger: %w", err)
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	if err := writeLedger(out, resp.Msg); err != nil {
		return err
	}
	ledger, seen := resp.Msg.GetTotal(), receiver.Stats()
	if _, err := fmt.Fprintf(out, "the receiver saw %d requests for %d jobs, and took %d of them, %d more than once\n",
		seen.Requests, seen.IDs, seen.Delivered, seen.Duplicates); err != nil {
		return err
	}
	switch {
	case !resp.Msg.GetBalanced():
		return errUnbalanced
	case ledger.GetAccepted() != accepted:
		return fmt.Errorf("%d jobs were accepted, and the ledger has %d", accepted, ledger.GetAccepted())
	case ledger.GetSucceeded() > int64(seen.Delivered):
		return fmt.Errorf("the ledger has %d jobs as delivered, and the receiver took %d", ledger.GetSucceeded(), seen.Delivered)
	}
	// More is possible: an answer that came after the attempt's timeout.
	_, err = fmt.Fprintf(out, "every job is accounted for: %d delivered, %d refused by their endpoints, %d in the archive\n",
		ledger.GetSucceeded(), ledger.GetDiscarded(), ledger.GetArchived())
	return err
}
