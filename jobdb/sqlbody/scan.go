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
// is committed meanwhile stays in the database's log until it ends.
func (b *Body) Scan(ctx context.Context) iter.Seq2[*jobdb.Row, error] {
	return func(yield func(*jobdb.Row, error) bool) {
		stopped := false
		err := b.snapshot(ctx, func(tx *sql.Tx) error {
			s := scan{
				jobs:        tx.StmtContext(ctx, b.reads.scanJobs),
				transitions: tx.StmtContext(ctx, b.reads.scanLastTransitions),
				names:       make(map[string]string),
			}
			for {
				more, err := s.next(ctx)
				if err != nil {
					return err
				}
				for i := range s.page {
					if !yield(&s.page[i], nil) {
						stopped = true
						return nil
					}
				}
				if !more {
					return nil
				}
			}
		})
		if err != nil && !stopped {
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

// next reads the next page and reports whether there may be another.
func (s *scan) next(ctx context.Context) (bool, error) {
	after := s.after
	s.page = s.page[:0]
	if err := eachRow(ctx, s.jobs, s.addJob, after[:], scanPage); err != nil {
		return false, err
	}
	if len(s.page) == 0 {
		return false, nil
	}
	s.after = s.page[len(s.page)-1].ID
	i := 0
	var t centrifuge.Transition
	err := eachRow(ctx, s.transitions, func(rows *sql.Rows) error {
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
	return len(s.page) == scanPage, err
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
