package mysql

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
	"centrifuge/jobdb/mysql/mysqltest"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	server := mysqltest.Start(t)
	good := options(server, server.Address)
	for _, test := range []struct {
		name   string
		change func(o *Options)
		want   string
	}{
		{"nobody there", func(o *Options) { o.Address = "127.0.0.1:1" }, "127.0.0.1:1"},
		{"nobody there", func(o *Options) { o.Address = "127.0.0.1:1" }, "is the server running"},
		{"password", func(o *Options) { o.Password = "sesame" }, "Access denied for user 'director'"},
		{"password file", func(o *Options) { o.PasswordFile = "/no/such/file" }, "/no/such/file"},
		{"another's schema", func(o *Options) { o.Schema = "other" }, "Access denied for user 'director'"},
		{"schema name", func(o *Options) { o.Schema = "a`b" }, "want 1 to 64 letters"},
		{"no schema name", func(o *Options) { o.Schema = "" }, "want 1 to 64 letters"},
		{"epoch", func(o *Options) { o.Epoch = 0 }, "epoch 0"},
	} {
		o := good
		test.change(&o)
		db, err := Open(t.Context(), o)
		if err == nil {
			mustClose(t, db)
			t.Errorf("%s: opened", test.name)
			continue
		}
		if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if strings.Contains(err.Error(), o.Password) {
			t.Errorf("%s: the password is in %v", test.name, err)
		}
	}
}

// The file may end with a newline, and may change: it is read for each connection.
func TestPasswordFile(t *testing.T) {
	server := mysqltest.Start(t)
	o := options(server, server.Address)
	o.Password, o.PasswordFile = "", filepath.Join(t.TempDir(), "password")
	write := func(password string) {
		if err := os.WriteFile(o.PasswordFile, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(mysqltest.Password + "\n")
	db := mustOpen(t, o)
	var l load
	mustCommit(t, db, l.batch(t, 1))
	mustExec(t, server.Root(), `ALTER USER '`+mysqltest.User+`'@'127.0.0.1' IDENTIFIED BY 'another'`)
	write("another")
	server.Restart()
	mustCommit(t, db, l.batch(t, 1))
}

func TestSchemaThatIsNoJobDB(t *testing.T) {
	server := mysqltest.Start(t)
	root := server.Root()
	const (
		version1 = "DROP TABLE orders, preparations; DELETE FROM schema_version; INSERT INTO schema_version VALUES (1)"
		version2 = "DROP TABLE orders; DELETE FROM schema_version; INSERT INTO schema_version VALUES (2)"
	)
	for _, test := range []struct {
		name       string
		statements string // separated by ;
		jobDB      bool   // the statements are for a JobDB
		want       error
	}{
		{"another program's", "CREATE TABLE t (a INT)", false, jobdb.ErrCorrupt},
		{"a newer version's", "INSERT INTO schema_version VALUES (99)", true, jobdb.ErrNewerSchema},
		{"a table is missing", "DROP TABLE payloads", true, jobdb.ErrCorrupt},
		{"a column is missing", "ALTER TABLE jobs DROP COLUMN headers", true, jobdb.ErrCorrupt},
		{"version 1", version1 + "; ALTER TABLE transactions DROP COLUMN state", true, nil},
		{"version 1, its upgrade interrupted", version1, true, nil},
		{"version 1, a table is missing", version1 + "; DROP TABLE payloads", true, jobdb.ErrCorrupt},
		{"version 2", version2, true, nil},
		{"version 2, a table is missing", version2 + "; DROP TABLE preparations", true, jobdb.ErrCorrupt},
		{"interrupted at the start", "DROP TABLE jobs, payloads, owners, transactions, preparations, queue_policies, orders, job_state_transitions; DELETE FROM schema_version", true, nil},
		{"interrupted near the end", "DELETE FROM owners; DELETE FROM schema_version", true, nil},
	} {
		o := options(server, server.Address)
		if test.jobDB {
			mustClose(t, mustOpen(t, o))
		} else {
			mustExec(t, root, "CREATE DATABASE "+o.Schema)
		}
		conn, err := root.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, conn, "USE "+o.Schema)
		for statement := range strings.SplitSeq(test.statements, ";") {
			mustExec(t, conn, statement)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		db, err := Open(t.Context(), o.with(2))
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if err == nil {
			var l load
			b := l.batch(t, 1)
			b.Transactions = []jobdb.Transaction{{ID: "a"}, {ID: "b", State: jobdb.TransactionPrepared, Drafts: []byte("drafts")}}
			b.Orders = []jobdb.Order{{Scope: centrifuge.QueueKey{Source: "s"}, Kind: jobdb.OrderRetry, Seq: 7, Time: time.UnixMilli(1).UTC()}}
			mustCommit(t, db, b)
			if orders, err := db.Orders(t.Context(), time.Time{}); err != nil || !slices.Equal(orders, b.Orders) {
				t.Errorf("%s: orders are %+v, %v", test.name, orders, err)
			}
			if drafts, err := db.Drafts(t.Context(), "b"); err != nil || string(drafts) != "drafts" {
				t.Errorf("%s: drafts are %q, %v", test.name, drafts, err)
			}
			mustClose(t, db)
		}
	}
}

func TestWarnings(t *testing.T) {
	const flush, sync = "set innodb_flush_log_at_trx_commit=1", "set sync_binlog=1"
	for _, test := range []struct {
		flags      []string
		want, deny []string
	}{
		{nil, nil, []string{flush, sync}},
		{[]string{"--skip-log-bin", "--sync-binlog=0"}, nil, []string{flush, sync}},
		{[]string{"--innodb-flush-log-at-trx-commit=2"}, []string{flush}, []string{sync}},
		{[]string{"--log-bin=log", "--sync-binlog=0"}, []string{sync}, []string{flush}},
		{[]string{"--log-bin=log", "--sync-binlog=1"}, nil, []string{flush, sync}},
	} {
		server := mysqltest.Start(t, test.flags...)
		var log bytes.Buffer
		o := options(server, server.Address)
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		mustOpen(t, o)
		for _, want := range test.want {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%v: %q does not say %q", test.flags, log.String(), want)
			}
		}
		for _, deny := range test.deny {
			if strings.Contains(log.String(), deny) {
				t.Errorf("%v: %q says %q", test.flags, log.String(), deny)
			}
		}
		server.Kill()
	}
}
