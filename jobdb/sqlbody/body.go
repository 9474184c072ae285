// Package sqlbody is a JobDB on database/sql: everything but the schema and the
// few habits in which databases differ, which a [Dialect] holds. jobdb/sqlite
// and jobdb/mysql embed it.
//
// One connection writes. It keeps its prepared statements, each of which inserts
// a fixed number of rows, and shares a commit's rows out among them. The readers
// have a pool of their own and never wait for the writer.
package sqlbody

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"centrifuge/jobdb"
)

var (
	errClosed   = errors.New("the JobDB is closed")
	errPoisoned = errors.New("the outcome of an earlier commit is unknown: close the JobDB, open it again and recover")
)

// Body is a [jobdb.DB] but for Close, which is the dialect's; it calls
// [Body.Shut] first.
type Body struct {
	dialect Dialect
	epoch   int64
	writers *sql.DB
	readers *sql.DB
	reads   *reads

	open struct {
		sync.Mutex
		shut  bool
		calls sync.WaitGroup
	}

	commit struct { // what the one commit under way owns
		sync.Mutex
		writer      *writer // nil until the first commit, and after a failure that it may not survive
		lastPayload int64   // the highest id in table payloads
		poisoned    bool    // a commit's outcome is unknown
	}
}

// Open records the epoch as that of the owner and returns the JobDB in which it
// is the highest, or [jobdb.ErrSuperseded] if it would not be. The schema must
// be in place. The two pools stay the caller's, to be closed after
// [Body.Shut]; writers must allow one connection.
func Open(ctx context.Context, dialect Dialect, writers, readers *sql.DB, epoch uint64) (*Body, error) {
	if epoch == 0 || epoch > math.MaxInt64 {
		return nil, fmt.Errorf("open with epoch %d: want 1 to %d", epoch, int64(math.MaxInt64))
	}
	b := &Body{dialect: dialect, epoch: int64(epoch), writers: writers, readers: readers}
	if err := b.own(context.WithoutCancel(ctx)); err != nil {
		return nil, fmt.Errorf("record epoch %d: %w", epoch, err)
	}
	reads, err := prepareReads(ctx, readers, dialect)
	if err != nil {
		return nil, fmt.Errorf("prepare reads: %w", dialect.Explain(err, false))
	}
	b.reads = reads
	return b, nil
}

// own writes the epoch down, unless a higher or the same one is there.
func (b *Body) own(ctx context.Context) error {
	w, err := b.begin(ctx)
	if err != nil {
		return err
	}
	err = w.finish(ctx, func() error {
		highest, err := w.maxEpoch(ctx)
		if err != nil {
			return err
		}
		if highest >= b.epoch {
			return fmt.Errorf("epoch %d is recorded: %w", highest, jobdb.ErrSuperseded)
		}
		if _, err := w.conn.ExecContext(ctx, `INSERT INTO owners (epoch, opened_at) VALUES (?, ?)`,
			b.epoch, time.Now().UnixMilli()); err != nil {
			return err
		}
		var last sql.NullInt64
		if err := w.conn.QueryRowContext(ctx, `SELECT MAX(id) FROM payloads`).Scan(&last); err != nil {
			return err
		}
		b.commit.lastPayload = last.Int64
		return nil
	})
	if err != nil {
		b.dropWriter()
	}
	return err
}

// begin returns the writer with a transaction begun. Its error is explained. The
// connection that was kept may have been lost since: nothing has been done on it,
// so a new one is as good.
func (b *Body) begin(ctx context.Context) (*writer, error) {
	if w := b.commit.writer; w != nil {
		if err := w.begin(ctx); err == nil {
			return w, nil
		}
		b.dropWriter()
	}
	w, err := newWriter(ctx, b.writers, b.dialect)
	if err != nil {
		return nil, b.dialect.Explain(err, false)
	}
	if err := w.begin(ctx); err != nil {
		w.discard()
		return nil, b.dialect.Explain(err, false)
	}
	b.commit.writer = w
	return w, nil
}

func (b *Body) dropWriter() {
	b.commit.writer.discard()
	b.commit.writer = nil
}

// Quiesce calls f while no commit is under way, and none begins before it has
// returned.
func (b *Body) Quiesce(f func() error) error {
	b.commit.Lock()
	defer b.commit.Unlock()
	return f()
}

// Shut waits for the calls under way and makes all later ones fail. It releases
// what the Body holds of the two pools. Only its first call does anything.
func (b *Body) Shut() error {
	b.open.Lock()
	if b.open.shut {
		b.open.Unlock()
		return nil
	}
	b.open.shut = true
	b.open.Unlock()
	b.open.calls.Wait()

	err := b.reads.close()
	b.commit.Lock()
	defer b.commit.Unlock()
	if w := b.commit.writer; w != nil {
		b.commit.writer = nil
		err = errors.Join(err, w.close())
	}
	return err
}

// enter begins a call; the caller must call leave when it ends.
func (b *Body) enter() error {
	b.open.Lock()
	defer b.open.Unlock()
	if b.open.shut {
		return errClosed
	}
	b.open.calls.Add(1)
	return nil
}

func (b *Body) leave() { b.open.calls.Done() }
