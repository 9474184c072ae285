package sqlbody

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"centrifuge"
	"centrifuge/jobdb"
)

// scanPage is how many jobs a scan holds at a time.
const scanPage = 1024

// Scan implements [jobdb.DB]. It sees the JobDB as it was when it began, and what
// is committed meanwhile stays in the database's log until it ends. A page is
// read while the caller is busy with the one before.
func (b *Body) Scan(ctx context.Context) iter.Seq2[*jobdb.Row, error] {
	return b.ScanAfter(ctx, centrifuge.ID{})
}

// ScanAfter is [Body.Scan] from the first job on whose id is greater than a given
// one.
func (b *Body) ScanAfter(ctx context.Context, after centrifuge.ID) iter.Seq2[*jobdb.Row, error] {
	return func(yield func(*jobdb.Row, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		pages := make(chan []jobdb.Row)
		var err error // the reader's, until pages is closed
		go func() {
			defer close(pages)
			err = b.snapshot(ctx, func(tx *sql.Tx) error {
				s := scan{
					jobs:        tx.StmtContext(ctx, b.reads.scanJobs),
					transitions: tx.StmtContext(ctx, b.reads.scanLastTransitions),
					names:       make(map[string]string),
					after:       after,
				}
				return s.run(ctx, pages)
			})
		}()
		defer func() {
			cancel()
			for range pages { // until the reader has ended
			}
		}()
		for page := range pages {
			for i := range page {
				if !yield(&page[i], nil) {
					return
				}
			}
		}
		if err != nil {
			yield(nil, fmt.Errorf("scan jobs: %w", err))
		}
	}
}

// scan goes through the jobs page by page, and through their transitions beside
// them: two walks along two trees in the same order.
type scan struct {
	jobs, transitions *sql.Stmt

	page  []jobdb.Row
	after centrifuge.ID     // the last job of the page before
	names map[string]string // sources and destinations, each kept once
}

// run sends page after page. It fills one while the receiver has the other.
func (s *scan) run(ctx context.Context, pages chan<- []jobdb.Row) error {
	var other []jobdb.Row
	for {
		if err := s.next(ctx); err != nil {
			return err
		}
		if len(s.page) == 0 {
			return nil
		}
		select {
		case pages <- s.page:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.page, other = other, s.page
	}
}

// next reads the next page, which is empty after the last one.
func (s *scan) next(ctx context.Context) error {
	after := s.after
	s.page = s.page[:0]
	if err := eachRow(ctx, s.jobs, s.addJob, after[:], scanPage); err != nil || len(s.page) == 0 {
		return err
	}
	s.after = s.page[len(s.page)-1].ID
	i := 0
	var t centrifuge.Transition
	return eachRow(ctx, s.transitions, func(rows *sql.Rows) error {
		if err := scanTransition(rows, &t); err != nil {
			return err
		}
		for i < len(s.page) && s.page[i].ID != t.JobID {
			i++
		}
		if i == len(s.page) {
			return fmt.Errorf("a transition of job %s, which is missing: %w", t.JobID, jobdb.ErrCorrupt)
		}
		s.page[i].Last = t
		return nil
	}, after[:], s.after[:])
}

func (s *scan) addJob(rows *sql.Rows) error {
	var id, source, destination sql.RawBytes
	var created, expire int64
	if err := rows.Scan(&id, &source, &destination, &created, &expire); err != nil {
		return err
	}
	parsed, err := parseID(id)
	if err != nil {
		return err
	}
	at := fromMilli(created)
	s.page = append(s.page, jobdb.Row{
		ID:        parsed,
		Queue:     centrifuge.QueueKey{Source: s.name(source), Destination: s.name(destination)},
		CreatedAt: at,
		ExpireAt:  fromMilli(expire),
		Last:      accepted(parsed, at),
	})
	return nil
}

// name returns b as a string that is shared with the other rows that have it.
func (s *scan) name(b []byte) string {
	const most = 1 << 16
	name, ok := s.names[string(b)]
	if !ok {
		if len(s.names) == most {
			clear(s.names)
		}
		name = string(b)
		s.names[name] = name
	}
	return name
}
