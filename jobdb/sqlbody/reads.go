package sqlbody

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"centrifuge"
)

const (
	jobColumns = `id, source, destination, created_at, expire_at, endpoint, method, headers, settings, replay_of, payload_id`

	traceColumns = `job_id, id, state, attempt, time, retry_at, status_code, duration, error_code, error`

	transactionColumns = `id, created_at, job_ids, state`
)

// reads are the prepared statements of the readers.
type reads struct {
	known, jobs, payloads, lives, histories *lookup // by a list of ids

	policies, orders                          *sql.Stmt
	transaction, preparation, prepared, ended *sql.Stmt
	scanJobs, scanLastTransitions             *sql.Stmt
}

func prepareReads(ctx context.Context, db *sql.DB, dialect Dialect) (*reads, error) {
	r, err := prepareLookups(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, s := range []struct {
		to  **sql.Stmt
		sql string
	}{
		{&r.transaction, `SELECT ` + transactionColumns + ` FROM transactions WHERE id = ?`},
		{&r.ended, `SELECT ` + transactionColumns + ` FROM transactions WHERE id > ? AND created_at >= ? ORDER BY id LIMIT ?`},
		{&r.preparation, `SELECT created_at, deadline, job_ids, size, payload_id FROM preparations WHERE id = ?`},
		{&r.prepared, `SELECT id, deadline, size FROM preparations p
			WHERE NOT EXISTS (SELECT 1 FROM transactions t WHERE t.id = p.id)`},
		{&r.policies, `SELECT source, destination, policy, time FROM queue_policies ORDER BY id`},
		{&r.orders, `SELECT source, destination, kind, MAX(seq), MAX(time) FROM orders WHERE time >= ? GROUP BY source, destination, kind`},
		{&r.scanJobs, `SELECT id, source, destination, created_at, expire_at FROM jobs WHERE id > ? ORDER BY id LIMIT ?`},
		{&r.scanLastTransitions, dialect.LastTransitions},
	} {
		stmt, err := db.PrepareContext(ctx, s.sql) //nolint:sqlclosecheck // by close
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		*s.to = stmt
	}
	return r, nil
}

// prepareLookups prepares the queries by ids, which JobDBs of all versions answer.
func prepareLookups(ctx context.Context, db *sql.DB) (*reads, error) {
	r := &reads{}
	for _, s := range []struct {
		to  **lookup
		sql string
	}{
		{&r.known, `SELECT id FROM jobs WHERE id IN (?)`},
		{&r.jobs, `SELECT ` + jobColumns + ` FROM jobs WHERE id IN (?)`},
		{&r.payloads, `SELECT id, payload FROM payloads WHERE id IN (?)`},
		{&r.lives, `SELECT job_id, state, attempt FROM job_state_transitions WHERE job_id IN (?) ORDER BY job_id, id`},
		{&r.histories, `SELECT ` + traceColumns + ` FROM job_state_transitions WHERE job_id IN (?) ORDER BY job_id, id`},
	} {
		l, err := prepareLookup(ctx, db, s.sql)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		*s.to = l
	}
	return r, nil
}

func (r *reads) close() error {
	var err error
	for _, l := range []*lookup{r.known, r.jobs, r.payloads, r.lives, r.histories} {
		if l != nil {
			err = errors.Join(err, l.close())
		}
	}
	for _, s := range []*sql.Stmt{
		r.policies, r.orders, r.transaction, r.preparation, r.prepared, r.ended, r.scanJobs, r.scanLastTransitions,
	} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

// snapshot runs f in a transaction that sees the JobDB as it is at its
// beginning. Its error is explained.
func (b *Body) snapshot(ctx context.Context, f func(*sql.Tx) error) error {
	if err := b.enter(); err != nil {
		return err
	}
	defer b.leave()
	tx, err := b.readers.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelDefault, ReadOnly: true})
	if err != nil {
		return b.explainRead(ctx, err)
	}
	err = f(tx)
	if undo := tx.Rollback(); err == nil && !errors.Is(undo, sql.ErrTxDone) {
		err = undo
	}
	if err != nil {
		return b.explainRead(ctx, err)
	}
	return nil
}

// explainRead sees to it that a read whose context has ended says so: a driver may
// tell of the connection instead, which it has closed for that.
func (b *Body) explainRead(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return b.dialect.Explain(err, false)
}

// lookupSize is how many ids a lookup asks for in one statement.
const lookupSize = 64

// lookup is a query for the rows of some ids.
type lookup struct{ one, many *sql.Stmt }

// prepareLookup prepares a query that has one "(?)".
func prepareLookup(ctx context.Context, db *sql.DB, query string) (*lookup, error) {
	one, err := db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	list := "(?" + strings.Repeat(", ?", lookupSize-1) + ")"
	many, err := db.PrepareContext(ctx, strings.Replace(query, "(?)", list, 1))
	if err != nil {
		return nil, errors.Join(err, one.Close()) //nolint:sqlclosecheck // kept if all is well
	}
	return &lookup{one: one, many: many}, nil
}

func (l *lookup) close() error { return errors.Join(l.one.Close(), l.many.Close()) }

// each calls row for each row of the ids, n of them, which arg tells. A list that
// is short repeats its last id, which finds no row twice.
func (l *lookup) each(ctx context.Context, tx *sql.Tx, n int, arg func(int) any, row func(*sql.Rows) error) error {
	one, many := tx.StmtContext(ctx, l.one), tx.StmtContext(ctx, l.many)
	var args [lookupSize]any
	for start := 0; start < n; start += lookupSize {
		if start == n-1 {
			if err := eachRow(ctx, one, row, arg(start)); err != nil {
				return err
			}
			break
		}
		for i := range args {
			args[i] = arg(min(start+i, n-1))
		}
		if err := eachRow(ctx, many, row, args[:]...); err != nil {
			return err
		}
	}
	return nil
}

func eachRow(ctx context.Context, stmt *sql.Stmt, row func(*sql.Rows) error, args ...any) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Known implements [jobdb.DB].
func (b *Body) Known(ctx context.Context, ids []centrifuge.ID) ([]centrifuge.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var known []centrifuge.ID
	err := b.snapshot(ctx, func(tx *sql.Tx) error {
		return b.reads.known.each(ctx, tx, len(ids), func(i int) any { return ids[i][:] }, func(rows *sql.Rows) error {
			var raw sql.RawBytes
			if err := rows.Scan(&raw); err != nil {
				return err
			}
			id, err := parseID(raw)
			known = append(known, id)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("look up %d ids: %w", len(ids), err)
	}
	return known, nil
}
