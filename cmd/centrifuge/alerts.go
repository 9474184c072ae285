package main

import (
	"fmt"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newAlerts() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "Show what asks for attention, and what did in the last day",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			resp, err := c.Visibility.Alerts(cmd.Context(), connect.NewRequest(&pb.AlertsRequest{}))
			if err != nil {
				return r.explain(fmt.Errorf("get the alerts: %w", err))
			}
			t := newTable(cmd.OutOrStdout(), "RULE", "SEVERITY", "SINCE", "ENDED", "ABOUT", "WHAT")
			for _, a := range resp.Msg.GetAlerts() {
				if r.json {
					if err := writeJSON(cmd.OutOrStdout(), a); err != nil {
						return err
					}
					continue
				}
				about := "everything"
				if a.GetSource() != "" || a.GetDestination() != "" {
					about = fmt.Sprintf("%v to %v", dash(a.GetSource()), dash(a.GetDestination()))
				}
				t.row(a.GetRule(), a.GetSeverity(), stamp(a.GetSince()), stamp(a.GetEnded()), about, a.GetText())
			}
			if r.json {
				return nil
			}
			return t.flush()
		},
	}
	r.addTo(cmd)
	return cmd
}
