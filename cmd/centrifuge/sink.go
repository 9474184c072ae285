package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"centrifuge/sink"
)

func newSink() *cobra.Command {
	var o sink.Options
	var listen, behaviour string
	var routes []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sink",
		Short: "Run a receiver that fails on demand and counts what it saw",
		Long: `Runs an HTTP receiver that misbehaves in the proportions it is told, and counts
every job id. It prints its URL when it listens, and what it counted at its end.
GET /_sink/stats and /_sink/jobs tell the counts before that.

A behaviour is made of fields between semicolons:

  status:REPLY[:WEIGHT],...    the mix of replies; default always 200
  latency:D | D-D | p50=D,p99=D
  rate:N  burst:N              requests a second, 429 above
  retry-after:FORM[:D]         seconds, date or none; D on every 429 and 503
  outage:START+LENGTH:REPLY    may be repeated

where REPLY is a status of 0 to 999 or one of hang, close, reset, malformed, drip,
endless and endless-header. Each --route gives the paths below a prefix another.`,
		Example: `  centrifuge sink --listen 127.0.0.1:9000 --route '/flaky=status:200:0.8,500:0.2;latency:5ms-20ms' \
    --route '/limited=rate:100' --route '/down=outage:10s+30s:503'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Default, err = sink.ParseBehaviour(behaviour); err != nil {
				return usagef("--behaviour: %w", err)
			}
			for _, spec := range routes {
				route, err := sink.ParseRoute(spec)
				if err != nil {
					return usagef("--route: %w", err)
				}
				o.Routes = append(o.Routes, route)
			}
			s, err := sink.New(o)
			if err != nil {
				return &usageError{err}
			}
			return serveSink(cmd.Context(), cmd.OutOrStdout(), s, listen, asJSON)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9000", "`address` to listen on")
	cmd.Flags().StringVar(&behaviour, "behaviour", "", "what requests meet that match no route")
	cmd.Flags().StringArrayVar(&routes, "route", nil, "`PREFIX=BEHAVIOUR` of one route; may be repeated")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 0, "seed of the choices: the same requests meet the same replies")
	cmd.Flags().BoolVar(&o.ForgetIDs, "forget-ids", false, "do not count by job id; saves 50 bytes for each")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the counts in JSON")
	return cmd
}

func serveSink(ctx context.Context, w io.Writer, s *sink.Sink, listen string, asJSON bool) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if _, err := fmt.Fprintf(w, "http://%s\n", listener.Addr()); err != nil {
		return err
	}
	if err := s.Serve(ctx, listener); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(w).Encode(s.Stats())
	}
	return writeSinkStats(w, s.Stats())
}

func writeSinkStats(w io.Writer, st sink.Stats) error {
	if _, err := fmt.Fprintf(w, "%d requests, %d answered 2xx; %d jobs, %d of them delivered, %d duplicates\n",
		st.Requests, st.Succeeded, st.IDs, st.Delivered, st.Duplicates); err != nil {
		return err
	}
	t := newTable(w, "ROUTE", "REQUESTS", "PEAK IN FLIGHT", "REPLIES")
	for _, prefix := range slices.Sorted(maps.Keys(st.Routes)) {
		route := st.Routes[prefix]
		var replies []string
		for _, reply := range slices.Sorted(maps.Keys(route.Replies)) {
			replies = append(replies, fmt.Sprintf("%s: %d", reply, route.Replies[reply]))
		}
		t.row(dash(prefix), route.Requests, route.PeakInFlight, strings.Join(replies, ", "))
	}
	return t.flush()
}
