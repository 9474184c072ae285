package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"centrifuge/visibility"
)

// A statement reads so many days, each of which opens a table, and ranges at most.
const (
	daysAt   = 64
	rangesAt = 1000
)

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// scan reads one range, ascending.
func scan(ctx context.Context, q querier, writer uint64, d visibility.Day, from, to uint64, f func(key uint64, data []byte) error) error {
	query := selectOf(writer, d) + fmt.Sprintf("entry BETWEEN %d AND %d ORDER BY entry", from, to)
	err := read(ctx, q, query, func(_ visibility.Day, key uint64, data []byte) error { return f(key, data) })
	if is(err, errNoTable) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s of writer %d: %w", tableOf(d), writer, err)
	}
	return nil
}

// gather reads many ranges in few statements.
func gather(
	ctx context.Context, q querier, writer uint64, parts []visibility.Part, f func(d visibility.Day, key uint64, data []byte) error,
) error {
	for len(parts) > 0 {
		query, n := unionOf(writer, parts)
		err := read(ctx, q, query, f)
		if is(err, errNoTable) { // one of them is gone: nothing was read yet
			err = gatherEach(ctx, q, writer, parts[:n], f)
		}
		if err != nil {
			return fmt.Errorf("read %s to %s of writer %d: %w", parts[0].Day, parts[n-1].Day, writer, err)
		}
		parts = parts[n:]
	}
	return nil
}

func gatherEach(
	ctx context.Context, q querier, writer uint64, parts []visibility.Part, f func(d visibility.Day, key uint64, data []byte) error,
) error {
	for _, p := range parts {
		if err := scan(ctx, q, writer, p.Day, p.From, p.To, func(key uint64, data []byte) error { return f(p.Day, key, data) }); err != nil {
			return err
		}
	}
	return nil
}

// unionOf is a statement that reads the first n parts, those of a day that follow on
// each other from one scan of its table.
func unionOf(writer uint64, parts []visibility.Part) (query string, n int) {
	var b strings.Builder
	days := 0
	for ; n < len(parts) && n < rangesAt; n++ {
		p := parts[n]
		switch {
		case n > 0 && p.Day == parts[n-1].Day:
			b.WriteString(" OR ")
		case days == daysAt:
			b.WriteString(")")
			return b.String(), n
		default:
			if n > 0 {
				b.WriteString(") UNION ALL ")
			}
			b.WriteString(selectOf(writer, p.Day) + "(")
			days++
		}
		fmt.Fprintf(&b, "entry BETWEEN %d AND %d", p.From, p.To)
	}
	b.WriteString(")")
	return b.String(), n
}

// selectOf begins a statement that reads a day. A table is never read whole for some
// of its ranges, whatever the server guesses.
func selectOf(writer uint64, d visibility.Day) string {
	return fmt.Sprintf("SELECT %d, entry, data FROM %s FORCE INDEX (PRIMARY) WHERE writer = %d AND ", d, tableOf(d), writer)
}

func read(ctx context.Context, q querier, query string, f func(d visibility.Day, key uint64, data []byte) error) error {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	var (
		d     visibility.Day
		entry uint64
		data  sql.RawBytes
	)
	for rows.Next() {
		if err := rows.Scan(&d, &entry, &data); err != nil {
			return err
		}
		if err := f(d, entry, data); err != nil {
			return err
		}
	}
	return rows.Err()
}
