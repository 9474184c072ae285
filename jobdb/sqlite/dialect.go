package sqlite

import (
	"database/sql/driver"
	"errors"
	"fmt"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlbody"
)

func dialect() sqlbody.Dialect {
	return sqlbody.Dialect{
		Begin:           `BEGIN IMMEDIATE`,
		MaxEpoch:        `SELECT MAX(epoch) FROM owners`,
		MaxRows:         32, // more gain nothing
		LastTransitions: lastTransitions,
		Explain:         explain,
	}
}

// explain follows what SQLite does on each kind of failure. A statement that
// fails, and a COMMIT that finds no room to write its pages to the log, are
// rolled back. A COMMIT that fails while it syncs the log or maps its index may
// have put a whole transaction on the disk, which recovery would find.
func explain(err error, committing bool) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, driver.ErrBadConn) && committing {
		return fmt.Errorf("%w: %w", jobdb.ErrUnknownOutcome, err)
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch code := e.Code(); code & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", jobdb.ErrFull, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		if !committing {
			return fmt.Errorf("%w: %w", jobdb.ErrCorrupt, err)
		}
		return fmt.Errorf("%w: %w: %w", jobdb.ErrUnknownOutcome, jobdb.ErrCorrupt, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT:
		return err
	case sqlite3.SQLITE_IOERR:
		if !committing && code == sqlite3.SQLITE_IOERR_SHMSIZE {
			return fmt.Errorf("%w: %w", jobdb.ErrFull, err)
		}
	}
	if committing {
		return fmt.Errorf("%w: %w", jobdb.ErrUnknownOutcome, err)
	}
	return err
}

var _ jobdb.DB = (*DB)(nil)
