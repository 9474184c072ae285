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

// writtenBy makes a JobDB as an older version of the schema has it, with one job
// that was submitted, and returns its path.
func writtenBy(t *testing.T, version int, id centrifuge.ID) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jobs.db")
	schema, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("schema-%d.sql", version)))
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
		fmt.Sprintf("PRAGMA user_version = %d", version),
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

func TestOlderVersionsAreUpgraded(t *testing.T) {
	for version := 1; version < schemaVersion; version++ {
		id := centrifuge.ID{1, 2, 3}
		path := writtenBy(t, version, id)
		for epoch := uint64(2); epoch < 4; epoch++ { // the second time there is nothing to upgrade
			db, err := Open(t.Context(), Options{Path: path, Epoch: epoch})
			if err != nil {
				t.Fatal(err)
			}
			tx, err := db.Transaction(t.Context(), "tx")
			if err != nil || tx.State != jobdb.TransactionCommitted || len(tx.JobIDs) != 1 || tx.JobIDs[0] != id {
				t.Errorf("version %d: transaction is %+v, %v", version, tx, err)
			}
			if n := count(t, db); n != 1 {
				t.Errorf("version %d: %d jobs, want 1", version, n)
			}
			prepared := jobdb.Transaction{
				ID: fmt.Sprint("prepared-", epoch), State: jobdb.TransactionPrepared, JobIDs: []centrifuge.ID{{byte(epoch)}},
				CreatedAt: time.UnixMilli(1).UTC(), Deadline: time.UnixMilli(2).UTC(), Drafts: []byte("jobs"),
			}
			order := jobdb.Order{
				Scope: centrifuge.QueueKey{Source: "s"}, Kind: jobdb.OrderExpire, Seq: epoch, Time: time.UnixMilli(int64(epoch)).UTC(),
			}
			if err := db.Commit(t.Context(), &jobdb.Batch{Transactions: []jobdb.Transaction{prepared}, Orders: []jobdb.Order{order}}); err != nil {
				t.Fatal(err)
			}
			if drafts, err := db.Drafts(t.Context(), prepared.ID); err != nil || string(drafts) != "jobs" {
				t.Errorf("version %d: drafts are %q, %v", version, drafts, err)
			}
			if orders, err := db.Orders(t.Context(), time.Time{}); err != nil || len(orders) != 1 || orders[0] != order {
				t.Errorf("version %d: orders are %+v, %v", version, orders, err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A JobDB of an older version that was upgraded and a new one are the same to all
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
	made := columns(written(t))
	for version := 1; version < schemaVersion; version++ {
		if upgraded := columns(writtenBy(t, version, centrifuge.ID{1})); len(made) < 45 || fmt.Sprint(upgraded) != fmt.Sprint(made) {
			t.Errorf("upgraded from version %d: %v\nmade: %v", version, upgraded, made)
		}
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
