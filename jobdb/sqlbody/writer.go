package sqlbody

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math/bits"
	"strings"
)

// writer is the connection that writes, with its prepared statements.
type writer struct {
	dialect Dialect
	conn    *sql.Conn

	epoch                                                                     *sql.Stmt
	jobs, payloads, transitions, transactions, preparations, policies, orders inserter

	// plainTransitions inserts those without a time of retry, code and message.
	plainTransitions inserter

	args  []any  // of the statement being filled
	arena []byte // what args refer to and nobody else keeps
}

func newWriter(ctx context.Context, db *sql.DB, dialect Dialect) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		dialect: dialect,
		conn:    conn,
		jobs: inserter{columns: 11, into: `jobs (id, source, destination, created_at, expire_at, ` +
			`endpoint, method, headers, settings, replay_of, payload_id)`},
		payloads: inserter{columns: 2, into: `payloads (id, payload)`},
		transitions: inserter{columns: 10, into: `job_state_transitions (job_id, id, state, attempt, time, ` +
			`retry_at, status_code, duration, error_code, error)`},
		plainTransitions: inserter{columns: 7, rest: `, 0`, into: `job_state_transitions (job_id, id, state, attempt, time, ` +
			`status_code, duration, retry_at)`},
		transactions: inserter{columns: 4, into: `transactions (id, created_at, job_ids, state)`},
		preparations: inserter{columns: 6, into: `preparations (id, created_at, deadline, job_ids, size, payload_id)`},
		policies:     inserter{columns: 4, into: `queue_policies (source, destination, policy, time)`},
		orders:       inserter{columns: 5, into: `orders (source, destination, kind, seq, time)`},
	}
	for _, in := range w.inserters() {
		in.bySize = make([]*sql.Stmt, bits.Len(uint(dialect.MaxRows)))
	}
	const maxPayloads = 32 // more only make buffers large
	w.payloads.bySize = w.payloads.bySize[:min(len(w.payloads.bySize), bits.Len(maxPayloads))]
	if dialect.Claim != nil {
		if err := dialect.Claim(ctx, conn); err != nil {
			w.discard()
			return nil, err
		}
	}
	if w.epoch, err = conn.PrepareContext(ctx, dialect.MaxEpoch); err != nil {
		w.discard()
		return nil, err
	}
	return w, nil
}

// begin starts a transaction.
func (w *writer) begin(ctx context.Context) error {
	_, err := w.conn.ExecContext(ctx, w.dialect.Begin)
	return err
}

// finish runs f in the transaction that was begun, and commits it. Its error is
// explained.
func (w *writer) finish(ctx context.Context, f func() error) error {
	if err := f(); err != nil {
		w.rollback(ctx)
		return w.dialect.Explain(err, false)
	}
	if _, err := w.conn.ExecContext(ctx, `COMMIT`); err != nil {
		w.rollback(ctx)
		return w.dialect.Explain(err, true)
	}
	return nil
}

// rollback ends a transaction that has failed. The database may have ended it
// itself, so that there is nothing left to undo, and that is no error.
func (w *writer) rollback(ctx context.Context) { _, _ = w.conn.ExecContext(ctx, `ROLLBACK`) }

func (w *writer) maxEpoch(ctx context.Context) (int64, error) {
	var epoch sql.NullInt64
	err := w.epoch.QueryRowContext(ctx).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return epoch.Int64, err
}

// close gives the connection back to its pool.
func (w *writer) close() error {
	return errors.Join(w.closeStatements(), w.conn.Close())
}

// discard closes the connection itself, as it may be in the middle of something.
// What that says is of no use: the failure that led here has been told.
func (w *writer) discard() {
	_ = w.closeStatements()
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = w.conn.Close()
}

func (w *writer) closeStatements() error {
	var err error
	if w.epoch != nil {
		err = w.epoch.Close()
	}
	for _, in := range w.inserters() {
		err = errors.Join(err, in.close())
	}
	return err
}

func (w *writer) inserters() [8]*inserter {
	return [...]*inserter{
		&w.jobs, &w.payloads, &w.transitions, &w.plainTransitions, &w.transactions, &w.preparations, &w.policies,
		&w.orders,
	}
}

// inserter holds the statements that insert 1, 2, 4, … rows into a table, each
// prepared when it is first needed.
type inserter struct {
	into    string      // the table with its columns in brackets
	columns int         // whose values are bound
	rest    string      // the literals of those after them, each with a comma before it
	bySize  []*sql.Stmt // by the binary logarithm of the number of rows
}

// insert inserts the rows whose values lie in args one after the other.
func (in *inserter) insert(ctx context.Context, conn *sql.Conn, args []any) error {
	for len(args) > 0 {
		size := min(bits.Len(uint(len(args)/in.columns))-1, len(in.bySize)-1)
		stmt, err := in.prepared(ctx, conn, size) //nolint:sqlclosecheck // by close
		if err != nil {
			return err
		}
		n := in.columns << size
		if _, err := stmt.ExecContext(ctx, args[:n]...); err != nil {
			return err
		}
		args = args[n:]
	}
	return nil
}

func (in *inserter) prepared(ctx context.Context, conn *sql.Conn, size int) (*sql.Stmt, error) {
	if in.bySize[size] == nil {
		row := ", (?" + strings.Repeat(", ?", in.columns-1) + in.rest + ")"
		stmt, err := conn.PrepareContext(ctx, `INSERT INTO `+in.into+` VALUES `+strings.Repeat(row, 1<<size)[2:]) //nolint:sqlclosecheck // by close
		if err != nil {
			return nil, err
		}
		in.bySize[size] = stmt
	}
	return in.bySize[size], nil
}

func (in *inserter) close() error {
	var err error
	for i, s := range in.bySize {
		if s != nil {
			err = errors.Join(err, s.Close())
			in.bySize[i] = nil
		}
	}
	return err
}
