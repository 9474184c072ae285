package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"centrifuge/visibility"
)

// Write implements [visibility.Backend].
func (b *Backend) Write(ctx context.Context, d visibility.Day, w *visibility.Write) error {
	err := b.change(ctx, func(tx *sql.Tx, writer, seq uint64) error {
		if err := b.mark(ctx, tx, writer, seq, d); err != nil {
			return err
		}
		return write(ctx, tx, writer, d, w)
	})
	if is(err, errNoTable) && b.knows(d) {
		err = fmt.Errorf("%w: it was taken away", visibility.ErrCorrupt)
	}
	if is(err, errNoTable) {
		// Made outside of a transaction, which it would end.
		if _, err := b.db.ExecContext(ctx, fmt.Sprintf(daySchema, tableOf(d))); err != nil {
			return fmt.Errorf("make %s: %w", tableOf(d), err)
		}
		return b.Write(ctx, d, w)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", tableOf(d), err)
	}
	b.note(d, true)
	return nil
}

// change calls f in a transaction that is this writer's next change.
func (b *Backend) change(ctx context.Context, f func(tx *sql.Tx, writer, seq uint64) error) error {
	writer, epoch, err := b.claim(ctx)
	if err != nil {
		return err
	}
	tx, err := b.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}) // no locks between writers
	if err != nil {
		return err
	}
	defer tx.Rollback()
	result, err := tx.ExecContext(ctx, `UPDATE writers SET seq = LAST_INSERT_ID(seq + 1) WHERE id = ? AND epoch = ?`, writer, epoch)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(ErrSuperseded, err)
	}
	seq, err := result.LastInsertId()
	if err != nil {
		return err
	}
	if err := f(tx, writer, uint64(seq)); err != nil {
		return err
	}
	return tx.Commit()
}

// mark gives a day its next version, for readers to notice.
func (b *Backend) mark(ctx context.Context, tx *sql.Tx, writer, seq uint64, d visibility.Day) error {
	if !b.knows(d) {
		_, err := tx.ExecContext(ctx, `INSERT INTO days (writer, day, born, version) VALUES (?, ?, ?, ?)
			ON DUPLICATE KEY UPDATE version = VALUES(version)`, writer, d, seq, seq)
		return err
	}
	result, err := tx.ExecContext(ctx, `UPDATE days SET version = ? WHERE writer = ? AND day = ?`, seq, writer, d)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(fmt.Errorf("%w: it was taken away", visibility.ErrCorrupt), err)
	}
	return nil
}

func (b *Backend) knows(d visibility.Day) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.days[d]
}

func (b *Backend) note(d visibility.Day, there bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if there {
		b.mu.days[d] = true
	} else {
		delete(b.mu.days, d)
	}
}

func write(ctx context.Context, tx *sql.Tx, writer uint64, d visibility.Day, w *visibility.Write) error {
	table := tableOf(d)
	for _, r := range w.Delete {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE writer = ? AND entry BETWEEN ? AND ?`, writer, r.From, r.To); err != nil {
			return err
		}
	}
	var args []any
	size := 0
	for i := range w.Put {
		data := w.Put[i].Data
		if data == nil {
			data = []byte{} // nil is NULL
		}
		args = append(args, writer, w.Put[i].Key, data)
		if size += len(data); size < bytesAt && len(args) < 3*rowsAt && i < len(w.Put)-1 {
			continue
		}
		rows := strings.Repeat(",(?,?,?)", len(args)/3)[1:]
		if _, err := tx.ExecContext(ctx, `REPLACE INTO `+table+` (writer, entry, data) VALUES `+rows, args...); err != nil {
			return err
		}
		args, size = args[:0], 0
	}
	return nil
}

// Drop implements [visibility.Backend]. It removes the day of all writers: those that
// have ended do not do it.
func (b *Backend) Drop(ctx context.Context, d visibility.Day) error {
	if _, _, err := b.claim(ctx); err != nil {
		return err
	}
	// The rows go last, so that what was interrupted is found again.
	for _, statement := range []string{
		"DROP TABLE IF EXISTS " + tableOf(d) + ", " + damagedOf(d),
		fmt.Sprintf("DELETE FROM days WHERE day = %d", d),
	} {
		if _, err := b.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("drop %s: %w", tableOf(d), err)
		}
	}
	b.note(d, false)
	return nil
}

func damagedOf(d visibility.Day) string { return tableOf(d) + "_damaged" }

// SetAside implements [visibility.Backend]: this writer's entries go to a table with
// _damaged at the end of its name.
func (b *Backend) SetAside(ctx context.Context, d visibility.Day) error {
	for _, table := range []string{tableOf(d), damagedOf(d)} {
		if _, err := b.db.ExecContext(ctx, fmt.Sprintf(daySchema, table)); err != nil {
			return fmt.Errorf("set %s aside: %w", tableOf(d), err)
		}
	}
	err := b.change(ctx, func(tx *sql.Tx, writer, _ uint64) error {
		for _, statement := range []string{
			"DELETE FROM " + damagedOf(d) + " WHERE writer = ?",
			"INSERT INTO " + damagedOf(d) + " SELECT * FROM " + tableOf(d) + " WHERE writer = ?",
			"DELETE FROM " + tableOf(d) + " WHERE writer = ?",
			fmt.Sprintf("DELETE FROM days WHERE day = %d AND writer = ?", d),
		} {
			if _, err := tx.ExecContext(ctx, statement, writer); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("set %s aside: %w", tableOf(d), err)
	}
	b.note(d, false)
	return nil
}
