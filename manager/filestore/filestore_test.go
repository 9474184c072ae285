package filestore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge/lease/local"
	"centrifuge/manager"
	"centrifuge/manager/filestore"
	"centrifuge/manager/managertest"
)

func open(t *testing.T, folder string) *filestore.Catalog {
	t.Helper()
	c, err := filestore.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCatalog(t *testing.T) {
	managertest.RunCatalog(t, func(t *testing.T) managertest.OpenCatalog {
		c := open(t, t.TempDir())
		return func() manager.Catalog { return c }
	})
}

func TestLeases(t *testing.T) {
	managertest.RunLeases(t, func(t *testing.T) manager.Leases {
		folder, err := local.Acquire(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = folder.Close(t.Context()) })
		return filestore.NewLeases(folder)
	})
}

// The next process finds what was written, and goes on with higher revisions.
func TestReopen(t *testing.T) {
	folder := t.TempDir()
	c := open(t, folder)
	one, err := c.Put(t.Context(), manager.Record{Name: "jobdb-000001", State: manager.StateSpare})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	two, err := open(t, folder).Put(t.Context(), manager.Record{Name: "jobdb-000001", State: manager.StateLive})
	if err != nil || two.Revision <= one.Revision {
		t.Fatalf("revision %d after %d, %v", two.Revision, one.Revision, err)
	}
	records, _, err := open(t, folder).List(t.Context(), 0)
	if err != nil || len(records) != 1 || records[0].State != manager.StateLive || records[0].Revision != two.Revision {
		t.Errorf("found %+v, %v", records, err)
	}
}

func TestDamagedFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "catalog.json")
	for _, text := range []string{"", "{", `{"version": 1, "records": [{]}`, `{"version":-1}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := filestore.Open(folder); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What could not be written is not shown, and can be written again.
func TestFolderGone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	c := open(t, folder)
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	r := manager.Record{Name: "jobdb-000001", State: manager.StateSpare}
	if _, err := c.Put(t.Context(), r); err == nil {
		t.Fatal("written to nowhere")
	}
	if records, _, err := c.List(t.Context(), 0); err != nil || len(records) != 0 {
		t.Errorf("shows %+v, %v", records, err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(t.Context(), r); err != nil {
		t.Error(err)
	}
}
