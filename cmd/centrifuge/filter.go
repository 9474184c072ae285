package main

import (
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge/archive"
	pb "centrifuge/gen/centrifuge/v1"
)

// filterFlags are the terms of an archive filter, each a flag of its name.
type filterFlags struct {
	values [len(filterTerms)]string
}

var filterTerms = [...]struct{ key, usage string }{
	{"source", "only jobs of this source"},
	{"destination", "only jobs for this destination"},
	{"endpoint", "only jobs for this endpoint; a trailing * matches any continuation"},
	{"status", "only jobs whose last attempt was answered with this status"},
	{"error", "only jobs whose last attempt failed so (ETIMEDOUT), or that were archived for this reason (EXPIRED)"},
	{"since", "only jobs archived at this time or later: an age (90s, 2h, 7d) or an RFC 3339 time"},
	{"until", "only jobs archived before this time: an age or an RFC 3339 time"},
	{"job", "only the job with this id"},
}

func (f *filterFlags) addTo(cmd *cobra.Command) {
	for i, term := range filterTerms {
		cmd.Flags().StringVar(&f.values[i], term.key, "", term.usage)
	}
}

func (f *filterFlags) empty() bool { return *f == filterFlags{} }

// filter reads the flags that were given, with the rules of [archive.ParseFilter].
func (f *filterFlags) filter(cmd *cobra.Command, now time.Time) (*pb.ArchiveFilter, error) {
	var terms []string
	for i, term := range filterTerms {
		if cmd.Flags().Changed(term.key) {
			terms = append(terms, term.key+"="+f.values[i])
		}
	}
	parsed, err := archive.ParseFilter(terms, now)
	if err != nil {
		return nil, &usageError{err}
	}
	filter := &pb.ArchiveFilter{
		Source: parsed.Source, Destination: parsed.Destination, Endpoint: parsed.Endpoint,
		StatusCode: int32(parsed.StatusCode), ErrorCode: string(parsed.ErrorCode),
	}
	if !parsed.From.IsZero() {
		filter.Since = timestamppb.New(parsed.From)
	}
	if !parsed.To.IsZero() {
		filter.Until = timestamppb.New(parsed.To)
	}
	if !parsed.JobID.IsZero() {
		filter.JobId = parsed.JobID.String()
	}
	return filter, nil
}
