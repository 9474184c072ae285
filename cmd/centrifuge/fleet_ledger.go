package main

import (
	"context"
	"fmt"
	"time"

	"centrifuge/director"
	"centrifuge/fanout"
	"centrifuge/manager"
	"centrifuge/rpc"
	"centrifuge/schedule"
)

// booksPatience is how long the JobDBs of a fleet may take to be counted.
const booksPatience = 10 * time.Second

// fleetLedger is the ledger of a whole fleet, as LedgerService has it.
type fleetLedger struct {
	m *manager.Manager

	// counted, if given, are the books as who manages the fleet has them, who alone
	// knows how far drains have come.
	counted func(context.Context) (manager.Books, error)

	d   *director.Director // nil in a process that is none
	all *fanout.Fleet      // likewise
}

var _ rpc.LedgerBackend = (*fleetLedger)(nil)

// Ledger implements [rpc.LedgerBackend].
func (l *fleetLedger) Ledger(ctx context.Context) (director.Ledger, []fanout.Missing, error) {
	ctx, cancel := context.WithTimeout(ctx, booksPatience)
	defer cancel()
	if l.counted != nil {
		if books, err := l.counted(ctx); err == nil {
			return director.Ledger(books.Total), uncounted(books.Uncounted), nil
		}
	}
	return l.without(ctx, "")
}

// without is the ledger of all JobDBs but one.
func (l *fleetLedger) without(ctx context.Context, name string) (director.Ledger, []fanout.Missing, error) {
	f, err := l.m.Fleet(ctx)
	if err != nil {
		return director.Ledger{}, nil, fmt.Errorf("count the fleet's jobs: %w", err)
	}
	books := f.Books(name)
	return director.Ledger(books.Total), uncounted(books.Uncounted), nil
}

func uncounted(jobdbs []string) (missing []fanout.Missing) {
	for _, name := range jobdbs {
		missing = append(missing, fanout.Missing{JobDB: name, Why: "its jobs cannot be counted at the moment"})
	}
	return missing
}

// errElsewhere is the answer to what only a Director knows.
const errElsewhere = uncountable("this is a Manager; ask a Director")

// uncountable says why there is no ledger for now. It is a [director.ErrUnavailable]
// whose advice, for Submits, would be no help.
type uncountable string

func (e uncountable) Error() string        { return string(e) }
func (e uncountable) Is(target error) bool { return target == director.ErrUnavailable }

// LedgerByQueue implements [rpc.LedgerBackend]: of the JobDBs that are in use.
func (l *fleetLedger) LedgerByQueue(ctx context.Context, sel schedule.Selector) ([]director.QueueLedger, []fanout.Missing, error) {
	if l.all == nil {
		return nil, nil, errElsewhere
	}
	now, err := l.all.Survey(ctx, fanout.Question{Selector: sel, Ledgers: true})
	return now.Ledgers, now.Missing, err
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
	others, missing, err := l.without(ctx, name)
	switch {
	case err != nil:
	case len(missing) > 0:
		err = uncountable("not all JobDBs can be counted at the moment; " + missing[0].JobDB + " for one")
	case l.d.Status().JobDB != name:
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
	own.Accepted -= own.Moved
	own.Moved = 0
	others.Add(&own)
	return others
}
