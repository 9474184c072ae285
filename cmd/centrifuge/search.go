package main

import (
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newSearch() *cobra.Command {
	var (
		r     remote
		p     period
		req   pb.SearchRequest
		limit int
	)
	cmd := &cobra.Command{
		Use:   "search",
		Short: "Find jobs by what they are and what their last attempt met",
		Long: `Finds jobs in the JobDBs and in the archive, the oldest first. Jobs are looked at
one by one from --since on: the later that is, the sooner the answer.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			within, err := p.within(time.Now())
			if err != nil {
				return err
			}
			if limit < 1 {
				return usagef("--limit %d: must be above 0", limit)
			}
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			req.From, req.To = within.GetFrom(), within.GetTo()
			req.Source, req.Destination = p.filter.GetSource(), p.filter.GetDestination()
			t := newTable(cmd.OutOrStdout(), "JOB", "STATE", "SOURCE", "DESTINATION", "ATTEMPTS", "LAST", "ACCEPTED", "NEXT ATTEMPT")
			var missing []*pb.Missing
			for found := 0; ; {
				req.PageSize = int32(min(limit-found, 1000))
				resp, err := c.Visibility.Search(cmd.Context(), connect.NewRequest(&req))
				if err != nil {
					return r.explain(fmt.Errorf("search: %w", err))
				}
				missing = append(missing, resp.Msg.GetMissing()...)
				for _, job := range resp.Msg.GetJobs() {
					found++
					if r.json {
						if err := writeJSON(cmd.OutOrStdout(), job); err != nil {
							return err
						}
						continue
					}
					last := codeText(&pb.CodeCount{StatusCode: job.GetStatusCode(), ErrorCode: job.GetErrorCode()})
					t.row(job.GetId(), job.GetState(), job.GetSource(), job.GetDestination(), job.GetAttempts(),
						dash(last), stamp(job.GetCreatedAt()), stamp(job.GetRetryAt()))
				}
				req.PageToken = resp.Msg.GetNextPageToken()
				if req.PageToken == "" || found >= limit {
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
	r.addTo(cmd)
	p.addTo(cmd, "24h")
	cmd.Flags().StringVar(&req.JobId, "job", "", "only the job with this id")
	cmd.Flags().StringVar(&req.Endpoint, "endpoint", "", "only jobs for this endpoint; a trailing * matches any continuation")
	cmd.Flags().StringVar(&req.State, "state", "", "only jobs that stand there, such as awaiting_retry or archived")
	cmd.Flags().StringVar(&req.Code, "code", "", "only jobs whose last attempt met this status or error, such as 503 or ETIMEDOUT")
	cmd.Flags().IntVar(&limit, "limit", 100, "so many at most")
	return cmd
}
