package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newSamples() *cobra.Command {
	var r remote
	var req pb.SamplesRequest
	cmd := &cobra.Command{
		Use:   "samples",
		Short: "Show the latest few attempts of a queue, as they were made and answered",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.Source == "" || req.Destination == "" {
				return usagef("--source and --destination name the queue, and one is missing")
			}
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			resp, err := c.Visibility.Samples(cmd.Context(), connect.NewRequest(&req))
			if err != nil {
				return r.explain(fmt.Errorf("get the samples: %w", err))
			}
			for _, s := range slices.Backward(resp.Msg.GetSamples()) { // the newest is the nearest to the prompt
				if r.json {
					err = writeJSON(cmd.OutOrStdout(), s)
				} else {
					err = writeSample(cmd.OutOrStdout(), s)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	r.addTo(cmd)
	cmd.Flags().StringVar(&req.Source, "source", "", "the queue's source")
	cmd.Flags().StringVar(&req.Destination, "destination", "", "the queue's destination")
	cmd.Flags().StringVar(&req.Code, "code", "", "only attempts that ended with this status or error, such as 503 or ETIMEDOUT")
	return cmd
}

func writeSample(w io.Writer, s *pb.Sample) error {
	code := codeText(&pb.CodeCount{StatusCode: s.GetStatusCode(), ErrorCode: s.GetErrorCode()})
	lines := []string{fmt.Sprintf("%s  job %s, attempt %d: %s after %s", stamp(s.GetTime()), s.GetJobId(), s.GetAttempt(), code, short(s.GetDuration().AsDuration()))}
	lines = append(lines, fmt.Sprintf("> %s %s", s.GetMethod(), s.GetEndpoint()))
	for _, h := range s.GetRequestHeaders() {
		lines = append(lines, "> "+h.GetName()+": "+h.GetValue())
	}
	for _, h := range s.GetResponseHeaders() {
		lines = append(lines, "< "+h.GetName()+": "+h.GetValue())
	}
	for line := range strings.Lines(s.GetBody()) {
		lines = append(lines, "  "+strings.TrimRight(line, "\n"))
	}
	for _, line := range append(lines, "") {
		if _, err := fmt.Fprintln(w, printable(line)); err != nil {
			return err
		}
	}
	return nil
}
