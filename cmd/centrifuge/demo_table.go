package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

// demoTable shows what becomes of the traffic: a table that is drawn over itself
// for somebody who looks, a line now and then otherwise.
type demoTable struct {
	client *client.Client
	out    io.Writer
	redraw bool
	begun  time.Time
	note   string
	drawn  int // lines of the table that is on the screen
}

const (
	redrawEvery = 500 * time.Millisecond
	lineEvery   = 2 * time.Second
)

// run shows the state until over is closed or enough says so of the ledger.
func (t *demoTable) run(ctx context.Context, over <-chan struct{}, enough func(*pb.Ledger) bool) error {
	every := lineEvery
	if t.redraw {
		every = redrawEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		total, err := t.show(ctx)
		if err != nil {
			return err
		}
		if enough(total) {
			return nil
		}
		select {
		case <-tick.C:
		case <-over:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// demoRow sums the queues of a destination.
type demoRow struct {
	ledger         pb.Ledger
	queues         int
	inFlight       int64
	ready, waiting int64
}

func (t *demoTable) show(ctx context.Context) (*pb.Ledger, error) {
	resp, err := t.client.Ledger.Get(ctx, connect.NewRequest(&pb.LedgerServiceGetRequest{ByQueue: true}))
	if err != nil {
		return nil, fmt.Errorf("get the ledger: %w", err)
	}
	rows := make(map[string]*demoRow, len(demoDestinations))
	for _, d := range demoDestinations {
		rows[d.name] = new(demoRow)
	}
	for _, q := range resp.Msg.GetQueues() {
		rows[q.GetDestination()].book(q.GetLedger())
	}
	_, err = eachQueue(ctx, t.client, nil, 0, func(q *pb.Queue) error {
		rows[q.GetDestination()].see(q)
		return nil
	})
	if err != nil {
		return nil, err
	}
	total := resp.Msg.GetTotal()
	if !t.redraw {
		_, err := fmt.Fprintf(t.out, "%4.0fs  accepted %d  delivered %d  discarded %d  archived %d  pending %d (retrying %d)  %s\n",
			time.Since(t.begun).Seconds(), total.GetAccepted(), total.GetSucceeded(), total.GetDiscarded(),
			total.GetArchived(), total.GetPending(), total.GetAwaitingRetry(), t.note)
		return total, err
	}
	return total, t.draw(total, rows)
}

func (r *demoRow) book(l *pb.Ledger) {
	r.ledger.Accepted += l.GetAccepted()
	r.ledger.Succeeded += l.GetSucceeded()
	r.ledger.Discarded += l.GetDiscarded()
	r.ledger.Archived += l.GetArchived()
}

func (r *demoRow) see(q *pb.Queue) {
	r.queues++
	r.ready += q.GetReady()
	r.waiting += q.GetWaiting()
	r.inFlight += q.GetInFlight()
}

// draw draws the table over the one before.
func (t *demoTable) draw(total *pb.Ledger, rows map[string]*demoRow) error {
	var screen bytes.Buffer
	if t.drawn > 0 {
		fmt.Fprintf(&screen, "\x1b[%dA\x1b[J", t.drawn)
	}
	body := screen.Len()
	table := newTable(&screen, "DESTINATION", "ACCEPTED", "DELIVERED", "DISCARDED", "ARCHIVED", "READY", "RETRYING", "IN FLIGHT", "QUEUES")
	for _, d := range demoDestinations {
		r := rows[d.name]
		table.row(d.name, r.ledger.GetAccepted(), r.ledger.GetSucceeded(), r.ledger.GetDiscarded(), r.ledger.GetArchived(),
			r.ready, r.waiting, r.inFlight, r.queues)
	}
	table.row("", total.GetAccepted(), total.GetSucceeded(), total.GetDiscarded(), total.GetArchived())
	if err := table.flush(); err != nil {
		return err
	}
	fmt.Fprintf(&screen, "%s  %s\n", short(time.Since(t.begun).Round(time.Second)), t.note)
	t.drawn = bytes.Count(screen.Bytes()[body:], []byte("\n"))
	_, err := t.out.Write(screen.Bytes())
	return err
}
