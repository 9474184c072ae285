package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// writePage writes the results as Markdown.
func writePage(w io.Writer, s scenario, results []result) error {
	var p strings.Builder
	fmt.Fprintf(&p, intro, s.Directors, s.Directors, s.Queues, s.Outage.Minutes())
	p.WriteString(table(&s, results))
	p.WriteString(middle)
	for i := range results {
		if r := &results[i]; r.kind != none && r.capacity < 4 {
			fmt.Fprintf(&p, "\n### %s\n\n```\n%s```\n", strings.ToUpper(r.name[:1])+r.name[1:], chart(&s, r))
		}
	}
	_, err := io.WriteString(w, p.String())
	return err
}

const intro = `# The outage

Written by ` + "`go run ./internal/sim/outage > docs/outage.md`" + `; the same seed gives the
same page.

The post of 23 May 2018 tells how Segment's Centrifuge met its first great outage: an
endpoint that takes 16,000 requests a second let about 15 %% of them succeed, for 105
minutes. Retries brought it 100,000 requests a second at the peak, six times its
normal rate; 85 million events waited, and were delivered in the 30 minutes after.

Here the same happens to this scheduler, in virtual time.

- **Scale.** The fleet's 400,000 requests a second, 16,000 of them to the endpoint, are
  shared evenly by %d Directors; one is simulated, with 1/%d of each rate, all %d
  queues and an outage of %.0f minutes. Sums over the fleet are that one's, multiplied.
- **Real** are the scheduler with the limits of production, and the retry policy.
  **Models** are the endpoints (50 ms in the median, ten times that in the outage; 1.5 %%
  of all requests to healthy endpoints fail) and the traffic (random moments, queues by
  a power law). There is no JobDB, no network and no processor in it.
- **Two kinds of outage**, as the post does not say which it was. *At random*: each
  request succeeds with a probability of 15 %%, however many are sent. *Overload*: the
  endpoint takes 15 %% of its normal rate, and refuses what is beyond.
- **Afterwards** the endpoint takes 3.95 times its normal rate, which is the least that the
  30 minutes of the original say; or 6.25 times, which is what it was sent at the peak.

## Results

`

const middle = `
What to read in it:

- **The endpoint** gets a small part of its normal rate while it is in trouble, never
  more than that rate; afterwards it gets what it can take, and a few percent more, by
  which the scheduler finds out how much that is. Without an outage it gets 1.5 % more
  than its normal rate: the retries of what fails by itself.
- **Gentleness has a price.** Of what an overloaded endpoint can take, two thirds are
  used. One that fails at random is sent so little that hardly anything of the 15 % is
  delivered before it is over, which the original did deliver, with six times the normal
  rate: to the scheduler, failures look like overload. So the backlog is larger by up to
  a sixth than the 85 million of the original, and nothing of it expires (4 hours).
- **The drain** begins within seconds, and is as fast as the endpoint allows: the last
  line is what it takes at least, as only what the endpoint takes beyond its new jobs
  shrinks the backlog.
- **The others** do not notice: 999 of 1,000 wait as long as without the outage. The
  longest single wait, of tens of millions, is that of a busy queue after failures of its
  own, and differs from run to run.

## Through time

Requests sent to the endpoint in five minutes: one ` + "`#`" + ` is a tenth of its normal rate.
Waiting jobs are those of the whole fleet.
`

// table has one column for each run.
func table(s *scenario, results []result) string {
	recovered := s.recovered()
	fleet := float64(s.Directors)
	rows := []struct {
		name, original string
		value          func(r *result) string
	}{
		{"requests during the outage, × normal", "", func(r *result) string {
			return fmt.Sprintf("%.3f", r.over(s.Before, recovered).sent)
		}},
		{"the same, worst minute", "6.25", func(r *result) string {
			return fmt.Sprintf("**%.2f**", r.over(s.Before, recovered).peak)
		}},
		{"delivered during the outage, × normal", "0.15", func(r *result) string {
			return fmt.Sprintf("%.3f", r.over(s.Before, recovered).delivered)
		}},
		{"waiting at its end, whole fleet", "85 million", func(r *result) string {
			return fmt.Sprintf("%.1f million", fleet*float64(r.backlog)/1e6)
		}},
		{"requests after it, worst minute, × normal", "", func(r *result) string {
			return fmt.Sprintf("%.2f", r.over(recovered, recovered+s.After).peak)
		}},
		{"until the backlog is delivered", "30 min", func(r *result) string {
			return "**" + minutes(r.drained) + "**"
		}},
		{"jobs lost", "0", func(r *result) string {
			return fmt.Sprintf("**%d**", r.endings.pending()+r.rest.pending())
		}},
		{"jobs archived as expired", "", func(r *result) string {
			return fmt.Sprint(r.endings.Archived + r.rest.Archived)
		}},
		{"jobs delivered twice", "", func(r *result) string {
			return fmt.Sprint(r.endings.Twice + r.rest.Twice)
		}},
		{"others: wait for the first attempt, p50", "", wait(0.5)},
		{"the same, p99", "", wait(0.99)},
		{"the same, p99.9", "", wait(0.999)},
		{"the same, longest", "", wait(1)},
		{"jobs simulated, to the endpoint and others", "", func(r *result) string {
			return fmt.Sprintf("%.2f and %.1f million", float64(r.endings.Submitted)/1e6, float64(r.rest.Submitted)/1e6)
		}},
		{"the least that the drain can take", "", func(r *result) string { return minutes(r.bound()) }},
	}
	var b strings.Builder
	b.WriteString("| | original |")
	for _, r := range results {
		fmt.Fprintf(&b, " %s |", r.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(results)) + "\n")
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s | %s |", row.name, row.original)
		for i := range results {
			fmt.Fprintf(&b, " %s |", row.value(&results[i]))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func wait(q float64) func(*result) string {
	return func(r *result) string {
		return fmt.Sprintf("%.3g ms", float64(r.others.quantile(q).Microseconds())/1e3)
	}
}

func minutes(d time.Duration) string { return fmt.Sprintf("%.1f min", d.Minutes()) }

// chart shows a run in steps of five minutes.
func chart(s *scenario, r *result) string {
	const step = 5 * time.Minute
	var b strings.Builder
	fmt.Fprintf(&b, "%5s  %7s  %9s  %9s\n", "time", "waiting", "delivered", "requests")
	for from := time.Duration(0); from+step <= s.recovered()+r.drained+2*step; from += step {
		sum := r.over(from, from+step)
		mark := ""
		switch {
		case from == s.Before:
			mark = "  < the outage begins"
		case from == s.recovered():
			mark = "  < it is over"
		}
		waiting := float64(r.minutes[(from+step)/time.Minute-1].pending*s.Directors) / 1e6
		fmt.Fprintf(&b, "%2d:%02d  %6.1fM  %9.2f  %8.2f  %s%s\n",
			int(from.Hours()), int(from.Minutes())%60, waiting, sum.delivered, sum.sent,
			strings.Repeat("#", int(sum.sent*10+0.5)), mark)
	}
	return b.String()
}
