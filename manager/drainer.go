package manager

import (
	"context"

	"centrifuge/lease"
)

// Drainer moves jobs from one JobDB to another.
type Drainer interface {
	// Drain moves the unfinished jobs of from to the Director to, into the JobDB
	// that is its own now, and returns the ledger of from when nothing is pending in
	// it. Jobs that to knows already are moved once. It may be cut off anywhere and
	// called again, as long as to owns the same JobDB. Progress hears of the ledger
	// from time to time, in one goroutine.
	Drain(ctx context.Context, from Held, to Director, progress func(Ledger)) (Ledger, error)

	// Sweep logs as moved those unfinished jobs of from that into holds, and sees to
	// it that none can arrive there any more. It may be cut off anywhere and called
	// again.
	Sweep(ctx context.Context, from, into Held) error
}

// Held is a JobDB whose lease the Manager holds.
type Held struct {
	Name   string
	Server string
	Lease  lease.Lease
}
