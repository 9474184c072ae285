package mysql

import (
	"context"
	"database/sql"
	"fmt"

	"centrifuge/visibility"
)

// ReadOthers implements [visibility.Others]: f reads in one transaction, whose
// snapshot its first query takes.
func (b *Backend) ReadOthers(ctx context.Context, f func([]visibility.OtherWriter) error) error {
	writer, _, err := b.claim(ctx)
	if err != nil {
		return err
	}
	tx, err := b.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("read what others recorded: %w", err)
	}
	defer tx.Rollback()
	others, err := list(ctx, tx, writer)
	if err != nil {
		return fmt.Errorf("list what others recorded: %w", err)
	}
	return f(others)
}

func list(ctx context.Context, tx *sql.Tx, but uint64) (others []visibility.OtherWriter, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT writer, day, born, version FROM days WHERE writer <> ? ORDER BY writer, day`, but)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			writer uint64
			e      visibility.Edition
		)
		if err := rows.Scan(&writer, &e.Day, &e.Born, &e.Version); err != nil {
			return nil, err
		}
		if n := len(others); n == 0 || others[n-1].Number != writer {
			others = append(others, visibility.OtherWriter{Number: writer, View: &view{tx: tx, writer: writer}})
		}
		o := &others[len(others)-1]
		o.Editions = append(o.Editions, e)
		o.View.(*view).days = append(o.View.(*view).days, e.Day)
	}
	return others, rows.Err()
}

// view is the days of another writer in a snapshot. A table that was made since is
// not in it.
type view struct {
	tx     *sql.Tx
	writer uint64
	days   []visibility.Day
}

// Days implements [visibility.View].
func (v *view) Days(context.Context) ([]visibility.Day, error) { return v.days, nil }

// Scan implements [visibility.View].
func (v *view) Scan(ctx context.Context, d visibility.Day, from, to uint64, f func(key uint64, data []byte) error) error {
	return scan(ctx, v.tx, v.writer, d, from, to, f)
}

// Gather implements [visibility.Gatherer].
func (v *view) Gather(ctx context.Context, parts []visibility.Part, f func(d visibility.Day, key uint64, data []byte) error) error {
	return gather(ctx, v.tx, v.writer, parts, f)
}
