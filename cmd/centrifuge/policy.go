package main

import (
	"context"
	"fmt"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newQueueSet(r *remote) *cobra.Command {
	var sel pb.QueueSelector
	var policy pb.QueuePolicy
	var retry retryFlags
	var reset bool
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Replace the policy of a queue, a source or a destination",
		Long: `Replaces the policy of one queue (--source and --destination), of all queues of a
source, or of a destination. What no flag names goes back to its default. It is in
force at once, and survives a restart.`,
		Example: `  centrifuge queue set --destination api.example.com --rate 100 --concurrency 20
  centrifuge queue set --source shop --destination api.example.com --reset`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			policy.Retry = retry.policy()
			if empty := proto.Equal(&policy, &pb.QueuePolicy{}); empty != reset {
				return usagef("say what the policy is to be, or --reset alone to remove it")
			}
			return r.setPolicy(cmd, &sel, func(context.Context, *client.Client) (*pb.QueuePolicy, error) { return &policy, nil })
		},
	}
	addSelector(cmd, &sel)
	fs := cmd.Flags()
	fs.BoolVar(&policy.Paused, "paused", false, "send nothing")
	fs.Float64Var(&policy.Rate, "rate", 0, "jobs a second (default unlimited)")
	fs.Int32Var(&policy.Burst, "burst", 0, "jobs that may go at once after a lull (default one second's worth)")
	fs.Float64Var(&policy.Weight, "weight", 0, "share against its siblings (default 1)")
	fs.Int32Var(&policy.Concurrency, "concurrency", 0, "requests under way at most (default the server's)")
	fs.Int32SliceVar(&policy.RetryStatuses, "retry-status", nil, "retry this status although it would be discarded; may be repeated")
	retry.addTo(fs)
	fs.BoolVar(&reset, "reset", false, "remove the policy")
	return cmd
}

func newQueuePause(r *remote, use, short string, paused bool) *cobra.Command {
	var sel pb.QueueSelector
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  short + ". The rest of the policy stays as it is.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.setPolicy(cmd, &sel, func(ctx context.Context, c *client.Client) (*pb.QueuePolicy, error) {
				policy, err := policyOf(ctx, c, &sel)
				if err != nil {
					return nil, err
				}
				policy.Paused = paused
				return policy, nil
			})
		},
	}
	addSelector(cmd, &sel)
	return cmd
}

// setPolicy replaces the policy of the selected queues by what make returns.
func (r *remote) setPolicy(cmd *cobra.Command, sel *pb.QueueSelector, make func(context.Context, *client.Client) (*pb.QueuePolicy, error)) error {
	return r.act(cmd, sel, func(c *client.Client) (reached, string, error) {
		policy, err := make(cmd.Context(), c)
		if err != nil {
			return nil, "", err
		}
		req := &pb.SetPolicyRequest{Selector: sel, Policy: policy}
		resp, err := c.Queues.SetPolicy(cmd.Context(), connect.NewRequest(req))
		if err != nil {
			return nil, "", fmt.Errorf("set the policy of %s: %w", describe(sel), err)
		}
		text := policyText(policy)
		if text == "" {
			text = "the default"
		}
		return resp.Msg, fmt.Sprintf("the policy of %s is now: %s%s", describe(sel), text, at(resp.Msg)), nil
	})
}

// policyOf is what was last said of exactly the selected scope.
func policyOf(ctx context.Context, c *client.Client, sel *pb.QueueSelector) (*pb.QueuePolicy, error) {
	resp, err := c.Queues.GetPolicy(ctx, connect.NewRequest(&pb.GetPolicyRequest{Selector: sel}))
	if err != nil {
		return nil, fmt.Errorf("get the policy of %s: %w", describe(sel), err)
	}
	return resp.Msg.GetPolicy(), nil
}

// policyText is a policy in the words of the flags of queue set.
func policyText(p *pb.QueuePolicy) string {
	var words []string
	say := func(set bool, format string, args ...any) {
		if set {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	say(p.GetPaused(), "paused")
	say(p.GetRate() != 0, "rate=%g", p.GetRate())
	say(p.GetBurst() != 0, "burst=%d", p.GetBurst())
	say(p.GetWeight() != 0, "weight=%g", p.GetWeight())
	say(p.GetConcurrency() != 0, "concurrency=%d", p.GetConcurrency())
	for _, code := range p.GetRetryStatuses() {
		say(true, "retry-status=%d", code)
	}
	retry := p.GetRetry()
	say(retry.GetMinBackoff() != nil, "min-backoff=%s", retry.GetMinBackoff().AsDuration())
	say(retry.GetMaxBackoff() != nil, "max-backoff=%s", retry.GetMaxBackoff().AsDuration())
	say(retry.GetMaxAttempts() != 0, "max-attempts=%d", retry.GetMaxAttempts())
	return strings.Join(words, " ")
}
