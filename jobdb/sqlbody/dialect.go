package sqlbody

import (
	"context"
	"database/sql"
)

// Dialect is what a database does in its own way. The schema is the dialect's
// too; its tables and columns have the names that the statements of this package
// use.
type Dialect struct {
	// Claim, if not nil, is called with a connection that is to write, before
	// anything else is done with it, to put out of its way what an earlier writer
	// has left. Its errors are explained like those of the statements.
	Claim func(context.Context, *sql.Conn) error

	// Begin starts a transaction that no other writer can run beside.
	Begin string

	// MaxEpoch selects the highest epoch of table owners, or no row or NULL, in
	// such a way that none can be added before the transaction ends.
	MaxEpoch string

	// MaxRows is how many rows one statement inserts at most, a power of 2.
	MaxRows int

	// LastTransitions selects, in the order of their job_id, the last transition
	// of each job with job_id > ? and job_id <= ?. Its columns are
	// [TransitionColumns]. It may select more than the last, in the order of id.
	LastTransitions string

	// Explain turns an error of the driver into one that wraps the jobdb.Err…
	// that fits. committing tells that it came from the COMMIT itself. An error
	// that leaves open whether the transaction was persisted must become
	// [centrifuge/jobdb.ErrUnknownOutcome]; any other means that it was not.
	Explain func(err error, committing bool) error

	// Committed, if not nil, is called after each commit with the connection
	// that made it, before the next one can begin.
	Committed func(*sql.Conn)
}

// TransitionColumns are the columns that [Dialect.LastTransitions] selects. The
// message is left out unless it names the object of an archiving (state 6).
const TransitionColumns = `job_id, id, state, attempt, time, retry_at, status_code, duration, error_code, ` +
	`CASE WHEN state = 6 THEN error END`
