package main

import (
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newCustomerLink() *cobra.Command {
	var r remote
	var req pb.CreateCustomerLinkRequest
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "customer-link --source SOURCE",
		Short: "Make a link that shows a customer the deliveries of one source",
		Long: `Prints a link to the dashboard that shows the deliveries of one source, and nothing
else, to whoever has it, until it expires. It cannot be shown again. All links so
far are withdrawn by "centrifuge access rotate-keys --forget".`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.GetSource() == "" {
				return usagef("name the source with --source")
			}
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			req.Ttl = optional(ttl)
			resp, err := c.Access.CreateCustomerLink(cmd.Context(), connect.NewRequest(&req))
			if err != nil {
				return r.explain(fmt.Errorf("make a customer's link: %w", err))
			}
			if r.json {
				return writeJSON(cmd.OutOrStdout(), resp.Msg)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s%s\nuntil %s\n",
				strings.TrimRight(r.server, "/"), resp.Msg.GetPath(), stamp(resp.Msg.GetExpireAt()))
			return err
		},
	}
	r.addTo(cmd)
	cmd.Flags().StringVar(&req.Source, "source", "", "the `SOURCE` whose deliveries it shows")
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "how long it can be opened (default 24h)")
	return cmd
}
