package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
	"centrifuge/jobdb/sqlite"
)

func TestPool(t *testing.T) {
	jobdbtest.RunPool(t, func(t *testing.T) jobdb.Pool { return sqlite.NewPool(t.TempDir(), nil) })
}

// What a Drop leaves that is cut short, or a crash, is listed until it is gone;
// what is not a JobDB never is, and stays.
func TestPoolAmongOtherFiles(t *testing.T) {
	folder := t.TempDir()
	pool := sqlite.NewPool(folder, nil)
	write := func(names ...string) {
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	others := []string{"lease.lock", "jobdb-000009.db.bak", "jobdb-9.db", "jobdb-000003.txt", "catalog.json"}
	write(others...)
	write("jobdb-000001.db-wal", "jobdb-000001.db-shm", "jobdb-000002.db-shm", "jobdb-000002.db.new")
	servers, err := pool.Servers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files := servers[0].Files
	if len(files) != 2 || files[0] != (jobdb.File{Name: "jobdb-000001", Bytes: 2}) || files[1].Name != "jobdb-000002" {
		t.Fatalf("listed %v", files)
	}
	for _, f := range files {
		if err := pool.Drop(t.Context(), sqlite.Local, f.Name); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != len(others) {
		t.Errorf("left are %v (%v), want %v", left, err, others)
	}
}

func TestPoolWithoutFolder(t *testing.T) {
	pool := sqlite.NewPool(filepath.Join(t.TempDir(), "missing"), nil)
	servers, err := pool.Servers(t.Context())
	if err != nil || len(servers) != 1 || servers[0].Err == nil {
		t.Errorf("got %v, %v; want a server that says what is wrong", servers, err)
	}
}

// The folder may be given as it is typed, such as the default ./data.
func TestPoolOfARelativeFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("data", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := sqlite.NewPool("data", nil).Create(t.Context(), sqlite.Local, jobdb.Name(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("data/" + jobdb.Name(1) + ".db"); err != nil {
		t.Error(err)
	}
}
