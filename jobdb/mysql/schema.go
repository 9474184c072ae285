package mysql

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"

	mysql "github.com/go-sql-driver/mysql"

	"centrifuge/jobdb"
)

// schemaVersion is that of schema.sql, in the one row of table schema_version.
const schemaVersion = 3

//go:embed schema.sql
var schema string

// tables is how many a schema has in each version, schema_version included.
var tables = [...]int{1: 7, 2: 8, schemaVersion: 9}

// A name that needs no care in any statement.
var schemaName = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// create makes an empty schema, unless there is one.
func create(ctx context.Context, server Server, name string) error {
	connector, err := server.connector("", session{})
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	_, err = db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS `"+name+"` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	return errors.Join(err, db.Close())
}

// migrate brings the schema to schemaVersion, or says why it cannot. A schema
// that has the table of its version but no version in it is one whose making was
// interrupted, and is made to the end.
func migrate(ctx context.Context, db *sql.DB) error {
	var found, versioned int
	err := db.QueryRowContext(ctx, `SELECT COUNT(*), COUNT(CASE WHEN table_name = 'schema_version' THEN 1 END)
		FROM information_schema.tables WHERE table_schema = DATABASE()`).Scan(&found, &versioned)
	if err != nil {
		return err
	}
	var version sql.NullInt64
	switch {
	case found == 0:
		if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_version (version INT UNSIGNED NOT NULL PRIMARY KEY)
			ENGINE = InnoDB`); err != nil {
			return err
		}
	case versioned == 0:
		return fmt.Errorf("the schema holds %d tables of something else: %w", found, jobdb.ErrCorrupt)
	default:
		if err := db.QueryRowContext(ctx, `SELECT MAX(version) FROM schema_version`).Scan(&version); err != nil {
			return err
		}
	}
	switch v := version.Int64; {
	case !version.Valid:
		return build(ctx, db)
	case v > schemaVersion:
		return fmt.Errorf("schema version %d, this program knows %d: %w", v, schemaVersion, jobdb.ErrNewerSchema)
	case v < 1 || found < tables[v]:
		return fmt.Errorf("schema version %d with %d tables: %w", v, found, jobdb.ErrCorrupt)
	case v < schemaVersion:
		return upgrade(ctx, db, v)
	}
	return nil
}

// upgrade brings a schema of an older version to schemaVersion: schema.sql makes
// the tables that are missing, and the transactions of version 1 get a state. What
// runs the older version can go on with it. Every step may be taken twice.
func upgrade(ctx context.Context, db *sql.DB, from int64) error {
	if from == 1 {
		_, err := db.ExecContext(ctx, `ALTER TABLE transactions ADD COLUMN state TINYINT UNSIGNED NOT NULL DEFAULT 0`)
		if e, ok := errors.AsType[*mysql.MySQLError](err); err != nil && (!ok || e.Number != errDuplicateColumn) {
			return fmt.Errorf("add a column: %w", err)
		}
	}
	return build(ctx, db)
}

// build makes the tables. MySQL commits each as it is made, so the version comes
// last, and every step may be taken twice.
func build(ctx context.Context, db *sql.DB) error {
	for statement := range strings.SplitSeq(schema, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("make tables: %w", err)
		}
	}
	_, err := db.ExecContext(ctx, `INSERT IGNORE INTO schema_version (version) VALUES (?)`, schemaVersion)
	return err
}

// isUnknownSchema reports whether the server has no schema of the name.
func isUnknownSchema(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && e.Number == errUnknownSchema
}
