// Package mysql keeps the record of deliveries in a schema of a MySQL 8 or MariaDB
// 10.11 server, where many processes record and each reads what all did. It is the
// [visibility.Backend] of a fleet, and its [visibility.Others].
//
// Each process is a writer with maps of its own. There is a table for each day, so
// that a day is dropped without looking at what is in it.
package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	mysql "github.com/go-sql-driver/mysql"

	"centrifuge/visibility"
)

// ErrSuperseded means that another process has begun to write under the same name,
// and that this one cannot write any more.
var ErrSuperseded = errors.New("another process records under the same name")

const (
	schema = `CREATE TABLE IF NOT EXISTS writers (
		id    INT UNSIGNED    NOT NULL AUTO_INCREMENT PRIMARY KEY,
		name  VARBINARY(255)  NOT NULL UNIQUE,
		epoch BIGINT UNSIGNED NOT NULL, -- how many processes have written under the name
		seq   BIGINT UNSIGNED NOT NULL  -- of the writer's last change
	) ENGINE = InnoDB;
	CREATE TABLE IF NOT EXISTS days (
		writer  INT UNSIGNED    NOT NULL,
		day     INT             NOT NULL, -- since 1970
		born    BIGINT UNSIGNED NOT NULL, -- seq of the first change
		version BIGINT UNSIGNED NOT NULL, -- and of the last
		PRIMARY KEY (writer, day)
	) ENGINE = InnoDB`

	// A writer's entries lie together, in the order in which they are read.
	daySchema = `CREATE TABLE IF NOT EXISTS %s (
		writer INT UNSIGNED    NOT NULL,
		entry  BIGINT UNSIGNED NOT NULL,
		data   LONGBLOB        NOT NULL,
		PRIMARY KEY (writer, entry)
	) ENGINE = InnoDB ROW_FORMAT = DYNAMIC`

	errNoTable = 1146
	errNoDB    = 1049

	maxConns = 8
	maxIdle  = 5 * time.Minute // below what servers allow
	rowsAt   = 500             // rows, and
	bytesAt  = 512 << 10       // about bytes, that are sent at once
)

// Backend is one writer's days. Its methods are safe for concurrent use, except that
// there is one call of Write, Drop or SetAside at a time.
type Backend struct {
	o  Options
	db *sql.DB

	// Every write locks the writer's row and checks the epoch, so that none of an
	// earlier process under the same name succeeds once this one has begun; nor does
	// one of this process whose outcome was not known overtake its repetition.
	mu struct {
		sync.Mutex
		writer uint64 // 0 until the server was there once
		epoch  uint64
		days   map[visibility.Day]bool // that this process knows to be there
	}
}

var (
	_ visibility.Backend = (*Backend)(nil)
	_ visibility.Others  = (*Backend)(nil)
)

// New returns the backend of a writer. It does not connect yet: the first call that
// reaches the server makes what is missing there.
func New(o Options) (*Backend, error) {
	if o.Writer == "" || len(o.Writer) > 255 {
		return nil, fmt.Errorf("record of deliveries: a writer's name has 1 to 255 bytes, not %d", len(o.Writer))
	}
	connector, err := o.connector(o.Schema)
	if err != nil {
		return nil, fmt.Errorf("record of deliveries on %s: %w", o.Address, err)
	}
	b := &Backend{o: o, db: sql.OpenDB(connector)}
	b.db.SetMaxOpenConns(maxConns)
	b.db.SetMaxIdleConns(2)
	b.db.SetConnMaxIdleTime(maxIdle)
	b.mu.days = make(map[visibility.Day]bool)
	return b, nil
}

// claim makes this process the one that writes under the name, once.
func (b *Backend) claim(ctx context.Context) (writer, epoch uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.writer > 0 {
		return b.mu.writer, b.mu.epoch, nil
	}
	if err := b.build(ctx); err != nil {
		return 0, 0, fmt.Errorf("record deliveries in %s on %s: %w", b.o.Schema, b.o.Address, err)
	}
	if writer, epoch, err = b.outrank(ctx); err == nil {
		err = b.learn(ctx, writer)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("record deliveries as %s in %s on %s: %w", b.o.Writer, b.o.Schema, b.o.Address, err)
	}
	b.mu.writer, b.mu.epoch = writer, epoch
	return writer, epoch, nil
}

// build makes the schema and the tables that are not for a day.
func (b *Backend) build(ctx context.Context) error {
	err := b.db.PingContext(ctx)
	if is(err, errNoDB) {
		err = b.create(ctx)
	}
	if err != nil {
		return err
	}
	for statement := range strings.SplitSeq(schema, ";\n") {
		if _, err := b.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (b *Backend) create(ctx context.Context) error {
	connector, err := b.o.connector("")
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	_, err = db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS `"+b.o.Schema+"`")
	return errors.Join(err, db.Close())
}

// outrank waits for what an earlier process has under way, and ends its right to
// write.
func (b *Backend) outrank(ctx context.Context) (writer, epoch uint64, err error) {
	tx, err := b.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return 0, 0, err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `INSERT INTO writers (name, epoch, seq) VALUES (?, 1, 0)
		ON DUPLICATE KEY UPDATE epoch = epoch + 1`, []byte(b.o.Writer)); err != nil {
		return 0, 0, err
	}
	if err := tx.QueryRowContext(ctx, `SELECT id, epoch FROM writers WHERE name = ?`, []byte(b.o.Writer)).Scan(&writer, &epoch); err != nil {
		return 0, 0, err
	}
	return writer, epoch, tx.Commit()
}

// learn reads which days there are.
func (b *Backend) learn(ctx context.Context, writer uint64) error {
	days, err := b.days(ctx, writer)
	clear(b.mu.days)
	for _, d := range days {
		b.mu.days[d] = true
	}
	return err
}

// Days implements [visibility.View].
func (b *Backend) Days(ctx context.Context) ([]visibility.Day, error) {
	writer, _, err := b.claim(ctx)
	if err != nil {
		return nil, err
	}
	days, err := b.days(ctx, writer)
	if err != nil {
		return nil, fmt.Errorf("list the days of writer %d: %w", writer, err)
	}
	return days, nil
}

func (b *Backend) days(ctx context.Context, writer uint64) (days []visibility.Day, err error) {
	rows, err := b.db.QueryContext(ctx, `SELECT day FROM days WHERE writer = ? ORDER BY day`, writer)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d visibility.Day
		if err := rows.Scan(&d); err != nil {
			return nil, err
		}
		days = append(days, d)
	}
	return days, rows.Err()
}

// Scan implements [visibility.View].
func (b *Backend) Scan(ctx context.Context, d visibility.Day, from, to uint64, f func(key uint64, data []byte) error) error {
	writer, _, err := b.claim(ctx)
	if err != nil {
		return err
	}
	return scan(ctx, b.db, writer, d, from, to, f)
}

// Gather implements [visibility.Gatherer].
func (b *Backend) Gather(ctx context.Context, parts []visibility.Part, f func(d visibility.Day, key uint64, data []byte) error) error {
	writer, _, err := b.claim(ctx)
	if err != nil {
		return err
	}
	return gather(ctx, b.db, writer, parts, f)
}

// Close implements [visibility.Backend].
func (b *Backend) Close() error { return b.db.Close() }

// tableOf is the name of a day's table.
func tableOf(d visibility.Day) string { return "day_" + strings.ReplaceAll(d.String(), "-", "_") }

// is reports whether the server refused with the number.
func is(err error, number uint16) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && e.Number == number
}
