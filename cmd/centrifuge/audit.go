package main

import (
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newAudit() *cobra.Command {
	var r remote
	var req pb.AuditServiceListRequest
	var since time.Duration
	var limit int
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show who did what, the latest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			if since > 0 {
				req.Since = timestamppb.New(time.Now().Add(-since))
			}
			t := newTable(cmd.OutOrStdout(), "TIME", "WHO", "ROLE", "FROM", "ACTION", "SOURCE", "DESTINATION", "JOBS", "TOOK", "OUTCOME", "DETAIL")
			for left := limit; left > 0; {
				req.PageSize = int32(min(left, 1000))
				resp, err := c.Audit.List(cmd.Context(), connect.NewRequest(&req))
				if err != nil {
					return r.explain(fmt.Errorf("read the audit log: %w", err))
				}
				for _, e := range resp.Msg.GetEntries() {
					if r.json {
						if err := writeJSON(cmd.OutOrStdout(), e); err != nil {
							return err
						}
						continue
					}
					t.row(stamp(e.GetTime()), dash(e.GetWho()), e.GetRole(), dash(e.GetAddress()), e.GetAction(), dash(e.GetSource()),
						dash(e.GetDestination()), e.GetJobs(), short(e.GetTook().AsDuration()), e.GetOutcome(), dash(e.GetDetail()))
				}
				left -= len(resp.Msg.GetEntries())
				if req.PageToken = resp.Msg.GetNextPageToken(); req.PageToken == "" {
					break
				}
			}
			if r.json {
				return nil
			}
			return t.flush()
		},
	}
	r.addTo(cmd)
	fs := cmd.Flags()
	fs.StringVar(&req.Who, "who", "", "only what this one did")
	fs.StringVar(&req.Action, "action", "", "only this `ACTION`, such as queue.retry")
	fs.StringVar(&req.Source, "source", "", "only what was done to this source")
	fs.StringVar(&req.Destination, "destination", "", "only what was done to this destination")
	fs.DurationVar(&since, "since", 0, "only of the time since so long ago (default all that is kept)")
	fs.IntVar(&limit, "limit", 100, "show so many at most")
	return cmd
}
