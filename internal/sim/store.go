package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlite"
)

// store is where JobDBs lie. Its methods are called one at a time.
type store interface {
	// open opens the JobDB under an epoch higher than all before.
	open(epoch uint64) (jobdb.DB, error)

	// crash makes what is durable at this instant what the next open finds,
	// whatever the present owner does until it notices.
	crash() error
}

// crash implements store: what was committed is there, and nobody can add to it
// but through the witness.
func (m *memory) crash() error { return nil }

// files is a real JobDB in a folder. A crash leaves it where it was and goes on
// with a copy of its files, log and all, as a killed process would have left them.
type files struct {
	dir    string
	copies int
}

func (f *files) path() string { return filepath.Join(f.dir, fmt.Sprintf("jobs-%d.db", f.copies)) }

func (f *files) open(epoch uint64) (jobdb.DB, error) {
	return sqlite.Open(context.Background(), sqlite.Options{Path: f.path(), Epoch: epoch})
}

func (f *files) crash() error {
	from := f.path()
	f.copies++
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(from + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("copy the JobDB: %w", err)
		}
		if err := os.WriteFile(f.path()+suffix, data, 0o600); err != nil {
			return fmt.Errorf("copy the JobDB: %w", err)
		}
	}
	return nil
}
