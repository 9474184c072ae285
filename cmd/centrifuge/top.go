package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newTop() *cobra.Command {
	var (
		r         remote
		by, order string
		every     time.Duration
		window    time.Duration
		filter    pb.VisibilityFilter
	)
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch deliveries live in the terminal",
		Long: `Shows the busiest destinations, sources or queues of the last minutes and keeps
the picture up to date until it is interrupted. When the output is no terminal, or
with --json, it answers once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case every < 100*time.Millisecond:
				return usagef("--every %s: must be at least 100ms", every)
			case window < time.Minute:
				return usagef("--window %s: must be at least 1m", window)
			}
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			t := top{stats: stats{client: c, filter: &filter, json: r.json}, by: by, order: order, window: window, rows: 20}
			out := cmd.OutOrStdout()
			if r.json || !isTerminal(out) {
				t.out = out
				return r.explain(t.draw(cmd.Context(), time.Now()))
			}
			return r.explain(t.watch(cmd.Context(), out, every))
		},
	}
	r.addTo(cmd)
	cmd.Flags().StringVar(&by, "by", "destination", "`WHAT` a row is: destination, source or queue")
	cmd.Flags().StringVar(&order, "order", "volume", "by volume, failures, share (not delivered) or name")
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "how often the picture is drawn")
	cmd.Flags().DurationVar(&window, "window", 5*time.Minute, "the time that is looked at")
	cmd.Flags().StringVar(&filter.Source, "source", "", "only this source")
	cmd.Flags().StringVar(&filter.Destination, "destination", "", "only this destination")
	return cmd
}

// top draws a picture of the last minutes.
type top struct {
	stats
	by, order string
	window    time.Duration
	rows      int32
}

// Terminal sequences (ECMA-48): they clear from the cursor on, and move it home.
const (
	toHome    = "\x1b[H"
	clearLine = "\x1b[K"
	clearRest = "\x1b[J"
)

// watch draws until ctx ends. Each picture is written over the one before at once,
// so that nothing flickers.
func (t *top) watch(ctx context.Context, out io.Writer, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	if _, err := fmt.Fprint(out, toHome, clearRest); err != nil {
		return err
	}
	for {
		if file, ok := out.(interface{ Fd() uintptr }); ok {
			if _, height, err := term.GetSize(int(file.Fd())); err == nil {
				t.rows = int32(max(height-5, 1))
			}
		}
		var picture bytes.Buffer
		t.out = &picture
		if err := t.draw(ctx, time.Now()); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		text := strings.ReplaceAll(picture.String(), "\n", clearLine+"\n")
		if _, err := fmt.Fprint(out, toHome, text, clearRest); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (t *top) draw(ctx context.Context, now time.Time) error {
	to := now.Truncate(time.Minute).Add(time.Minute)
	t.within = &pb.TimeRange{From: timestamppb.New(to.Add(-t.window.Truncate(time.Minute))), To: timestamppb.New(to)}
	if t.json {
		return t.top(ctx, t.by, t.order, t.rows)
	}
	b, err := t.breakdown(ctx)
	if err != nil {
		return err
	}
	rows, err := t.ranking(ctx, t.by, t.order, t.rows)
	if err != nil {
		return err
	}
	c := b.GetCounts()
	ended := c.GetSucceeded() + c.GetDiscarded() + c.GetArchived()
	spent := now.Sub(t.within.GetFrom().AsTime()).Seconds()
	fmt.Fprintf(t.out, "%s  the last %s: %.1f delivered/s, %.1f attempts/s, success %s, at the first attempt %s\n\n",
		now.UTC().Format("15:04:05Z"), t.window.Truncate(time.Minute), float64(c.GetSucceeded())/spent,
		float64(c.GetSucceeded()+c.GetRetried()+c.GetDiscarded())/spent, percent(c.GetSucceeded(), ended), percent(c.GetFirstAttempt(), ended))
	table := newTable(t.out, append([]any{"DESTINATION", "SOURCE", "ATTEMPTS"}, countColumns()...)...)
	for _, row := range rows {
		table.row(append([]any{dash(row.GetDestination()), dash(row.GetSource()), bars(row.GetSpark())},
			countCells(row.GetCounts(), row.GetLatency(), row.GetDelay())...)...)
	}
	return table.flush()
}

// bars draws a sparkline of at most ten characters.
func bars(values []int64) string {
	const width = 10
	values = values[max(0, len(values)-width):]
	most := int64(1)
	for _, v := range values {
		most = max(most, v)
	}
	levels := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range values {
		b.WriteRune(levels[v*int64(len(levels)-1)/most])
	}
	return b.String()
}
