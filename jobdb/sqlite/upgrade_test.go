package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// writtenByVersion1 makes a JobDB as version 1 of the schema has it, with one job
// that was submitted, and returns its path.
func writtenByVersion1(t *testing.T, id centrifuge.ID) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jobs.db")
	schema, err := os.ReadFile(filepath.Join("testdata", "schema-1.sql"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := connect(path, "rwc")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, statement := range []string{
		"PRAGMA journal_mode = WAL",
		string(schema),
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		"PRAGMA user_version = 1",
		fmt.Sprintf(`INSERT INTO jobs VALUES (x'%x', 's', 'd', 1000, 2000, 'http://127.0.0.1/', 'POST', NULL, NULL, NULL, 1)`, id[:]),
		"INSERT INTO payloads VALUES (1, x'01')",
		fmt.Sprintf("INSERT INTO transactions (id, created_at, job_ids) VALUES ('tx', 1000, x'%x')", id[:]),
		"INSERT INTO owners VALUES (1, 1000)",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVersion1IsUpgraded(t *testing.T) {
	id := centrifuge.ID{1, 2, 3}
	path := writtenByVersion1(t, id)
	for epoch := uint64(2); epoch < 4; epoch++ { // the second time there is nothing to upgrade
		db, err := Open(t.Context(), Options{Path: path, Epoch: epoch})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := db.Transaction(t.Context(), "tx")
		if err != nil || tx.State != jobdb.TransactionCommitted || len(tx.JobIDs) != 1 || tx.JobIDs[0] != id {
			t.Errorf("transaction is %+v, %v", tx, err)
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d jobs, want 1", n)
		}
		prepared := jobdb.Transaction{
			ID: fmt.Sprint("prepared-", epoch), State: jobdb.TransactionPrepared, JobIDs: []centrifuge.ID{{byte(epoch)}},
			CreatedAt: time.UnixMilli(1).UTC(), Deadline: time.UnixMilli(2).UTC(), Drafts: []byte("jobs"),
		}
		if err := db.Commit(t.Context(), &jobdb.Batch{Transactions: []jobdb.Transaction{prepared}}); err != nil {
			t.Fatal(err)
		}
		if drafts, err := db.Drafts(t.Context(), prepared.ID); err != nil || string(drafts) != "jobs" {
			t.Errorf("drafts are %q, %v", drafts, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A JobDB of version 1 that was upgraded and one of version 2 are the same to all
// who read and write them: the same tables, with the same columns.
func TestUpgradedSchemaIsThatOfANewOne(t *testing.T) {
	columns := func(path string) map[string]string {
		t.Helper()
		db, err := Open(t.Context(), Options{Path: path, Epoch: 9})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		found := map[string]string{}
		rows, err := db.readers.QueryContext(t.Context(), `SELECT m.name, i.name, i.type, i."notnull", IFNULL(i.dflt_value, ''), i.pk, l.strict, l.wr
			FROM sqlite_schema m, pragma_table_info(m.name) i, pragma_table_list(m.name) l WHERE m.type = 'table'`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var table, column, kind, standard string
			var required, key, strict, withoutRowID int
			if err := rows.Scan(&table, &column, &kind, &required, &standard, &key, &strict, &withoutRowID); err != nil {
				t.Fatal(err)
			}
			found[table+"."+column] = fmt.Sprint(kind, required, standard, key, strict, withoutRowID)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return found
	}
	upgraded, made := columns(writtenByVersion1(t, centrifuge.ID{1})), columns(written(t))
	if len(made) < 40 || fmt.Sprint(upgraded) != fmt.Sprint(made) {
		t.Errorf("upgraded: %v\nmade: %v", upgraded, made)
	}
}

// The version that counts may lie in the log, and the file's header tell an older
// one.
func TestNewerVersionInTheLogIsRefused(t *testing.T) {
	path := written(t)
	db, err := connect(path, "rw", "wal_autocheckpoint(0)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA user_version = %d", schemaVersion+1)); err != nil {
		t.Fatal(err)
	}
	if opened, err := Open(t.Context(), Options{Path: path, Epoch: 2}); !errors.Is(err, jobdb.ErrNewerSchema) {
		t.Errorf("open: %v, want ErrNewerSchema", err)
		if err == nil {
			_ = opened.Close()
		}
	}
}
