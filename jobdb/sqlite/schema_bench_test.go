package sqlite

import (
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"centrifuge"
)

// jobTable is one way to lay out jobs and payloads. Its statements take the
// columns in the order of schema.sql.
type jobTable struct {
	name     string
	create   string
	payloads bool // in a table of their own
}

const columns = `id BLOB NOT NULL PRIMARY KEY, source TEXT NOT NULL, destination TEXT NOT NULL,
	created_at INTEGER NOT NULL, expire_at INTEGER NOT NULL, endpoint TEXT NOT NULL, method TEXT NOT NULL,
	headers BLOB, settings BLOB, replay_of BLOB, `

func jobTables() []jobTable {
	return []jobTable{
		{"rowid-and-index", `CREATE TABLE jobs (` + columns + `payload BLOB) STRICT`, false},
		{"without-rowid", `CREATE TABLE jobs (` + columns + `payload BLOB) STRICT, WITHOUT ROWID`, false},
		{"payloads-apart", `CREATE TABLE jobs (` + columns + `payload INTEGER) STRICT, WITHOUT ROWID;
			CREATE TABLE payloads (id INTEGER PRIMARY KEY, payload BLOB) STRICT`, true},
	}
}

// BenchmarkSchema inserts b.N jobs, 64 a commit, and scans them. Nothing but the
// layout of the jobs differs.
func BenchmarkSchema(b *testing.B) {
	for _, table := range jobTables() {
		for _, payload := range []int{1 << 10, 5 << 10} {
			b.Run(fmt.Sprintf("%s/payload=%d", table.name, payload), func(b *testing.B) {
				benchmarkTable(b, table, payload, 32, true)
			})
		}
	}
}

// BenchmarkRows inserts jobs with statements of so many rows, prepared once, and
// for comparison with one that is parsed each time.
func BenchmarkRows(b *testing.B) {
	for _, rows := range []int{1, 2, 4, 8, 16, 32, 64} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) { benchmarkTable(b, jobTables()[2], 1<<10, rows, true) })
	}
	b.Run("rows=32/parsed", func(b *testing.B) { benchmarkTable(b, jobTables()[2], 1<<10, 32, false) })
}

func benchmarkTable(b *testing.B, table jobTable, payload, rows int, prepared bool) {
	ctx := b.Context()
	db, err := connect(filepath.Join(b.TempDir(), "x.db"), "rwc", "journal_mode(WAL)", "synchronous(FULL)", cacheSize(32<<20))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	exec := func(query string, args ...any) {
		if _, err := db.ExecContext(ctx, query, args...); err != nil {
			b.Fatal(err)
		}
	}
	exec(table.create)
	prepare := func(into string, columns int) func(args ...any) {
		row := ", (?" + strings.Repeat(", ?", columns-1) + ")"
		query := `INSERT INTO ` + into + ` VALUES ` + strings.Repeat(row, rows)[2:]
		if !prepared {
			return func(args ...any) { exec(query, args...) }
		}
		stmt, err := db.PrepareContext(ctx, query)
		if err != nil {
			b.Fatal(err)
		}
		return func(args ...any) {
			if _, err := stmt.ExecContext(ctx, args...); err != nil {
				b.Fatal(err)
			}
		}
	}
	insertJobs := prepare("jobs", 11)
	var insertPayloads func(args ...any)
	if table.payloads {
		insertPayloads = prepare("payloads", 2)
	}
	l := newLoad(make([]byte, payload))
	_, _ = rand.Read(l.payload)

	start := cpu(b)
	n := 0
	for n < b.N {
		exec("BEGIN IMMEDIATE")
		for range 64 / rows {
			jobArgs, payloadArgs := make([]any, 0, rows*11), make([]any, 0, rows*2)
			for range rows {
				n++
				j, err := l.job(time.UnixMilli(1))
				if err != nil {
					b.Fatal(err)
				}
				var last any = j.Payload
				if table.payloads {
					last = n
					payloadArgs = append(payloadArgs, n, j.Payload)
				}
				jobArgs = append(jobArgs, j.ID[:], j.Source, j.Destination, j.CreatedAt.UnixMilli(), j.ExpireAt.UnixMilli(),
					j.Endpoint, j.Method, []byte(j.Headers[0].Value), nil, nil, last)
			}
			insertJobs(jobArgs...)
			if table.payloads {
				insertPayloads(payloadArgs...)
			}
		}
		exec("COMMIT")
	}
	exec("PRAGMA wal_checkpoint(TRUNCATE)")
	inserted := cpu(b)
	scan, err := db.QueryContext(ctx, "SELECT id, source, destination, created_at, expire_at FROM jobs ORDER BY id")
	if err != nil {
		b.Fatal(err)
	}
	defer scan.Close()
	began := time.Now()
	for scan.Next() {
	}
	if err := scan.Err(); err != nil {
		b.Fatal(err)
	}
	scanned := time.Since(began)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64((inserted-start).Microseconds())/float64(n), "cpu-µs/job")
	b.ReportMetric(float64(scanned.Microseconds())/float64(n), "scan-µs/job")
	if size, err := sizeOf(filepath.Join(dbFolder(b, db), "x.db")); err == nil {
		b.ReportMetric(float64(size)/float64(n), "B/job")
	}
}

func dbFolder(b *testing.B, db *sql.DB) string {
	var seq int
	var name, file string
	if err := db.QueryRowContext(b.Context(), "PRAGMA database_list").Scan(&seq, &name, &file); err != nil {
		b.Fatal(err)
	}
	return filepath.Dir(file)
}

// BenchmarkCompression tells what it costs to compress a payload of JSON as
// fast as zstd can, and what is left of it.
func BenchmarkCompression(b *testing.B) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{1 << 10, 5 << 10} {
		payload := events(b, size)
		b.Run(fmt.Sprintf("payload=%d", size), func(b *testing.B) {
			var dst []byte
			for b.Loop() {
				dst = encoder.EncodeAll(payload, dst[:0])
			}
			b.ReportMetric(float64(len(dst))/float64(len(payload)), "ratio")
		})
	}
}

// events makes JSON such as analytics events are.
func events(b *testing.B, size int) []byte {
	ids := centrifuge.NewIDs(rand.Reader)
	var out []byte
	for len(out) < size {
		id, err := ids.Next(time.UnixMilli(1))
		if err != nil {
			b.Fatal(err)
		}
		event, err := json.Marshal(map[string]any{
			"messageId": id.String(), "anonymousId": id.String(), "type": "track", "event": "Order Completed",
			"timestamp":  time.UnixMilli(int64(len(out))).UTC(),
			"context":    map[string]any{"ip": "203.0.113.7", "userAgent": "Mozilla/5.0 (X11; Linux x86_64)", "locale": "en-GB"},
			"properties": map[string]any{"order": rand.Text(), "total": len(out) * 7, "currency": "EUR", "coupon": rand.Text()},
		})
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, event...)
	}
	return out[:size]
}

// BenchmarkScan reads b.N waiting jobs of 5 KiB, each with an attempt behind it,
// as recovery does.
func BenchmarkScan(b *testing.B) {
	path := filepath.Join(b.TempDir(), "jobs.db")
	db, err := Open(b.Context(), Options{Path: path, Epoch: 1})
	if err != nil {
		b.Fatal(err)
	}
	l := newLoad(make([]byte, 5<<10))
	_, _ = rand.Read(l.payload)
	fillWaiting(b, db, l, b.N)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	if db, err = Open(b.Context(), Options{Path: path, Epoch: 2}); err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	before, began := cpu(b), time.Now()
	b.ReportAllocs()
	b.ResetTimer()
	n := count(b, db)
	b.StopTimer()
	b.ReportMetric(time.Since(began).Seconds(), "s")
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(n), "cpu-µs/job")
	if size, err := db.Size(b.Context()); err == nil {
		b.ReportMetric(float64(size)/float64(n), "B/job")
	}
}
