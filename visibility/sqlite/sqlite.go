// Package sqlite keeps the record of deliveries in a folder, one SQLite file for
// each day, so that a day is dropped by removing its file. It is the
// [visibility.Backend] of a single machine.
//
// A file that is damaged or was taken away is reported as [visibility.ErrCorrupt].
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"centrifuge/visibility"
)

const (
	suffix        = ".db"
	applicationID = 0x43565653 // "CVVS"
	schemaVersion = 1
)

// The key is the row's own, so that an entry costs nothing beside its bytes and
// neighbours lie together.
const schema = `CREATE TABLE entries (key INTEGER PRIMARY KEY, data BLOB NOT NULL)`

// Backend keeps days in a folder. Its methods are safe for concurrent use, except
// that there is one call of Write or Drop at a time.
type Backend struct {
	folder string

	mu struct {
		sync.Mutex
		days map[visibility.Day]*day // those that are there; the value is nil until it is opened
	}
}

// day is an open file.
type day struct {
	info   os.FileInfo // of the file that was opened
	writer *sql.DB
	reader *sql.DB
	scan   *sql.Stmt
}

var _ visibility.Backend = (*Backend)(nil)

// Open opens a folder, or makes it. The files in it are opened when they are needed.
func Open(folder string) (*Backend, error) {
	folder, err := filepath.Abs(folder) // SQLite takes the start of a relative one for a host
	if err != nil {
		return nil, fmt.Errorf("open the record of deliveries: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("open the record of deliveries: %w", err)
	}
	names, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("open the record of deliveries: %w", err)
	}
	b := &Backend{folder: folder}
	b.mu.days = make(map[visibility.Day]*day)
	for _, entry := range names {
		name, ok := strings.CutSuffix(entry.Name(), suffix)
		if !ok {
			continue
		}
		if d, err := visibility.ParseDay(name); err == nil {
			b.mu.days[d] = nil
		}
	}
	return b, nil
}

func (b *Backend) path(d visibility.Day) string { return filepath.Join(b.folder, d.String()+suffix) }

// Days implements [visibility.Backend].
func (b *Backend) Days(context.Context) ([]visibility.Day, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	days := make([]visibility.Day, 0, len(b.mu.days))
	for d := range b.mu.days {
		days = append(days, d)
	}
	slices.Sort(days)
	return days, nil
}

// Write implements [visibility.Backend].
func (b *Backend) Write(ctx context.Context, d visibility.Day, w *visibility.Write) error {
	file, err := b.day(ctx, d, true)
	if err != nil {
		return err
	}
	if err := file.gone(b.path(d)); err != nil {
		return err
	}
	if err := file.write(ctx, w); err != nil {
		return fmt.Errorf("write %s: %w", b.path(d), explain(err))
	}
	return nil
}

func (f *day) write(ctx context.Context, w *visibility.Write) (err error) {
	tx, err := f.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, r := range w.Delete {
		if _, err := tx.ExecContext(ctx, `DELETE FROM entries WHERE key BETWEEN ? AND ?`, int64(r.From), int64(r.To)); err != nil {
			return err
		}
	}
	put, err := tx.PrepareContext(ctx, `INSERT OR REPLACE INTO entries (key, data) VALUES (?, ?)`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, put.Close()) }()
	for i := range w.Put {
		data := w.Put[i].Data
		if data == nil {
			data = []byte{} // nil is NULL
		}
		if _, err := put.ExecContext(ctx, int64(w.Put[i].Key), data); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Scan implements [visibility.Backend].
func (b *Backend) Scan(ctx context.Context, d visibility.Day, from, to uint64, f func(key uint64, data []byte) error) error {
	file, err := b.day(ctx, d, false)
	if err != nil || file == nil {
		return err
	}
	rows, err := file.scan.QueryContext(ctx, int64(from), int64(to))
	if err != nil {
		return fmt.Errorf("read %s: %w", b.path(d), explain(err))
	}
	defer rows.Close()
	var (
		key  int64
		data sql.RawBytes
	)
	for rows.Next() {
		if err := rows.Scan(&key, &data); err != nil {
			return fmt.Errorf("read %s: %w", b.path(d), explain(err))
		}
		if err := f(uint64(key), data); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read %s: %w", b.path(d), explain(err))
	}
	return nil
}

// Drop implements [visibility.Backend].
func (b *Backend) Drop(_ context.Context, d visibility.Day) error {
	return b.let(d, os.Remove)
}

// SetAside implements [visibility.Backend]: the file is called .damaged from then on.
func (b *Backend) SetAside(_ context.Context, d visibility.Day) error {
	return b.let(d, func(path string) error { return os.Rename(path, path+".damaged") })
}

// let closes a day's file and lets go of it.
func (b *Backend) let(d visibility.Day, of func(path string) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	file, known := b.mu.days[d]
	if !known {
		return nil
	}
	delete(b.mu.days, d)
	var err error
	if file != nil {
		err = file.close()
	}
	path := b.path(d)
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if failed := of(name); !errors.Is(failed, os.ErrNotExist) {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// Close implements [visibility.Backend].
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var err error
	for d, file := range b.mu.days {
		if file != nil {
			err = errors.Join(err, file.close())
			b.mu.days[d] = nil
		}
	}
	return err
}

// day opens the file of a day, which is nil if there is none and none is to be made.
func (b *Backend) day(ctx context.Context, d visibility.Day, create bool) (*day, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	file, known := b.mu.days[d]
	if file != nil || !known && !create {
		return file, nil
	}
	path := b.path(d)
	file, err := open(ctx, path, !known)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, explain(err))
	}
	b.mu.days[d] = file
	return file, nil
}

// gone notices that somebody took the file away, to which SQLite would go on
// writing without a word.
func (f *day) gone(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(info, f.info) {
		return fmt.Errorf("%w: %s was taken away", visibility.ErrCorrupt, path)
	}
	return err
}

func open(ctx context.Context, path string, create bool) (_ *day, err error) {
	mode := "rw"
	if create {
		mode = "rwc"
	}
	f := &day{}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if f.writer, err = connect(path, mode, "page_size(8192)", "journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "cache_size(-1024)"); err != nil {
		return nil, err
	}
	f.writer.SetMaxOpenConns(1)
	if err = prepare(ctx, f.writer, create); err != nil {
		return nil, err
	}
	if f.reader, err = connect(path, "ro", "busy_timeout(10000)", "cache_size(-512)"); err != nil {
		return nil, err
	}
	f.reader.SetMaxOpenConns(4)
	f.reader.SetMaxIdleConns(1)
	if f.info, err = os.Stat(path); err != nil {
		return nil, err
	}
	f.scan, err = f.reader.PrepareContext(ctx, `SELECT key, data FROM entries WHERE key BETWEEN ? AND ? ORDER BY key`)
	return f, err
}

// prepare makes the table, or checks that there is one of ours.
func prepare(ctx context.Context, db *sql.DB, create bool) error {
	var id, version int64
	if err := db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	switch {
	case id == applicationID && version == schemaVersion:
		_, err := db.ExecContext(ctx, `SELECT 1 FROM entries LIMIT 1`)
		return err
	case id == 0 && version == 0 && create:
		_, err := db.ExecContext(ctx, fmt.Sprintf("BEGIN; %s; PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", schema, applicationID, schemaVersion))
		return err
	default:
		return fmt.Errorf("%w: application %#x, version %d", visibility.ErrCorrupt, id, version)
	}
}

func (f *day) close() error {
	var err error
	if f.scan != nil {
		err = f.scan.Close()
	}
	for _, db := range []*sql.DB{f.reader, f.writer} { // the writer goes last: it brings the log into the file
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

func connect(path, mode string, pragmas ...string) (*sql.DB, error) {
	query := url.Values{"mode": {mode}, "_dqs": {"0"}, "_txlock": {"immediate"}, "_pragma": pragmas}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: query.Encode()}
	connector, err := sqlite.NewConnector(file.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// explain tells damage from what may pass.
func explain(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		if code := e.Code() & 0xff; code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB {
			return fmt.Errorf("%w: %w", visibility.ErrCorrupt, err)
		}
	}
	return err
}
