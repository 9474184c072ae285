package links

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Folder keeps notes as files of a folder.
type Folder struct{ dir string }

var _ Notes = (*Folder)(nil)

// draft is what the name of a file begins with that is being written.
const draft = ".draft-"

// OpenFolder returns the notes of a folder, which is made if it is not there. What an
// earlier process left half written is removed.
func OpenFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the notes of links: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, draft+"*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	if err != nil {
		return nil, fmt.Errorf("open the notes of links: %w", err)
	}
	return &Folder{dir}, nil
}

// Write implements [Notes]. A note is there whole, or not at all.
func (f *Folder) Write(_ context.Context, name string, content []byte) (err error) {
	file, err := os.CreateTemp(f.dir, draft+"*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), filepath.Join(f.dir, name)); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return f.sync()
}

// Read implements [Notes].
func (f *Folder) Read(context.Context) (map[string][]byte, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	notes := make(map[string][]byte, len(entries))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(f.dir, e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // it was removed just now
		}
		if err != nil {
			return nil, err
		}
		notes[e.Name()] = content
	}
	return notes, nil
}

// Remove implements [Notes].
func (f *Folder) Remove(_ context.Context, name string) error {
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// sync makes the names of the folder's files durable.
func (f *Folder) sync() error {
	dir, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
