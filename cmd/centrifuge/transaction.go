package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newTransaction() *cobra.Command {
	var r remote
	var retryFor time.Duration
	cmd := &cobra.Command{
		Use:   "transaction",
		Short: "Commit or abort what was submitted with --prepare",
		Long: `Tells how far submits have come, and commits or aborts those that were made with
--prepare. Their jobs are delivered once they are committed; what is not committed
in time is aborted.

--server may name several servers, with commas: each transaction is looked for at
all of them.`,
	}
	ends := func(use, short string, end func(*client.Fleet, context.Context, ...string) error) *cobra.Command {
		return &cobra.Command{
			Use: use + " ID...", Short: short, Args: transactionIDs,
			RunE: func(cmd *cobra.Command, ids []string) error {
				f, err := r.dialFleet(cmd, client.Options{RetryFor: retryFor})
				if err != nil {
					return err
				}
				defer f.Close()
				if err := end(f, cmd.Context(), ids...); err != nil {
					return r.explain(err)
				}
				return r.showTransactions(cmd, f, ids)
			},
		}
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "show ID...", Short: "Tell how far transactions have come", Args: transactionIDs,
			RunE: func(cmd *cobra.Command, ids []string) error {
				f, err := r.dialFleet(cmd, client.Options{})
				if err != nil {
					return err
				}
				defer f.Close()
				return r.showTransactions(cmd, f, ids)
			},
		},
		ends("commit", "Have the jobs of prepared transactions delivered", (*client.Fleet).Commit),
		ends("abort", "Give prepared transactions up", (*client.Fleet).Abort),
	)
	r.addTo(cmd)
	cmd.PersistentFlags().DurationVar(&retryFor, "retry-for", 10*time.Second, "how long what fails for now is repeated, and what nobody knows is looked for")
	return cmd
}

// transactionIDs is what may be asked for in one call.
func transactionIDs(_ *cobra.Command, ids []string) error {
	if len(ids) == 0 || len(ids) > 100 {
		return usagef("give 1 to 100 ids of transactions, not %d", len(ids))
	}
	return nil
}

func (r *remote) showTransactions(cmd *cobra.Command, f *client.Fleet, ids []string) error {
	transactions := f.Transactions(cmd.Context(), ids...)
	if r.json {
		for _, tx := range transactions {
			if err := writeJSON(cmd.OutOrStdout(), tx); err != nil {
				return err
			}
		}
		return nil
	}
	line := newTable(cmd.OutOrStdout(), "TRANSACTION", "STATE", "SINCE", "JOBS", "ABORTED AT")
	for _, tx := range transactions {
		state := strings.ToLower(strings.TrimPrefix(tx.GetState().String(), "TRANSACTION_STATE_"))
		line.row(tx.GetId(), state, stamp(tx.GetTime()), len(tx.GetJobIds()), stamp(tx.GetDeadline()))
	}
	return line.flush()
}

// dialFleet is dial for one server, several, or those that Consul lists.
func (r *remote) dialFleet(cmd *cobra.Command, o client.Options) (*client.Fleet, error) {
	if err := r.fill(cmd); err != nil {
		return nil, err
	}
	var err error
	if o.Token, err = r.token(); err != nil {
		return nil, err
	}
	if r.caFile != "" {
		if o.RootCAs, err = readCAs(r.caFile); err != nil {
			return nil, err
		}
	}
	if r.timeout <= 0 {
		return nil, usagef("--timeout %s: must be above 0", r.timeout)
	}
	o.Timeout = r.timeout
	fleet := client.FleetOptions{Options: o}
	if strings.HasPrefix(r.server, discoveryScheme) {
		if fleet.Resolver, err = openDirectory(r.server); err != nil {
			return nil, err
		}
	} else {
		fleet.URLs = strings.Split(r.server, ",")
	}
	f, err := client.NewFleet(fleet)
	if err != nil {
		return nil, usagef("--server: %w", err)
	}
	return f, nil
}

// submitter submits to one server or to several.
type submitter interface {
	Submit(ctx context.Context, req *pb.SubmitRequest) (*pb.SubmitResponse, error)
	Close()
}

// dialSubmitter makes a submitter of the flags. What is submitted to one server is
// repeated there, whatever it says its JobDB is.
func (r *remote) dialSubmitter(cmd *cobra.Command, o client.Options) (submitter, error) {
	if err := r.fill(cmd); err != nil {
		return nil, err
	}
	if strings.Contains(r.server, ",") || strings.HasPrefix(r.server, discoveryScheme) {
		return r.dialFleet(cmd, o)
	}
	return r.dial(cmd, o)
}

// prepared says what is to be done with a submit that is prepared.
func prepared(resp *pb.SubmitResponse) string {
	if resp.GetState() != pb.TransactionState_TRANSACTION_STATE_PREPARED {
		return ""
	}
	return fmt.Sprintf("prepared until %s; deliver it with: centrifuge transaction commit %s\n", stamp(resp.GetDeadline()), resp.GetTransactionId())
}
