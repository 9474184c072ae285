package web

import (
	"fmt"
	"time"

	"centrifuge/visibility"
)

// chart is what the script draws.
type chart struct {
	ID      string
	Title   string
	Unit    string
	Kind    string // ms for durations
	Stacked bool
	From    int64 // Unix seconds
	To      int64
	Times   []int64
	Series  []line
	Says    string `json:"-"` // for who cannot see it
}

type line struct {
	Name   string
	Class  string // the colour's name
	Values []*float64
}

func newChart(id, title, unit string, points []visibility.Point, over visibility.Range) chart {
	c := chart{ID: id, Title: title, Unit: unit, From: over.From.Unix(), To: over.To.Unix()}
	for i := range points {
		c.Times = append(c.Times, points[i].Start.Unix())
	}
	return c
}

func (c *chart) add(name, class string, points []visibility.Point, value func(*visibility.Point) (float64, bool)) {
	l := line{Name: name, Class: class, Values: make([]*float64, len(points))}
	for i := range points {
		if v, ok := value(&points[i]); ok {
			l.Values[i] = &v
		}
	}
	c.Series = append(c.Series, l)
}

// attemptsChart is what attempts came to, step by step.
func attemptsChart(points []visibility.Point, over visibility.Range, step time.Duration) chart {
	c := newChart("attempts", "Attempts", "by outcome, each "+stepName(step), points, over)
	c.Stacked = true
	var sum visibility.Counts
	for i := range points {
		sum.Succeeded += points[i].Succeeded
		sum.Retried += points[i].Retried
		sum.Discarded += points[i].Discarded
	}
	c.add("Succeeded", "succeeded", points, func(p *visibility.Point) (float64, bool) { return float64(p.Succeeded), true })
	c.add("Retried", "retried", points, func(p *visibility.Point) (float64, bool) { return float64(p.Retried), true })
	c.add("Discarded", "discarded", points, func(p *visibility.Point) (float64, bool) { return float64(p.Discarded), true })
	c.Says = fmt.Sprintf("Attempts over time: %s succeeded, %s retried, %s discarded",
		count(sum.Succeeded), count(sum.Retried), count(sum.Discarded))
	return c
}

// jobsChart is how many jobs came and how many ended, step by step.
func jobsChart(points []visibility.Point, over visibility.Range, step time.Duration) chart {
	c := newChart("jobs", "Jobs in and out", "each "+stepName(step), points, over)
	var in, out int64
	for i := range points {
		in += points[i].Accepted
		out += points[i].Ended()
	}
	c.add("Accepted", "pending", points, func(p *visibility.Point) (float64, bool) { return float64(p.Accepted), true })
	c.add("Delivered", "succeeded", points, func(p *visibility.Point) (float64, bool) { return float64(p.Succeeded), true })
	c.add("Archived", "archived", points, func(p *visibility.Point) (float64, bool) { return float64(p.Archived), true })
	c.Says = fmt.Sprintf("Jobs over time: %s accepted, %s ended", count(in), count(out))
	return c
}

// quantilesChart is how long something took, step by step.
func quantilesChart(id, title, what string, points []visibility.Point, over visibility.Range, of func(*visibility.Point) visibility.Quantiles) chart {
	c := newChart(id, title, what, points, over)
	c.Kind = "ms"
	ms := func(pick func(visibility.Quantiles) time.Duration) func(*visibility.Point) (float64, bool) {
		return func(p *visibility.Point) (float64, bool) {
			q := of(p)
			return float64(pick(q).Microseconds()) / 1000, q.Count > 0
		}
	}
	c.add("p50", "p50", points, ms(func(q visibility.Quantiles) time.Duration { return q.P50 }))
	c.add("p95", "p95", points, ms(func(q visibility.Quantiles) time.Duration { return q.P95 }))
	c.add("p99", "p99", points, ms(func(q visibility.Quantiles) time.Duration { return q.P99 }))
	c.Says = title + " over time, the median and the 95th and 99th percentiles"
	return c
}

func stepName(step time.Duration) string {
	if step == time.Minute {
		return "minute"
	}
	return long(step)
}
