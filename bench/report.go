package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// figure is one line of the report.
type figure struct {
	Name    string    `json:"name"`
	Value   float64   `json:"value"` // the median
	Unit    string    `json:"unit"`
	AtLeast string    `json:"at_least,omitempty"` // what is asked for
	Aim     string    `json:"aim,omitempty"`
	Runs    []float64 `json:"runs,omitempty"`
}

func (b *bench) report(name, unit, atLeast, aim string, runs ...float64) {
	b.figures = append(b.figures, figure{name, median(runs), unit, atLeast, aim, runs})
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// ratios divides run by run, so that a slow moment of the machine weighs on both.
func ratios(values, by []float64) []float64 {
	out := make([]float64, min(len(values), len(by)))
	for i := range out {
		out[i] = values[i] / by[i]
	}
	return out
}

func printTable(w io.Writer, figures []figure) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	lines := []string{"figure\tmedian\tunit\tat least\taim\truns"}
	for _, f := range figures {
		runs := make([]string, len(f.Runs))
		for i, r := range f.Runs {
			runs[i] = number(r)
		}
		lines = append(lines, strings.Join([]string{f.Name, number(f.Value), f.Unit, f.AtLeast, f.Aim, strings.Join(runs, " ")}, "\t"))
	}
	if _, err := io.WriteString(tw, strings.Join(lines, "\n")+"\n"); err != nil {
		return err
	}
	return tw.Flush()
}

func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
