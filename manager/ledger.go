package manager

// Ledger counts the jobs of a JobDB, or of a fleet. Every job that was accepted is
// in exactly one of the other fields.
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

// Balanced reports whether accepted = succeeded + discarded + archived + moved + pending.
func (l *Ledger) Balanced() bool {
	return l.Accepted == l.Succeeded+l.Discarded+l.Archived+l.Moved+l.Pending()
}

// add adds another JobDB's counts.
func (l *Ledger) add(other *Ledger) {
	l.Accepted += other.Accepted
	l.Succeeded += other.Succeeded
	l.Discarded += other.Discarded
	l.Archived += other.Archived
	l.Moved += other.Moved
	l.AwaitingScheduling += other.AwaitingScheduling
	l.Executing += other.Executing
	l.AwaitingRetry += other.AwaitingRetry
	l.Archiving += other.Archiving
}
