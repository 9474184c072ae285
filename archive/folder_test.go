package archive_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"centrifuge/archive"
	"centrifuge/archive/archivetest"
)

func openFolder(t *testing.T, dir string) *archive.Folder {
	t.Helper()
	f, err := archive.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	archivetest.Run(t, func(t *testing.T, place string) archive.Bucket {
		return openFolder(t, filepath.Join(dir, "made", "on", "demand", place))
	})
}

// A crash leaves temporary files; none is ever listed, and those that no process
// can still be writing are removed on opening.
func TestFolderLeftovers(t *testing.T) {
	dir := t.TempDir()
	f := openFolder(t, dir)
	if err := f.Put(t.Context(), "a/b", []byte("x")); err != nil {
		t.Fatal(err)
	}
	old, young := filepath.Join(dir, ".tmp", "old"), filepath.Join(dir, ".tmp", "young")
	for _, name := range []string{old, young} {
		if err := os.WriteFile(name, []byte("half of an obj"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	longAgo := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(old, longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	f = openFolder(t, dir)
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old leftover is still there: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("a file that may be another process's is gone: %v", err)
	}
	for name, err := range f.List(t.Context(), "", "") {
		if err != nil || name != "a/b" {
			t.Errorf("list: %q, %v", name, err)
		}
	}
}

func TestFolderLeavesNoTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	f := openFolder(t, dir)
	if err := f.Put(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), "a/b", []byte("x")); err == nil {
		t.Error("put into an object as if it were a folder was accepted")
	}
	if err := f.Put(t.Context(), "c/d", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), "c", []byte("x")); err == nil {
		t.Error("put over a folder was accepted")
	}
	left, err := os.ReadDir(filepath.Join(dir, ".tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Links cannot lead out of the folder, whoever put them there.
func TestFolderRefusesLinks(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := openFolder(t, dir)
	for link, target := range map[string]string{"file": filepath.Join(outside, "secret"), "folder": outside} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"file", "folder/secret"} {
		if data, err := f.Get(t.Context(), name); err == nil {
			t.Errorf("get %s = %q, through a link", name, data)
		}
	}
	if err := f.Put(t.Context(), "folder/new", []byte("x")); err == nil {
		t.Error("put through a link was accepted")
	}
	for name, err := range f.List(t.Context(), "", "") {
		t.Errorf("list follows a link: %q, %v", name, err)
	}
}

// The folder of an hour may be removed by hand, in the middle of it too.
func TestFolderRemovedByHand(t *testing.T) {
	dir := t.TempDir()
	f := openFolder(t, dir)
	for range 2 {
		if err := f.Put(t.Context(), "a/b/c", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "a")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenFolderErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.OpenFolder(file); err == nil {
		t.Error("a file was opened as a folder")
	}
}
