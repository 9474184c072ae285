package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"centrifuge/director"
	"centrifuge/manager"
	"centrifuge/rpc"
	"centrifuge/schedule"
)

// booksPatience is how long the JobDBs of a fleet may take to be counted.
const booksPatience = 10 * time.Second

// fleetLedger is the ledger of a whole fleet, as LedgerService has it.
type fleetLedger struct {
	m *manager.Manager
	d *director.Director // nil in a process that is none
}

var _ rpc.LedgerBackend = (*fleetLedger)(nil)

// Ledger implements [rpc.LedgerBackend].
func (l *fleetLedger) Ledger() (director.Ledger, error) {
	ctx, cancel := context.WithTimeout(context.Background(), booksPatience)
	defer cancel()
	return l.without(ctx, "")
}

// without is the ledger of all JobDBs but one.
func (l *fleetLedger) without(ctx context.Context, name string) (director.Ledger, error) {
	f, err := l.m.Fleet(ctx)
	if err != nil {
		return director.Ledger{}, fmt.Errorf("count the fleet's jobs: %w", err)
	}
	books := f.Books(name)
	if len(books.Uncounted) > 0 {
		return director.Ledger{}, uncountable("the jobs of " + strings.Join(books.Uncounted, ", ") + " cannot be counted at the moment")
	}
	return director.Ledger(books.Total), nil
}

// errElsewhere is the answer to what only a Director knows.
const errElsewhere = uncountable("this is a Manager; ask a Director")

// uncountable says why there is no ledger for now. It is a [director.ErrUnavailable]
// whose advice, for Submits, would be no help.
type uncountable string

func (e uncountable) Error() string        { return string(e) }
func (e uncountable) Is(target error) bool { return target == director.ErrUnavailable }

// LedgerByQueue implements [rpc.LedgerBackend]: of the JobDBs that are in use.
func (l *fleetLedger) LedgerByQueue(sel schedule.Selector) ([]director.QueueLedger, error) {
	if l.d == nil {
		return nil, errElsewhere
	}
	return l.d.LedgerByQueue(sel)
}

// Verify implements [rpc.LedgerBackend]: the Director's JobDB is recounted, and the
// others are added to both sides.
func (l *fleetLedger) Verify(ctx context.Context) (booked, recounted director.Ledger, err error) {
	if l.d == nil {
		return booked, recounted, errElsewhere
	}
	name := l.d.Status().JobDB
	if booked, recounted, err = l.d.Verify(ctx); err != nil {
		return booked, recounted, err
	}
	others, err := l.without(ctx, name)
	if err == nil && l.d.Status().JobDB != name {
		err = uncountable("the Director went over to another JobDB meanwhile; ask again")
	}
	if err != nil {
		return booked, recounted, err
	}
	return sum(booked, others), sum(recounted, others), nil
}

// sum adds the ledger of a JobDB to that of others, whose moved jobs are counted
// where they went.
func sum(own, others director.Ledger) director.Ledger {
	others.Accepted += own.Accepted - own.Moved
	others.Succeeded += own.Succeeded
	others.Discarded += own.Discarded
	others.Archived += own.Archived
	others.AwaitingScheduling += own.AwaitingScheduling
	others.Executing += own.Executing
	others.AwaitingRetry += own.AwaitingRetry
	others.Archiving += own.Archiving
	return others
}
