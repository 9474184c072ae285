package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newQueue() *cobra.Command {
	r := new(remote)
	cmd := newGroup("queue", "Show the virtual queues and change how they are served",
		newQueueList(r),
		newQueueDestinations(r),
		newQueueSet(r),
		newQueuePause(r, "pause", "Stop sending; jobs are accepted and expire all the same", true),
		newQueuePause(r, "resume", "Send again after a pause", false),
		newQueueRetry(r),
		newQueueExpire(r),
	)
	r.addTo(cmd)
	return cmd
}

func newQueueList(r *remote) *cobra.Command {
	var sel pb.QueueSelector
	var limit int
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the queues that hold jobs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			t := newTable(cmd.OutOrStdout(), "DESTINATION", "SOURCE", "READY", "WAITING", "IN FLIGHT", "LIMIT", "BREAKER", "HELD UNTIL", "POLICY")
			var holders []*pb.Holder
			print := func(q *pb.Queue) error {
				holders = q.GetHolders()
				if r.json {
					return writeJSON(cmd.OutOrStdout(), q)
				}
				t.row(q.GetDestination(), q.GetSource(), q.GetReady(), q.GetWaiting(), q.GetInFlight(), q.GetLimit(),
					q.GetBreaker(), stamp(q.GetHeldUntil()), dash(policyText(q.GetPolicy())))
				return nil
			}
			missing, err := eachQueue(cmd.Context(), c, &sel, limit, print)
			if err != nil {
				return r.explain(err)
			}
			if !r.json {
				if err := errors.Join(t.flush(), writeHolders(cmd.OutOrStdout(), holders)); err != nil {
					return err
				}
			}
			return tellMissing(cmd.ErrOrStderr(), missing)
		},
	}
	addSelector(cmd, &sel)
	cmd.Flags().IntVar(&limit, "limit", 0, "list so many at most (default all)")
	return cmd
}

// writeHolders tells what each Director has of a queue, if that was told.
func writeHolders(w io.Writer, holders []*pb.Holder) error {
	if len(holders) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	t := newTable(w, "DIRECTOR", "READY", "WAITING", "IN FLIGHT", "LIMIT", "BREAKER", "HELD UNTIL")
	for _, h := range holders {
		t.row(h.GetDirector(), h.GetReady(), h.GetWaiting(), h.GetInFlight(), h.GetLimit(), h.GetBreaker(), stamp(h.GetHeldUntil()))
	}
	return t.flush()
}

func newQueueDestinations(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "destinations",
		Short: "List the destinations that have queues, each as a whole",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			t := newTable(cmd.OutOrStdout(), "DESTINATION", "QUEUES", "IN FLIGHT", "LIMIT", "BREAKER", "HELD UNTIL", "POLICY")
			var missing []*pb.Missing
			for req := (&pb.ListDestinationsRequest{PageSize: 1000}); ; {
				resp, err := c.Queues.ListDestinations(cmd.Context(), connect.NewRequest(req))
				if err != nil {
					return r.explain(fmt.Errorf("list destinations: %w", err))
				}
				missing = resp.Msg.GetMissing()
				for _, d := range resp.Msg.GetDestinations() {
					if r.json {
						if err := writeJSON(cmd.OutOrStdout(), d); err != nil {
							return err
						}
						continue
					}
					t.row(d.GetDestination(), d.GetQueues(), d.GetInFlight(), d.GetLimit(),
						d.GetBreaker(), stamp(d.GetHeldUntil()), dash(policyText(d.GetPolicy())))
				}
				if req.PageToken = resp.Msg.GetNextPageToken(); req.PageToken == "" {
					break
				}
			}
			if !r.json {
				if err := t.flush(); err != nil {
					return err
				}
			}
			return tellMissing(cmd.ErrOrStderr(), missing)
		},
	}
}

// eachQueue calls see for the selected queues, limit of them at most if it is
// not 0. It returns what is missing on the last page.
func eachQueue(
	ctx context.Context, c *client.Client, sel *pb.QueueSelector, limit int, see func(*pb.Queue) error,
) (missing []*pb.Missing, err error) {
	req := &pb.QueueServiceListRequest{Selector: sel, PageSize: 1000}
	for seen := 0; ; {
		if limit > 0 {
			req.PageSize = int32(min(limit-seen, 1000))
		}
		resp, err := c.Queues.List(ctx, connect.NewRequest(req))
		if err != nil {
			return nil, fmt.Errorf("list queues: %w", err)
		}
		for _, q := range resp.Msg.GetQueues() {
			if err := see(q); err != nil {
				return nil, err
			}
			seen++
		}
		req.PageToken = resp.Msg.GetNextPageToken()
		if req.PageToken == "" || (limit > 0 && seen >= limit) {
			return resp.Msg.GetMissing(), nil
		}
	}
}

func newQueueRetry(r *remote) *cobra.Command {
	var sel pb.QueueSelector
	cmd := &cobra.Command{
		Use:   "retry",
		Short: "Make the waiting jobs of queues due now",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.act(cmd, &sel, func(c *client.Client) (reached, string, error) {
				resp, err := c.Queues.Retry(cmd.Context(), connect.NewRequest(&pb.RetryRequest{Selector: &sel}))
				if err != nil {
					return nil, "", fmt.Errorf("retry %s: %w", describe(&sel), err)
				}
				return resp.Msg, fmt.Sprintf("%d waiting jobs of %s are due now%s", resp.Msg.GetJobs(), describe(&sel), at(resp.Msg)), nil
			})
		},
	}
	addSelector(cmd, &sel)
	return cmd
}

func newQueueExpire(r *remote) *cobra.Command {
	var sel pb.QueueSelector
	cmd := &cobra.Command{
		Use:   "expire",
		Short: "Send the unfinished jobs of queues to the archive",
		Long: `Sends the unfinished jobs of queues to the archive, from where they can be
replayed. Jobs whose attempt is under way stay.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.act(cmd, &sel, func(c *client.Client) (reached, string, error) {
				resp, err := c.Queues.Expire(cmd.Context(), connect.NewRequest(&pb.ExpireRequest{Selector: &sel}))
				if err != nil {
					return nil, "", fmt.Errorf("expire %s: %w", describe(&sel), err)
				}
				return resp.Msg, fmt.Sprintf("%d jobs of %s are on their way to the archive%s", resp.Msg.GetJobs(), describe(&sel), at(resp.Msg)), nil
			})
		},
	}
	addSelector(cmd, &sel)
	return cmd
}

// act does something to the selected queues and prints what the server answered,
// or the sentence that says it. It fails if that did not reach all Directors.
func (r *remote) act(cmd *cobra.Command, sel *pb.QueueSelector, do func(*client.Client) (reached, string, error)) error {
	if err := requireSelector(sel); err != nil {
		return err
	}
	c, err := r.dial(cmd, client.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	answer, sentence, err := do(c)
	if err != nil {
		return r.explain(err)
	}
	if r.json {
		err = writeJSON(cmd.OutOrStdout(), answer)
	} else {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), printable(sentence))
	}
	return errors.Join(err, missed(answer))
}
