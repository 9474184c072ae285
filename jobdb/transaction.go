package jobdb

import (
	"time"

	"centrifuge"
)

// Transaction remembers a Submit, so that its repetition is recognised, or holds
// its jobs until it is decided what becomes of them.
//
// A transaction ends once, as committed, aborted or moved; it may have been
// prepared before. Nothing follows its end.
type Transaction struct {
	ID        string
	State     TransactionState
	JobIDs    []centrifuge.ID
	CreatedAt time.Time // when it came to State; millisecond precision, UTC

	// Deadline is when a prepared one may be aborted; millisecond precision, UTC.
	Deadline time.Time

	// Drafts are given when a transaction is prepared: its jobs, as its owner
	// encodes them. They are none of the JobDB's jobs.
	Drafts []byte
}

// TransactionState is how far a transaction has come.
type TransactionState uint8

// The states of transactions. Their numbers are stored and never change.
const (
	// TransactionCommitted is that of a transaction whose jobs were accepted in
	// the same batch.
	TransactionCommitted TransactionState = iota
	// TransactionPrepared means that its jobs are durable, and not yet accepted.
	TransactionPrepared
	// TransactionAborted means that its jobs will never be accepted.
	TransactionAborted
	// TransactionMoved means that it was prepared here and goes on in another
	// JobDB.
	TransactionMoved
)

// Valid reports whether the state is one of those above.
func (s TransactionState) Valid() bool { return s <= TransactionMoved }

// Prepared is a transaction that is prepared still.
type Prepared struct {
	ID       string
	Deadline time.Time
	Size     int64 // bytes of its Drafts
}
