package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"

	mysql "github.com/go-sql-driver/mysql"

	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlbody"
)

const (
	// beginTransaction locks the row that whoever writes must lock. What is
	// selected after it, in a statement of its own, is seen as of then: it holds
	// every epoch that was recorded, and none can be until the transaction ends.
	beginTransaction = `BEGIN; SELECT epoch FROM owners WHERE epoch = 0 FOR UPDATE`

	// lastTransitions selects them all; a job has few.
	lastTransitions = `SELECT ` + sqlbody.TransitionColumns + ` FROM job_state_transitions
WHERE job_id > ? AND job_id <= ? ORDER BY job_id, id`
)

func dialect(epoch uint64) sqlbody.Dialect {
	return sqlbody.Dialect{
		Claim:           func(ctx context.Context, conn *sql.Conn) error { return claim(ctx, conn, epoch) },
		Begin:           beginTransaction,
		MaxEpoch:        `SELECT MAX(epoch) FROM owners`,
		MaxRows:         128, // each statement is a round trip
		LastTransitions: lastTransitions,
		Explain:         explain,
	}
}

// The numbers of the server's errors that are told apart.
const (
	errWrite           = 3
	errDiskFull        = 1021
	errOnWrite         = 1026
	errGeneralEngine   = 1030
	errNotKeyfile      = 1034
	errReadOnlyTable   = 1036
	errUnknownSchema   = 1049
	errUnknownColumn   = 1054
	errDuplicateColumn = 1060
	errNoSuchThread    = 1094
	errTableFull       = 1114
	errNoSuchTable     = 1146
	errPacketTooLarge  = 1153
	errUnknownVariable = 1193
	errLockWaitTimeout = 1205
	errDeadlock        = 1213
	errOptionPrevents  = 1290
	errIndexCorrupt    = 1712
	errReadOnlySession = 1792
	errTableCorrupt    = 1877
	errReadOnlyMode    = 1836
)

// noSpace is how the server tells that the system said ENOSPC, which is 28.
var noSpace = regexp.MustCompile(`(?i)\b(error|errno|errcode):? 28\b`)

// explain follows what InnoDB does on each kind of failure. What fails before the
// COMMIT is rolled back, by us or by the server when the connection ends. After
// COMMIT was sent only the server can tell, and the answers that say that it was
// rolled back are few.
func explain(err error, committing bool) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, mysql.ErrPktTooLarge) {
		return fmt.Errorf("a value does not fit the server's max_allowed_packet: %w", err)
	}
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if ok {
		switch e.Number {
		case errReadOnlyTable, errOptionPrevents, errReadOnlySession, errReadOnlyMode:
			return fmt.Errorf("the server is read-only, and not the one to write to: %w", err)
		case errLockWaitTimeout, errDeadlock:
			return err
		}
	}
	switch {
	case committing:
		return fmt.Errorf("%w: %w", jobdb.ErrUnknownOutcome, err)
	case !ok:
		return err
	}
	switch e.Number {
	case errDiskFull, errTableFull:
		return fmt.Errorf("%w: %w", jobdb.ErrFull, err)
	case errPacketTooLarge:
		return fmt.Errorf("a value does not fit the server's max_allowed_packet: %w", err)
	case errNotKeyfile, errUnknownColumn, errNoSuchTable, errIndexCorrupt, errTableCorrupt:
		return fmt.Errorf("%w: %w", jobdb.ErrCorrupt, err)
	case errGeneralEngine, errWrite, errOnWrite: // of writing to a file, as the binary log's
		if noSpace.MatchString(e.Message) {
			return fmt.Errorf("%w: %w", jobdb.ErrFull, err)
		}
	}
	return err
}
