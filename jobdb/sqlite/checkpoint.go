package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	sqlite "modernc.org/sqlite"

	"centrifuge/jobdb/sqlbody"
)

// checkpointer brings the pages of the log into the file, beside the commits and
// not in them. When the log has grown by limit pages since the last time, one
// checkpoint copies nearly all of them while commits go on; a second one, while
// they pause, copies the few that were added meanwhile, so that the log is empty
// and the next commit begins it anew. Without that pause it would never be.
type checkpointer struct {
	limit  int // pages
	pool   *sql.DB
	conn   *sql.Conn
	logger *slog.Logger

	pages int // written to the log since the last checkpoint; a commit's, or Quiesce's

	wake chan struct{}
	done chan struct{} // closed when the goroutine has ended; nil before start
}

func newCheckpointer(ctx context.Context, path string, limit int, logger *slog.Logger) (*checkpointer, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	pool, err := connect(path, "rw", "busy_timeout(100)", "synchronous(FULL)", "wal_autocheckpoint(0)", cacheSize(64<<10))
	if err != nil {
		return nil, err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(explain(err, false), pool.Close())
	}
	return &checkpointer{limit: limit, pool: pool, conn: conn, logger: logger, wake: make(chan struct{}, 1)}, nil
}

// committed counts the pages of a commit.
func (c *checkpointer) committed(conn *sql.Conn) {
	err := conn.Raw(func(dc any) error {
		pages, _, err := dc.(sqlite.DBStatus).Status(sqlite.DBStatusCacheWrite, true)
		c.pages += pages
		return err
	})
	if err != nil || c.pages >= c.limit {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// start begins the goroutine; close ends it.
func (c *checkpointer) start(body *sqlbody.Body) {
	c.done = make(chan struct{})
	go func() {
		defer close(c.done)
		for range c.wake {
			if err := c.checkpoint(body); err != nil {
				c.logger.Warn("checkpoint failed; it will be tried again", "error", err)
			}
		}
	}()
}

func (c *checkpointer) checkpoint(body *sqlbody.Body) error {
	if _, err := c.run("PASSIVE"); err != nil {
		return err
	}
	return body.Quiesce(func() error {
		c.pages = 0
		logged, err := c.run("PASSIVE")
		if err == nil && logged > 4*c.limit {
			// Readers kept the log from beginning anew, several times now: make
			// them finish, for as long as the connection's busy_timeout.
			_, err = c.run("RESTART")
		}
		return err
	})
}

// run makes a checkpoint and returns how many pages the log has.
func (c *checkpointer) run(mode string) (logged int, err error) {
	var busy, copied int
	err = c.conn.QueryRowContext(context.Background(), `PRAGMA wal_checkpoint(`+mode+`)`).Scan(&busy, &logged, &copied)
	if err != nil {
		return 0, fmt.Errorf("checkpoint: %w", err)
	}
	return logged, nil
}

// close waits for a checkpoint under way. No commit may follow.
func (c *checkpointer) close() error {
	if c.pool == nil {
		return nil
	}
	close(c.wake)
	if c.done != nil {
		<-c.done
	}
	pool := c.pool
	c.pool = nil
	return errors.Join(c.conn.Close(), pool.Close())
}
