package director

import "centrifuge"

// Ledger counts jobs. Every job that was ever made durable is in exactly one of
// the other fields beside Accepted.
type Ledger struct {
	Accepted  int64
	Succeeded int64
	Discarded int64
	Archived  int64
	Moved     int64

	AwaitingScheduling int64
	Executing          int64
	AwaitingRetry      int64
	Archiving          int64
}

// Pending is how many jobs have not reached their end.
func (l *Ledger) Pending() int64 {
	return l.AwaitingScheduling + l.Executing + l.AwaitingRetry + l.Archiving
}

// Add adds the counts of another JobDB or queue.
func (l *Ledger) Add(other *Ledger) {
	l.Accepted += other.Accepted
	for _, s := range centrifuge.States {
		*l.count(s) += *other.count(s)
	}
}

// Balanced reports whether accepted = succeeded + discarded + archived + moved + pending.
func (l *Ledger) Balanced() bool {
	return l.Accepted == l.Succeeded+l.Discarded+l.Archived+l.Moved+l.Pending()
}

// count is the field for a state.
func (l *Ledger) count(s centrifuge.State) *int64 {
	switch s {
	case centrifuge.StateAwaitingScheduling:
		return &l.AwaitingScheduling
	case centrifuge.StateExecuting:
		return &l.Executing
	case centrifuge.StateSucceeded:
		return &l.Succeeded
	case centrifuge.StateDiscarded:
		return &l.Discarded
	case centrifuge.StateAwaitingRetry:
		return &l.AwaitingRetry
	case centrifuge.StateArchiving:
		return &l.Archiving
	case centrifuge.StateArchived:
		return &l.Archived
	case centrifuge.StateMoved:
		return &l.Moved
	}
	return nil
}

// QueueLedger is the ledger of one queue.
type QueueLedger struct {
	Queue  centrifuge.QueueKey
	Ledger Ledger
}
