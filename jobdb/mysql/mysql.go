// Package mysql is a JobDB in one schema of a MySQL 8 or MariaDB 10.11 server, on
// InnoDB. A commit is durable if the server syncs its log before it answers, which
// is its default; Open warns if it does not.
//
// One connection writes, READ COMMITTED; a small pool of others reads, each call
// from one snapshot (REPEATABLE READ), and waits for no writer. Every transaction
// that writes locks one row of table owners and then checks that its epoch is the
// highest, so that no commit of an earlier owner can succeed once a later one has
// opened the JobDB.
package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	mysql "github.com/go-sql-driver/mysql"

	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlbody"
)

const (
	maxReaders  = 16 // connections at most, each beyond idleReaders for as long as it is needed
	idleReaders = 4
	maxIdle     = 5 * time.Minute // below what servers allow
)

// Options say which JobDB to open.
type Options struct {
	Server

	// Schema is the name of the schema (database), of letters, digits, _ and -.
	// It is made if there is none.
	Schema string

	// Epoch is that of the lease under which the caller owns the JobDB, at least
	// 1. It must be higher than any that the JobDB was opened with before.
	Epoch uint64

	// Logger hears of settings of the server that would lose data. The default
	// says nothing.
	Logger *slog.Logger
}

// DB is an open JobDB. It implements [jobdb.DB].
type DB struct {
	*sqlbody.Body

	writers *sql.DB
	readers *sql.DB
}

var _ jobdb.DB = (*DB)(nil)

// Open opens the JobDB, or makes it, and records the epoch in it. A commit of an
// earlier owner that was under way has completed when Open returns, or it fails.
// Open returns [jobdb.ErrSuperseded] if the epoch is not the highest, and
// [jobdb.ErrCorrupt] or [jobdb.ErrNewerSchema] if the schema is not a JobDB that
// this version can use, in which case nothing was changed.
func Open(ctx context.Context, o Options) (*DB, error) {
	return open(ctx, o, defaults())
}

func open(ctx context.Context, o Options, limits timeouts) (*DB, error) {
	db := &DB{}
	if err := db.open(ctx, o, limits); err != nil {
		if opErr, ok := errors.AsType[*net.OpError](err); ok && opErr.Op == "dial" {
			err = fmt.Errorf("%w: is the server running, and can it be reached from here", err)
		}
		_ = db.Close()
		return nil, fmt.Errorf("open JobDB %s on %s: %w", o.Schema, o.Address, err)
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, o Options, limits timeouts) error {
	if !schemaName.MatchString(o.Schema) {
		return fmt.Errorf("schema %q: want 1 to 64 letters, digits, _ or -", o.Schema)
	}
	read, err := o.connector(o.Schema, session{isolation: "REPEATABLE READ", timeouts: limits})
	if err != nil {
		return err
	}
	write, err := o.connector(o.Schema, session{isolation: "READ COMMITTED", multi: true, timeouts: limits})
	if err != nil {
		return err
	}
	db.readers = sql.OpenDB(read)
	db.readers.SetMaxOpenConns(maxReaders)
	db.readers.SetMaxIdleConns(idleReaders)
	db.readers.SetConnMaxIdleTime(maxIdle)
	db.writers = sql.OpenDB(write)
	db.writers.SetMaxOpenConns(1)

	if err := db.readers.PingContext(ctx); isUnknownSchema(err) {
		if err := create(ctx, o.Server, o.Schema); err != nil {
			return fmt.Errorf("create the schema: %w", err)
		}
	} else if err != nil {
		return err
	}
	if err := warn(ctx, db.readers, cmp.Or(o.Logger, slog.New(slog.DiscardHandler))); err != nil {
		return fmt.Errorf("read the server's settings: %w", err)
	}
	if err := migrate(ctx, db.readers); err != nil {
		return explain(err, false)
	}
	if err := db.outrank(ctx, o.Epoch); err != nil {
		return err
	}
	db.Body, err = sqlbody.Open(ctx, dialect(o.Epoch), db.writers, db.readers, o.Epoch)
	return err
}

// outrank refuses an epoch that is not above all that are recorded, before the
// connection of their owner is touched.
func (db *DB) outrank(ctx context.Context, epoch uint64) error {
	var highest sql.NullInt64
	if err := db.readers.QueryRowContext(ctx, `SELECT MAX(epoch) FROM owners`).Scan(&highest); err != nil {
		return explain(err, false)
	}
	if uint64(highest.Int64) >= epoch && epoch > 0 {
		return fmt.Errorf("record epoch %d: epoch %d is recorded: %w", epoch, highest.Int64, jobdb.ErrSuperseded)
	}
	return nil
}

// Size is what tables and indexes occupy by InnoDB's own statistics. The server
// renews them in the background when a tenth of a table has changed, so the answer
// may lag by that and by some seconds.
func (db *DB) Size(ctx context.Context) (int64, error) {
	size, err := db.size(ctx)
	if err != nil {
		return 0, fmt.Errorf("size of JobDB: %w", explain(err, false))
	}
	return size, nil
}

func (db *DB) size(ctx context.Context) (size int64, err error) {
	conn, err := db.readers.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	// MySQL would answer from a copy that is up to a day old. MariaDB keeps none.
	_, err = conn.ExecContext(ctx, `SET SESSION information_schema_stats_expiry = 0`)
	if e, ok := errors.AsType[*mysql.MySQLError](err); err != nil && (!ok || e.Number != errUnknownVariable) {
		return 0, err
	}
	err = conn.QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED)
		FROM information_schema.tables WHERE table_schema = DATABASE()`).Scan(&size)
	return size, err
}

// Close waits for the calls under way and ends the connections. It does not fail:
// there is nothing left to be written, and a connection that the server has ended
// already is as good as one that it is told to end.
func (db *DB) Close() error {
	if db.Body != nil {
		_ = db.Shut()
	}
	for _, pool := range []*sql.DB{db.readers, db.writers} {
		if pool != nil {
			_ = pool.Close()
		}
	}
	return nil
}
