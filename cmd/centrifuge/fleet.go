package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newFleetCommand() *cobra.Command {
	r := new(remote)
	list := newFleetList(r)
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "Show the Directors and JobDBs, and change which JobDBs are in use",
		Long: `Shows the Directors and JobDBs of a fleet, and changes which JobDBs are in use. It
asks a Manager, or "centrifuge serve"; of several Managers, the one that manages
knows how far drains have come.`,
		Args: cobra.NoArgs,
		RunE: list.RunE,
	}
	cmd.AddCommand(list, newFleetCycle(r), newFleetDrain(r))
	r.addTo(cmd)
	return cmd
}

func newFleetList(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "Show the Directors and JobDBs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			resp, err := c.Fleet.Get(cmd.Context(), connect.NewRequest(&pb.FleetServiceGetRequest{}))
			if err != nil {
				return r.explain(fmt.Errorf("get the fleet: %w", err))
			}
			if r.json {
				return writeJSON(cmd.OutOrStdout(), resp.Msg)
			}
			return writeFleet(cmd.OutOrStdout(), resp.Msg, time.Now())
		},
	}
}

func writeFleet(w io.Writer, m *pb.FleetServiceGetResponse, now time.Time) error {
	t := newTable(w, "DIRECTOR", "ADDRESS", "JOBDB", "TROUBLE")
	for _, d := range m.GetDirectors() {
		t.row(d.GetName(), d.GetAddress(), dash(d.GetJobdb()), dash(d.GetError()))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	t = newTable(w, "JOBDB", "STATE", "FOR", "SERVER", "OWNER", "SIZE", "FILL", "ACCEPTED", "PENDING", "MOVED", "TARGET", "DROPPED IN", "TROUBLE")
	for _, j := range m.GetJobdbs() {
		accepted, pending, moved := any("?"), any("?"), any("?")
		if l := j.GetLedger(); l != nil {
			accepted, pending, moved = l.GetAccepted(), l.GetPending(), l.GetMoved()
		}
		age, fill := "-", "-"
		if j.GetSince() != nil {
			age = short(now.Sub(j.GetSince().AsTime()).Round(time.Second))
		}
		if j.GetState() == pb.JobDBState_JOB_DB_STATE_LIVE && m.GetMaxBytes() > 0 {
			fill = fmt.Sprintf("%d %%", 100*j.GetBytes()/m.GetMaxBytes())
		}
		left := "-"
		if j.GetDropAt() != nil {
			left = short(max(0, j.GetDropAt().AsTime().Sub(now).Round(time.Second)))
		}
		t.row(j.GetName(), jobdbState(j.GetState()), age, dash(j.GetServer()), dash(j.GetOwner()), humanize.IBytes(uint64(max(j.GetBytes(), 0))), fill,
			accepted, pending, moved, dash(j.GetTarget()), left, dash(j.GetError()))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, s := range m.GetServers() {
		if s.GetError() != "" {
			if _, err := fmt.Fprintf(w, "\nserver %s does not answer: %s\n", printable(s.GetName()), printable(s.GetError())); err != nil {
				return err
			}
		}
	}
	return nil
}

func jobdbState(s pb.JobDBState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "JOB_DB_STATE_"))
}

func newFleetCycle(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "cycle DIRECTOR",
		Short: "Have a Director go over to a spare JobDB; the one before is drained",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			resp, err := c.Fleet.Cycle(cmd.Context(), connect.NewRequest(&pb.FleetServiceCycleRequest{Director: args[0]}))
			if err != nil {
				return r.explain(fmt.Errorf("cycle: %w", err))
			}
			if r.json {
				return writeJSON(cmd.OutOrStdout(), resp.Msg)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), printable(fmt.Sprintf("%s went from %s to %s", args[0], resp.Msg.GetBefore(), resp.Msg.GetNow())))
			return err
		},
	}
}

func newFleetDrain(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "drain JOBDB",
		Short: "Have the unfinished jobs of a JobDB moved to another",
		Long: `Has the unfinished jobs of a JobDB moved to another one. Then it is kept for a while,
to tell what became of its jobs, and dropped. A Director that has it in use goes over
to a spare first. The command returns when that is decided; "fleet ls" shows how it
goes on.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			resp, err := c.Fleet.Drain(cmd.Context(), connect.NewRequest(&pb.FleetServiceDrainRequest{Jobdb: args[0]}))
			if err != nil {
				return r.explain(fmt.Errorf("drain: %w", err))
			}
			if r.json {
				return writeJSON(cmd.OutOrStdout(), resp.Msg)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), printable(drainSentence(args[0], resp.Msg.GetState())))
			return err
		},
	}
}

func drainSentence(name string, before pb.JobDBState) string {
	switch before {
	case pb.JobDBState_JOB_DB_STATE_NEW, pb.JobDBState_JOB_DB_STATE_SPARE:
		return name + " is a spare: there is nothing in it"
	case pb.JobDBState_JOB_DB_STATE_DRAINED:
		return name + " is drained, and kept until it is dropped"
	case pb.JobDBState_JOB_DB_STATE_DROPPED:
		return name + " is dropped"
	default:
		return fmt.Sprintf("%s was %s, and is drained", name, jobdbState(before))
	}
}
