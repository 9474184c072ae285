package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newArchive() *cobra.Command {
	r := new(remote)
	cmd := newGroup("archive", "List what could not be delivered, and send it again",
		newArchiveList(r),
		newArchiveReplay(r),
	)
	r.addTo(cmd)
	return cmd
}

func newArchiveList(r *remote) *cobra.Command {
	var f filterFlags
	var limit int
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List archived jobs in the order in which they were archived",
		Example: `  centrifuge archive ls --destination api.example.com --since 2h --error ETIMEDOUT`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(cmd, time.Now())
			if err != nil {
				return err
			}
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			t := newTable(cmd.OutOrStdout(), "ARCHIVED", "JOB", "DESTINATION", "SOURCE", "REASON", "ATTEMPTS", "STATUS", "ERROR", "REPLAYED AS", "ENDPOINT")
			see := func(j *pb.ArchivedJob) error {
				if r.json {
					return writeJSON(cmd.OutOrStdout(), j)
				}
				t.row(stamp(j.GetArchivedAt()), j.GetId(), j.GetDestination(), j.GetSource(), j.GetReason(), j.GetAttempts(),
					dash(j.GetStatusCode()), dash(j.GetErrorCode()), dash(j.GetReplayedAs()), j.GetEndpoint())
				return nil
			}
			var damage damageReport
			if err := eachArchived(cmd.Context(), c, filter, limit, see, damage.add); err != nil {
				return r.explain(err)
			}
			if !r.json {
				if err := t.flush(); err != nil {
					return err
				}
			}
			damage.print(cmd.ErrOrStderr())
			return nil
		},
	}
	f.addTo(cmd)
	cmd.Flags().IntVar(&limit, "limit", 0, "list so many at most (default all)")
	return cmd
}

// eachArchived calls see for the archived jobs that match, limit of them at most
// if it is not 0, and damaged for what is damaged on the way.
func eachArchived(
	ctx context.Context, c *client.Client, f *pb.ArchiveFilter, limit int,
	see func(*pb.ArchivedJob) error, damaged func([]*pb.DamagedObject),
) error {
	req := &pb.ArchiveServiceListRequest{Filter: f, PageSize: 1000}
	for seen := 0; ; {
		if limit > 0 {
			req.PageSize = int32(min(limit-seen, 1000))
		}
		resp, err := c.Archive.List(ctx, connect.NewRequest(req))
		if err != nil {
			return fmt.Errorf("list the archive: %w", err)
		}
		damaged(resp.Msg.GetDamaged())
		for _, job := range resp.Msg.GetJobs() {
			if err := see(job); err != nil {
				return err
			}
			seen++
		}
		req.PageToken = resp.Msg.GetNextPageToken()
		if req.PageToken == "" || (limit > 0 && seen >= limit) {
			return nil
		}
	}
}

func newArchiveReplay(r *remote) *cobra.Command {
	var f filterFlags
	var rate float64
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Submit archived jobs again, as new jobs",
		Long: `Submits the archived jobs that match again, as new jobs that name the old ones. A
job is replayed once, however often this runs, so a replay that was cut short is
completed by running it again. What is archived after it began is left alone
unless --until says otherwise. Damaged archive objects are left out and named; if that
leaves out any job, the exit code is 1.`,
		Example: `  centrifuge archive replay --destination api.example.com --since 4h --rate 50`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			filter, err := f.filter(cmd, now)
			if err != nil {
				return err
			}
			if f.empty() {
				return usagef("say what to replay: at least one of the filter's flags")
			}
			if filter.Until == nil {
				filter.Until = timestamppb.New(now)
			}
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			bar := newProgress(cmd.ErrOrStderr(), -1, "replaying")
			var damage damageReport
			sum, err := replay(cmd.Context(), c, &pb.ReplayRequest{Filter: filter, Rate: rate, PageSize: replayPage(rate)}, bar, damage.add)
			bar.done()
			if err != nil {
				return r.explain(fmt.Errorf("replay, after %d jobs: %w; run it again to go on", sum.GetReplayed(), err))
			}
			sum.Damaged = damage.objects
			if r.json {
				err = writeJSON(cmd.OutOrStdout(), sum)
			} else {
				_, err = io.WriteString(cmd.OutOrStdout(), fmt.Sprintf("%d jobs replayed, %d left alone that had been replayed before\n",
					sum.GetReplayed(), sum.GetSkipped()))
			}
			damage.print(cmd.ErrOrStderr())
			if lost := damage.lost(); err == nil && lost > 0 {
				err = fmt.Errorf("the replay is incomplete: %d parts of the archive are damaged; %d listed jobs were left out for it, and those that only they tell of",
					lost, sum.GetLeftOut())
			}
			return err
		},
	}
	f.addTo(cmd)
	cmd.Flags().Float64Var(&rate, "rate", 0, "jobs a second at most (default as fast as they are accepted)")
	return cmd
}

// replayPage is how many jobs one call replays: no more than a few seconds' worth.
func replayPage(rate float64) int32 {
	if rate <= 0 {
		return 500
	}
	return int32(min(max(rate*5, 1), 500))
}

// replay replays page after page and returns the sum, and calls damaged for what is
// damaged on the way.
func replay(
	ctx context.Context, c *client.Client, req *pb.ReplayRequest, bar *progress, damaged func([]*pb.DamagedObject),
) (*pb.ReplayResponse, error) {
	sum := new(pb.ReplayResponse)
	for {
		resp, err := c.Archive.Replay(ctx, connect.NewRequest(req))
		if err != nil {
			return sum, err
		}
		sum.Replayed += resp.Msg.GetReplayed()
		sum.Skipped += resp.Msg.GetSkipped()
		sum.LeftOut += resp.Msg.GetLeftOut()
		damaged(resp.Msg.GetDamaged())
		bar.add(resp.Msg.GetReplayed() + resp.Msg.GetSkipped())
		req.PageToken = resp.Msg.GetNextPageToken()
		if req.PageToken == "" {
			return sum, nil
		}
	}
}
