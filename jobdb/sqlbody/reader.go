package sqlbody

import (
	"context"
	"database/sql"
	"fmt"

	"centrifuge"
	"centrifuge/jobdb"
)

// Reader is a [jobdb.Reader]: a Body without an epoch, which cannot write.
type Reader struct {
	body Body
	db   *sql.DB
}

var _ jobdb.Reader = (*Reader)(nil)

// OpenReader returns the Reader of a JobDB. It owns the pool of connections, which
// it closes also if it fails.
func OpenReader(ctx context.Context, dialect Dialect, db *sql.DB) (*Reader, error) {
	reads, err := prepareLookups(ctx, db)
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("prepare reads: %w", dialect.Explain(err, false))
	}
	return &Reader{body: Body{dialect: dialect, readers: db, reads: reads}, db: db}, nil
}

// Trace implements [jobdb.Reader].
func (r *Reader) Trace(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	return r.body.Trace(ctx, id)
}

// Mark implements [jobdb.Reader].
func (r *Reader) Mark(ctx context.Context) (jobdb.Mark, error) {
	var epoch, seq sql.NullInt64
	err := r.body.snapshot(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT (SELECT MAX(epoch) FROM owners), (SELECT MAX(id) FROM job_state_transitions)`).Scan(&epoch, &seq)
	})
	if err != nil {
		return jobdb.Mark{}, fmt.Errorf("read how far it was written: %w", err)
	}
	return jobdb.Mark{Epoch: uint64(epoch.Int64), Seq: uint64(seq.Int64)}, nil
}

// Close implements [jobdb.Reader]. It does not fail: there is nothing to be written.
func (r *Reader) Close() error {
	_ = r.body.Shut()
	_ = r.db.Close()
	return nil
}
