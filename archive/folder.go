package archive

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// tempFolder holds files that are being written. Its name is none of an object.
const tempFolder = ".tmp"

// A temporary file is left by a crash if nothing has written to it for so long;
// a younger one may be another process's work.
const staleAfter = time.Hour

// Folder is a [Bucket] in a file system: an object is a file, and what its name
// has between slashes are folders. It cannot be led out of its root by names or
// by symbolic links. A file that is written is synced before it gets its name,
// and the folders that lead to it after.
type Folder struct {
	root *os.Root

	mu struct {
		sync.Mutex
		synced string // the folder last put to: it and all that lead to it are durable
	}
}

// OpenFolder opens the folder, making it if there is none, and removes what
// writes that a crash interrupted have left in it over an hour ago. Close it
// when no call is under way any more.
func OpenFolder(dir string) (*Folder, error) {
	if err := makeRoot(filepath.Clean(dir)); err != nil {
		return nil, fmt.Errorf("open archive folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open archive folder: %w", err)
	}
	f := &Folder{root: root}
	if err := f.clean(); err != nil {
		return nil, errors.Join(fmt.Errorf("clean archive folder %s: %w", dir, err), root.Close())
	}
	return f, nil
}

// makeRoot makes the folder and those that lead to it, durably. It is not enough
// to see to those that it makes: the last may be of an opening that a crash cut
// short.
func makeRoot(dir string) error {
	parent := filepath.Dir(dir)
	err := os.Mkdir(dir, 0o750)
	if errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := makeRoot(parent); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o750)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	existed := err != nil
	p, err := os.Open(parent)
	if existed && errors.Is(err, fs.ErrPermission) {
		return nil // a place that was given to us, in one that was not
	}
	if err != nil {
		return err
	}
	return syncAndClose(p)
}

// Close releases the folder.
func (f *Folder) Close() error { return f.root.Close() }

func (f *Folder) clean() error {
	if err := f.root.Mkdir(tempFolder, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	entries, err := fs.ReadDir(f.root.FS(), tempFolder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if time.Since(info.ModTime()) < staleAfter {
			continue
		}
		if err := f.root.Remove(path.Join(tempFolder, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Put implements [Bucket].
func (f *Folder) Put(ctx context.Context, name string, data []byte) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	temp := path.Join(tempFolder, rand.Text())
	if err := f.writeTemp(temp, data); err != nil {
		return fmt.Errorf("put %s: %w", name, errors.Join(err, f.discard(temp)))
	}
	if err := f.makeFolder(path.Dir(name)); err != nil {
		return fmt.Errorf("put %s: %w", name, errors.Join(err, f.discard(temp)))
	}
	if err := f.root.Rename(temp, name); err != nil {
		return fmt.Errorf("put %s: %w", name, errors.Join(err, f.discard(temp)))
	}
	if err := f.sync(path.Dir(name)); err != nil {
		f.mu.Lock()
		f.mu.synced = "" // what has its name now may be taken for durable
		f.mu.Unlock()
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

func (f *Folder) writeTemp(temp string, data []byte) error {
	file, err := f.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		return errors.Join(err, file.Close())
	}
	return syncAndClose(file)
}

func (f *Folder) discard(temp string) error {
	if err := f.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makeFolder makes the folder and those that lead to it, durably, and what is in it:
// what is there already may have been put just before a crash, or by another process.
// An index must not outlast the object that it is of.
func (f *Folder) makeFolder(dir string) error {
	f.mu.Lock()
	known := f.mu.synced == dir
	f.mu.Unlock()
	parent := "."
	for part := range strings.SplitSeq(dir, "/") {
		if part == "." {
			continue
		}
		next := path.Join(parent, part)
		err := f.root.Mkdir(next, 0o750)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err == nil || !known {
			if err := f.sync(parent); err != nil {
				return err
			}
		}
		parent = next
	}
	if !known {
		if err := f.sync(dir); err != nil {
			return err
		}
	}
	f.mu.Lock()
	f.mu.synced = dir
	f.mu.Unlock()
	return nil
}

func (f *Folder) sync(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return syncAndClose(d)
}

func syncAndClose(f *os.File) error {
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// Get implements [Bucket].
func (f *Folder) Get(ctx context.Context, name string) ([]byte, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	data, err := f.root.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	return data, nil
}

// List implements [Bucket]. It holds the names of one folder at each depth.
func (f *Folder) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		f.list(ctx, ".", prefix, after, yield)
	}
}

// list yields what is in one folder and below, and reports whether to go on.
func (f *Folder) list(ctx context.Context, dir, prefix, after string, yield func(string, error) bool) bool {
	entries, err := fs.ReadDir(f.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) && dir != "." {
		return true // removed since it was seen
	}
	if err != nil {
		yield("", fmt.Errorf("list: %w", err))
		return false
	}
	for _, name := range inOrder(dir, entries) {
		if err := ctx.Err(); err != nil {
			yield("", fmt.Errorf("list: %w", err))
			return false
		}
		folder, isFolder := strings.CutSuffix(name, "/")
		switch {
		case isFolder:
			within := strings.HasPrefix(name, prefix) || strings.HasPrefix(prefix, name)
			passed := name < after && !strings.HasPrefix(after, name)
			if within && !passed && !f.list(ctx, folder, prefix, after, yield) {
				return false
			}
		case name > after && strings.HasPrefix(name, prefix):
			if !yield(name, nil) {
				return false
			}
		}
	}
	return true
}

// inOrder returns the names of objects and, with a slash behind, of folders in
// the order that the names of objects have: "a.x" before "a/x".
func inOrder(dir string, entries []fs.DirEntry) []string {
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case CheckName(name) != nil: // not an object's, or temporary
		case e.IsDir():
			names = append(names, name+"/")
		case e.Type().IsRegular():
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func check(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return CheckName(name)
}
