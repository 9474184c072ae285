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
else, to whoever has it, until it expires or is revoked. It cannot be shown again. All
links so far are revoked by "centrifuge access rotate-keys --forget".`,
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
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s%s\nuntil %s, as %s\n",
				strings.TrimRight(r.server, "/"), resp.Msg.GetPath(), stamp(resp.Msg.GetExpireAt()), resp.Msg.GetId())
			return err
		},
	}
	r.addTo(cmd)
	cmd.Flags().StringVar(&req.Source, "source", "", "the `SOURCE` whose deliveries it shows")
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "how long it can be opened (default 24h)")
	cmd.AddCommand(newCustomerLinkLs(), newCustomerLinkRevoke())
	return cmd
}

func newCustomerLinkLs() *cobra.Command {
	var r remote
	var req pb.ListCustomerLinksRequest
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the links that have not expired, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			resp, err := c.Access.ListCustomerLinks(cmd.Context(), connect.NewRequest(&req))
			if err != nil {
				return r.explain(fmt.Errorf("list the customers' links: %w", err))
			}
			t := newTable(cmd.OutOrStdout(), "ID", "SOURCE", "MADE", "BY", "UNTIL", "REVOKED", "BY")
			for _, l := range resp.Msg.GetLinks() {
				if r.json {
					if err := writeJSON(cmd.OutOrStdout(), l); err != nil {
						return err
					}
					continue
				}
				t.row(l.GetId(), l.GetSource(), stamp(l.GetCreatedAt()), dash(l.GetCreatedBy()), stamp(l.GetExpireAt()), stamp(l.GetRevokedAt()), dash(l.GetRevokedBy()))
			}
			if r.json {
				return nil
			}
			return t.flush()
		},
	}
	r.addTo(cmd)
	cmd.Flags().StringVar(&req.Source, "source", "", "only the links to this source")
	return cmd
}

func newCustomerLinkRevoke() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "End a link, and what is open through it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := c.Access.RevokeCustomerLink(cmd.Context(), connect.NewRequest(&pb.RevokeCustomerLinkRequest{Id: args[0]})); err != nil {
				return r.explain(fmt.Errorf("revoke a customer's link: %w", err))
			}
			return nil
		},
	}
	r.addTo(cmd)
	return cmd
}
