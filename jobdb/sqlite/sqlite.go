// Package sqlite is a JobDB in one SQLite file, in pure Go: write-ahead log,
// synchronous=FULL, one writer and a small pool of readers. A commit is durable
// because the log is synced before it returns; pages go from the log to the file
// in the background (see checkpointer).
//
// One process at a time owns the file, and the epochs in it see to that. Beside
// it lie FILE-wal and FILE-shm while it is open or after a crash; they belong to
// it and must be kept and moved with it.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	sqlite "modernc.org/sqlite"

	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlbody"
)

const (
	maxReaders  = 16 // connections at most, each beyond idleReaders for as long as it is needed
	idleReaders = 4
)

// Options say which JobDB to open.
type Options struct {
	// Path is the file. It is made if there is none; its folder must exist.
	Path string

	// Epoch is that of the lease under which the caller owns the JobDB, at least
	// 1. It must be higher than any that the JobDB was opened with before.
	Epoch uint64

	// Logger hears of checkpoints that failed and will be tried again. The
	// default says nothing.
	Logger *slog.Logger
}

// DB is an open JobDB. It implements [jobdb.DB].
type DB struct {
	*sqlbody.Body

	path         string
	writers      *sql.DB
	readers      *sql.DB
	checkpointer *checkpointer
}

var _ jobdb.DB = (*DB)(nil)

// Open opens the JobDB, or makes it, and records the epoch in it. It returns
// [jobdb.ErrSuperseded] if the epoch is not the highest, and [jobdb.ErrCorrupt]
// or [jobdb.ErrNewerSchema] if the file is not a JobDB that this version can
// use, in which case nothing was changed.
func Open(ctx context.Context, o Options) (*DB, error) {
	db, err := open(ctx, o, defaults())
	if err != nil {
		return nil, fmt.Errorf("open JobDB %s: %w", o.Path, err)
	}
	return db, nil
}

// tuning is what the benchmarks vary; docs/adr/0002-sqlite-schema.md says why
// the defaults are what they are.
type tuning struct {
	schema         string
	pageSize       int // bytes; of a new file
	writerCache    int // bytes
	readerCache    int // bytes a connection
	checkpointSize int // bytes of log after which a checkpoint begins
	autocheckpoint int // pages of log after which the commit itself checkpoints; 0: never
	maxPages       int // of the file, 0 for no limit
}

func defaults() tuning {
	return tuning{
		schema:         schema,
		pageSize:       4096,
		writerCache:    32 << 20,
		readerCache:    4 << 20,
		checkpointSize: 16 << 20,
	}
}

func open(ctx context.Context, o Options, tune tuning) (_ *DB, err error) {
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	header, err := inspect(path)
	if errors.Is(err, os.ErrNotExist) {
		if err = create(ctx, path, tune); err == nil {
			header, err = inspect(path)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := verify(ctx, path); err != nil {
		return nil, err
	}

	db := &DB{path: path}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	write := []string{
		"busy_timeout(10000)", "synchronous(FULL)", fmt.Sprintf("wal_autocheckpoint(%d)", tune.autocheckpoint), cacheSize(tune.writerCache),
	}
	if tune.maxPages > 0 {
		write = append(write, fmt.Sprintf("max_page_count(%d)", tune.maxPages))
	}
	if db.writers, err = connect(path, "rw", write...); err != nil {
		return nil, err
	}
	db.writers.SetMaxOpenConns(1)
	if err := secure(ctx, db.writers, path); err != nil {
		return nil, err
	}
	if err := upgrade(ctx, db.writers); err != nil {
		return nil, err
	}
	if db.readers, err = connect(path, "rw", "busy_timeout(10000)", cacheSize(tune.readerCache), "query_only(1)"); err != nil {
		return nil, err
	}
	db.readers.SetMaxOpenConns(maxReaders)
	db.readers.SetMaxIdleConns(idleReaders)
	if db.checkpointer, err = newCheckpointer(ctx, path, tune.checkpointSize/header.pageSize, o.Logger); err != nil {
		return nil, err
	}
	dialect := dialect()
	dialect.Committed = db.checkpointer.committed
	if db.Body, err = sqlbody.Open(ctx, dialect, db.writers, db.readers, o.Epoch); err != nil {
		return nil, err
	}
	db.checkpointer.start(db.Body)
	return db, nil
}

// secure sees to it that what the log is found to hold is on the disk, while nobody
// writes.
func secure(ctx context.Context, writers *sql.DB, path string) error {
	conn, err := writers.Conn(ctx)
	if err != nil {
		return explain(err, false)
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	if _, err := conn.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return explain(err, false)
	}
	err = renewLog(path)
	if _, end := conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`); err == nil {
		err = explain(end, false)
	}
	if err != nil {
		return fmt.Errorf("write its log anew: %w", err)
	}
	return nil
}

// Close waits for the calls under way, brings the log into the file and releases
// both. Only its first call does anything.
func (db *DB) Close() error {
	var err error
	if db.Body != nil {
		err = db.Shut()
	}
	if db.checkpointer != nil {
		err = errors.Join(err, db.checkpointer.close())
	}
	for _, pool := range []*sql.DB{db.readers, db.writers} { // the last connection to go checkpoints
		if pool != nil {
			err = errors.Join(err, pool.Close())
		}
	}
	if err != nil {
		return fmt.Errorf("close JobDB %s: %w", db.path, err)
	}
	return nil
}

// Size is how many bytes the JobDB occupies on disk at the moment, its log
// included.
func (db *DB) Size(context.Context) (int64, error) {
	var size int64
	for _, name := range []string{db.path, db.path + walSuffix} {
		info, err := os.Stat(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("size of JobDB: %w", err)
		}
		size += info.Size()
	}
	return size, nil
}

// connect makes a pool of connections, each with the pragmas.
func connect(path, mode string, pragmas ...string) (*sql.DB, error) {
	query := url.Values{"mode": {mode}, "_dqs": {"0"}, "_pragma": pragmas}
	if mode == modeImmutable {
		query.Set("mode", "ro")
		query.Set("immutable", "1")
	}
	path, err := filepath.Abs(path) // SQLite takes the start of a relative one for a host
	if err != nil {
		return nil, err
	}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: query.Encode()}
	connector, err := sqlite.NewConnector(file.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// cacheSize is the pragma for a page cache of so many bytes.
func cacheSize(bytes int) string { return "cache_size(-" + strconv.Itoa(bytes>>10) + ")" }
