package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"strings"

	"centrifuge/jobdb"
)

const (
	// applicationID marks a file as a JobDB ("Cfjd"), in its header.
	applicationID = 0x43666a64

	// schemaVersion is that of schema.sql, in the file's header as user_version.
	schemaVersion = 3
)

//go:embed schema.sql
var schema string

// tables lists those that a JobDB of any version has.
var tables = [...]string{"jobs", "payloads", "job_state_transitions", "transactions", "queue_policies", "owners"}

// upgrades[v] brings a JobDB of version v to the next one. What runs version v can
// go on with it.
var upgrades = [schemaVersion]string{
	1: `ALTER TABLE transactions ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
CREATE TABLE preparations (
  id         TEXT    NOT NULL PRIMARY KEY,
  created_at INTEGER NOT NULL,
  deadline   INTEGER NOT NULL,
  job_ids    BLOB,
  size       INTEGER NOT NULL,
  payload_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;`,
	2: `CREATE TABLE orders (
  id          INTEGER NOT NULL PRIMARY KEY,
  source      TEXT    NOT NULL,
  destination TEXT    NOT NULL,
  kind        INTEGER NOT NULL,
  seq         INTEGER NOT NULL,
  time        INTEGER NOT NULL
) STRICT;`,
}

// upgrade brings a JobDB to schemaVersion, all or nothing. The version that counts
// may lie in its log, so the file's header does not tell it.
func upgrade(ctx context.Context, writers *sql.DB) error {
	conn, err := writers.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	var version int
	if err := conn.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	switch {
	case version == schemaVersion:
		return nil
	case version > schemaVersion:
		return newerSchema(version)
	case version < 1:
		return fmt.Errorf("%w: its schema has version %d; %s", jobdb.ErrCorrupt, version, remedy)
	}
	statements := "BEGIN IMMEDIATE;\n" + strings.Join(upgrades[version:], "\n") + fmt.Sprintf("\nPRAGMA user_version = %d; COMMIT;", schemaVersion)
	if _, err := conn.ExecContext(ctx, statements); err != nil {
		_, _ = conn.ExecContext(ctx, `ROLLBACK`) // it may have been rolled back already
		return fmt.Errorf("upgrade its schema from version %d: %w", version, explain(err, false))
	}
	return nil
}

func newerSchema(version int) error {
	return fmt.Errorf("%w: its schema has version %d, this program knows %d; run the newer version of the program",
		jobdb.ErrNewerSchema, version, schemaVersion)
}

// lastTransitions lets SQLite pick the row with the highest id of each job: with
// MAX the other columns come from that row (https://sqlite.org/lang_select.html#bareagg).
const lastTransitions = `SELECT job_id, MAX(id), state, attempt, time, retry_at, status_code, duration, error_code,
  CASE WHEN state = 6 THEN error END
FROM job_state_transitions WHERE job_id > ? AND job_id <= ? GROUP BY job_id ORDER BY job_id`
