package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newReport() *cobra.Command {
	var r remote
	var p period
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Print a study of the answers that deliveries got",
		Long: `Prints, for a day or another time: how many jobs were delivered, at the first
attempt and after retries; which answers were terminal and which ephemeral; the
errors of the network by name; and what each further attempt gained. It is laid out
like "What we learned from a day of HTTP responses" (7 August 2018).

Shares of jobs are of those that ended in the time, shares of answers are of all
attempts.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			within, err := p.within(time.Now())
			if err != nil {
				return err
			}
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			s := stats{client: c, within: within, filter: &p.filter}
			b, err := s.breakdown(cmd.Context())
			if err != nil {
				return r.explain(err)
			}
			report := newStudy(b)
			if r.json {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			}
			return report.write(cmd.OutOrStdout())
		},
	}
	r.addTo(cmd)
	p.addTo(cmd, "24h")
	return cmd
}

// study is what the answers of a time amount to.
type study struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Accepted int64     `json:"accepted"`
	Ended    int64     `json:"ended"`
	Attempts int64     `json:"attempts"`

	Delivered    part `json:"delivered"`
	FirstAttempt part `json:"first_attempt"`
	AfterRetries part `json:"after_retries"`
	Undelivered  part `json:"undelivered"`
	Discarded    part `json:"discarded"`
	Archived     part `json:"archived"`

	Terminal  []answer `json:"terminal"`
	Ephemeral []answer `json:"ephemeral"`
	Network   []answer `json:"network"`
	Retries   []gain   `json:"retries"`

	Incomplete []missingTime `json:"incomplete,omitempty"`
}

// part is a number of jobs and its share of those that ended, 0 to 1.
type part struct {
	Jobs  int64   `json:"jobs"`
	Share float64 `json:"share"`
}

// answer is how many attempts met a code, and their share of all attempts, 0 to 1.
type answer struct {
	Code     string  `json:"code"`
	Attempts int64   `json:"attempts"`
	Share    float64 `json:"share"`
}

// gain is what an attempt delivered, and the share of ended jobs that it and those
// before it did.
type gain struct {
	Attempt   int32   `json:"attempt"`
	Delivered int64   `json:"delivered"`
	Share     float64 `json:"share_so_far"`
}

type missingTime struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Why  string    `json:"why"`
}

func newStudy(b *pb.BreakdownResponse) *study {
	c := b.GetCounts()
	s := &study{
		From: b.GetRange().GetFrom().AsTime(), To: b.GetRange().GetTo().AsTime(), Accepted: c.GetAccepted(),
		Ended:    c.GetSucceeded() + c.GetDiscarded() + c.GetArchived(),
		Attempts: c.GetSucceeded() + c.GetRetried() + c.GetDiscarded(),
		Terminal: []answer{}, Ephemeral: []answer{}, Network: []answer{}, Retries: []gain{},
	}
	jobs := func(n int64) part { return part{n, ratio(n, s.Ended)} }
	s.Delivered, s.FirstAttempt = jobs(c.GetSucceeded()), jobs(c.GetFirstAttempt())
	s.AfterRetries = jobs(c.GetSucceeded() - c.GetFirstAttempt())
	s.Discarded, s.Archived = jobs(c.GetDiscarded()), jobs(c.GetArchived())
	s.Undelivered = jobs(c.GetDiscarded() + c.GetArchived())
	for _, code := range b.GetCodes() {
		a := answer{codeText(code), code.GetCount(), ratio(code.GetCount(), s.Attempts)}
		switch {
		case code.GetOutcome() == "succeeded":
		case code.GetErrorCode() != "":
			s.Network = append(s.Network, a)
		case code.GetOutcome() == "discarded":
			s.Terminal = append(s.Terminal, a)
		default:
			s.Ephemeral = append(s.Ephemeral, a)
		}
	}
	soFar := int64(0)
	for _, a := range b.GetAttempts() {
		soFar += a.GetSucceeded()
		s.Retries = append(s.Retries, gain{a.GetAttempt(), a.GetSucceeded(), ratio(soFar, s.Ended)})
	}
	for _, g := range b.GetGaps() {
		s.Incomplete = append(s.Incomplete, missingTime{g.GetFrom().AsTime(), g.GetTo().AsTime(), g.GetWhy()})
	}
	return s
}

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func (s *study) write(w io.Writer) error {
	fmt.Fprintf(w, "Deliveries from %s to %s\n\n", s.From.Format("2006-01-02 15:04Z"), s.To.Format("2006-01-02 15:04Z"))
	t := newTable(w, "JOBS", "", "OF THOSE ENDED")
	for _, line := range []struct {
		name string
		part part
	}{
		{"ended", part{s.Ended, ratio(s.Ended, s.Ended)}},
		{"delivered", s.Delivered},
		{"  at the first attempt", s.FirstAttempt},
		{"  after retries", s.AfterRetries},
		{"not delivered", s.Undelivered},
		{"  refused for good", s.Discarded},
		{"  archived", s.Archived},
	} {
		t.row(line.name, humanize.Comma(line.part.Jobs), percent(line.part.Jobs, s.Ended))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, list := range []struct {
		name    string
		answers []answer
	}{
		{"TERMINAL ANSWERS", s.Terminal}, {"EPHEMERAL ANSWERS", s.Ephemeral}, {"ERRORS WITHOUT AN ANSWER", s.Network},
	} {
		if err := s.writeAnswers(w, list.name, list.answers); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	t = newTable(w, "ATTEMPT", "DELIVERED", "OF THOSE ENDED, SO FAR")
	for _, g := range s.Retries {
		t.row(g.Attempt, humanize.Comma(g.Delivered), fmt.Sprintf("%.2f %%", 100*g.Share))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, m := range s.Incomplete {
		if _, err := fmt.Fprintf(w, "\nINCOMPLETE from %s to %s: %s\n", m.From.Format("2006-01-02 15:04Z"), m.To.Format("15:04Z"), printable(m.Why)); err != nil {
			return err
		}
	}
	return nil
}

func (s *study) writeAnswers(w io.Writer, name string, answers []answer) error {
	if len(answers) == 0 {
		return nil
	}
	all := int64(0)
	for _, a := range answers {
		all += a.Attempts
	}
	fmt.Fprintln(w)
	t := newTable(w, name, "ATTEMPTS", "OF ALL ATTEMPTS")
	for _, a := range answers {
		t.row(a.Code, humanize.Comma(a.Attempts), percent(a.Attempts, s.Attempts))
	}
	t.row("together", humanize.Comma(all), percent(all, s.Attempts))
	return t.flush()
}
