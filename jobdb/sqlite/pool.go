package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlbody"
)

// Local is the one server of a [Pool]: the machine that the folder is on.
const Local = "local"

const (
	suffix           = ".db"
	unfinishedSuffix = ".new" // of a file that is being made
)

// Pool is the JobDBs of a folder, each in a file: jobdb-000001.db and so on. It
// implements [jobdb.Pool].
type Pool struct {
	folder string
	logger *slog.Logger
}

var _ jobdb.Pool = (*Pool)(nil)

// NewPool returns the pool of a folder, which must exist. The logger is that of
// [Options].
func NewPool(folder string, logger *slog.Logger) *Pool {
	return &Pool{folder: folder, logger: logger}
}

// Servers implements [jobdb.Pool].
func (p *Pool) Servers(ctx context.Context) ([]jobdb.Server, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	local := jobdb.Server{Name: Local}
	local.Files, local.Err = p.list()
	return []jobdb.Server{local}, nil
}

// list tells a JobDB by any of its files: a Drop that was cut short leaves some.
func (p *Pool) list() ([]jobdb.File, error) {
	entries, err := os.ReadDir(p.folder)
	if err != nil {
		return nil, fmt.Errorf("list JobDBs: %w", err)
	}
	var files []jobdb.File // by name, as the entries are
	for _, entry := range entries {
		name, beside, ok := strings.Cut(entry.Name(), suffix)
		if _, isName := jobdb.Number(name); !ok || !isName || (beside != "" && beside != walSuffix && beside != shmSuffix) {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // dropped, or its log folded in, since the folder was read
		}
		if err != nil {
			return nil, fmt.Errorf("list JobDBs: %w", err)
		}
		if n := len(files); n == 0 || files[n-1].Name != name {
			files = append(files, jobdb.File{Name: name})
		}
		files[len(files)-1].Bytes += info.Size()
	}
	return files, nil
}

// Create implements [jobdb.Pool].
func (p *Pool) Create(ctx context.Context, server, name string) error {
	path, err := p.path(server, name)
	if err != nil {
		return fmt.Errorf("create JobDB: %w", err)
	}
	if _, err = inspect(path); errors.Is(err, os.ErrNotExist) {
		err = create(ctx, path, defaults())
	}
	if err != nil {
		return fmt.Errorf("create JobDB %s: %w", path, err)
	}
	return nil
}

// Open implements [jobdb.Pool].
func (p *Pool) Open(ctx context.Context, server, name string, epoch uint64) (jobdb.DB, error) {
	path, err := p.path(server, name)
	if err != nil {
		return nil, fmt.Errorf("open JobDB: %w", err)
	}
	db, err := Open(ctx, Options{Path: path, Epoch: epoch, Logger: p.logger})
	if err != nil {
		return nil, err // not a nil *DB in an interface
	}
	return db, nil
}

// Read implements [jobdb.Pool].
func (p *Pool) Read(ctx context.Context, server, name string) (jobdb.Reader, error) {
	path, err := p.path(server, name)
	if err != nil {
		return nil, fmt.Errorf("read JobDB: %w", err)
	}
	r, err := read(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("read JobDB %s: %w", path, err)
	}
	return r, nil
}

func read(ctx context.Context, path string) (jobdb.Reader, error) {
	if _, err := inspect(path); err != nil {
		return nil, err
	}
	db, err := connect(path, "ro", "busy_timeout(10000)", cacheSize(defaults().readerCache))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return sqlbody.OpenReader(ctx, dialect(), db)
}

// Drop implements [jobdb.Pool]. The file goes first: without it, what is left
// cannot be taken for a JobDB.
func (p *Pool) Drop(_ context.Context, server, name string) error {
	path, err := p.path(server, name)
	if err != nil {
		return fmt.Errorf("drop JobDB: %w", err)
	}
	if err := errors.Join(remove(path), remove(path+unfinishedSuffix), syncFolder(p.folder)); err != nil {
		return fmt.Errorf("drop JobDB %s: %w", path, err)
	}
	return nil
}

func (p *Pool) path(server, name string) (string, error) {
	if server != Local {
		return "", fmt.Errorf("no server %q, only %q", server, Local)
	}
	if _, ok := jobdb.Number(name); !ok {
		return "", fmt.Errorf("%q does not name a JobDB", name)
	}
	return filepath.Join(p.folder, name+suffix), nil
}
