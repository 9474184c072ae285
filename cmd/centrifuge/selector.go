package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "centrifuge/gen/centrifuge/v1"
)

// addSelector gives cmd the flags that choose queues.
func addSelector(cmd *cobra.Command, sel *pb.QueueSelector) {
	cmd.Flags().StringVar(&sel.Source, "source", "", "only queues of this source")
	cmd.Flags().StringVar(&sel.Destination, "destination", "", "only queues of this destination")
}

// requireSelector refuses a selector that names nothing, so that nobody changes
// all queues by leaving it out.
func requireSelector(sel *pb.QueueSelector) error {
	if sel.GetSource() == "" && sel.GetDestination() == "" {
		return usagef("name the queues with --source, --destination or both")
	}
	return nil
}

// describe names the selected queues in a sentence.
func describe(sel *pb.QueueSelector) string {
	switch {
	case sel.GetSource() == "":
		return "destination " + sel.GetDestination()
	case sel.GetDestination() == "":
		return "source " + sel.GetSource()
	default:
		return "queue " + sel.GetSource() + " → " + sel.GetDestination()
	}
}

// retryFlags are the flags of a retry policy.
type retryFlags struct {
	minBackoff, maxBackoff time.Duration
	maxAttempts            uint32
}

func (r *retryFlags) addTo(fs *pflag.FlagSet) {
	fs.DurationVar(&r.minBackoff, "min-backoff", 0, "ceiling of the first wait before another attempt (default 5s)")
	fs.DurationVar(&r.maxBackoff, "max-backoff", 0, "ceiling of every wait before another attempt (default 30m)")
	fs.Uint32Var(&r.maxAttempts, "max-attempts", 0, "archive a job after so many attempts (default as many as fit before it expires)")
}

// policy is nil if no flag was given.
func (r *retryFlags) policy() *pb.RetryPolicy {
	if *r == (retryFlags{}) {
		return nil
	}
	return &pb.RetryPolicy{
		MinBackoff:  optional(r.minBackoff),
		MaxBackoff:  optional(r.maxBackoff),
		MaxAttempts: r.maxAttempts,
	}
}

// optional is nil for 0, which stands for what the server does by default.
func optional(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
