package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	mysql "github.com/go-sql-driver/mysql"

	"centrifuge/jobdb"
)

// lockName names the lock that marks the connection that writes to a schema, in at
// most 64 characters. MySQL 9.7 has no MD5().
const lockName = `CONCAT('centrifuge.', LEFT(SHA2(DATABASE(), 256), 32))`

// claim makes a connection the only one that writes. An earlier writer may have
// vanished in the middle of a transaction, frozen or cut off, and the server would
// keep its locks for hours; so its connection, which the lock named lockName
// tells, is ended. Whoever has a lower epoch than is recorded ends nobody's.
//
// That no other owner's commit succeeds does not depend on this, but on the lock
// that beginTransaction takes.
func claim(ctx context.Context, conn *sql.Conn, epoch uint64) error {
	var highest, holder sql.NullInt64
	err := conn.QueryRowContext(ctx, `SELECT (SELECT MAX(epoch) FROM owners), IS_USED_LOCK(`+lockName+`)`).Scan(&highest, &holder)
	if err != nil {
		return fmt.Errorf("look for an earlier writer: %w", err)
	}
	if uint64(highest.Int64) > epoch {
		return fmt.Errorf("epoch %d is recorded, this is %d: %w", highest.Int64, epoch, jobdb.ErrSuperseded)
	}
	if holder.Valid {
		_, err := conn.ExecContext(ctx, "KILL "+strconv.FormatInt(holder.Int64, 10))
		if e, ok := errors.AsType[*mysql.MySQLError](err); err != nil && (!ok || e.Number != errNoSuchThread) {
			return fmt.Errorf("end the earlier writer's connection %d: %w", holder.Int64, err)
		}
	}
	const patience = 10 // seconds, in which the server rolls back what the earlier writer left
	var locked sql.NullInt64
	err = conn.QueryRowContext(ctx, `SELECT GET_LOCK(`+lockName+`, ?)`, patience).Scan(&locked)
	if err != nil {
		return fmt.Errorf("mark the writer: %w", err)
	}
	if locked.Int64 != 1 {
		return errors.New("another connection writes to the JobDB and has not ended")
	}
	return nil
}
