package main

import (
	"fmt"
	"io"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newJob() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "job ID",
		Short: "Tell what became of a job",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			resp, err := c.Jobs.Get(cmd.Context(), connect.NewRequest(&pb.GetRequest{Id: args[0]}))
			if err != nil {
				return r.explain(fmt.Errorf("get job %s: %w", args[0], err))
			}
			if r.json {
				return writeJSON(cmd.OutOrStdout(), resp.Msg)
			}
			return writeTrace(cmd.OutOrStdout(), resp.Msg)
		},
	}
	r.addTo(cmd)
	return cmd
}

func writeTrace(w io.Writer, trace *pb.GetResponse) error {
	job := trace.GetJob()
	head := newTable(w, "job", job.GetId())
	head.row("state", stateName(job.GetState()))
	head.row("source", job.GetSource())
	head.row("destination", job.GetDestination())
	head.row("request", fmt.Sprintf("%s %s, %d bytes", job.GetMethod(), job.GetEndpoint(), len(job.GetPayload())))
	head.row("accepted", stamp(job.GetCreatedAt()))
	head.row("expires", stamp(job.GetExpireAt()))
	if job.GetReplayOf() != "" {
		head.row("replay of", job.GetReplayOf())
	}
	if err := head.flush(); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	line := newTable(w, "TIME", "AFTER", "STATE", "ATTEMPT", "STATUS", "ERROR", "TOOK", "NEXT TRY", "DETAIL")
	for _, t := range trace.GetTransitions() {
		took := "-"
		if t.GetDuration() != nil {
			took = short(t.GetDuration().AsDuration())
		}
		line.row(
			stamp(t.GetTime()), short(t.GetTime().AsTime().Sub(job.GetCreatedAt().AsTime())),
			stateName(t.GetState()), dash(t.GetAttempt()), dash(t.GetStatusCode()), dash(t.GetErrorCode()),
			took, stamp(t.GetRetryAt()), dash(clip(t.GetError(), 80)),
		)
	}
	return line.flush()
}

// stateName is the state's name without what the wire puts before it.
func stateName(s pb.JobState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "JOB_STATE_"))
}

// clip keeps the first n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
