package e2e

import (
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // reads what the Director wrote

	"centrifuge"
)

// openCopy opens a copy of the JobDB as the end of its Director left it, log
// included: opening the file itself would settle what the next Director is to find.
func (s *scene) openCopy() *sql.DB {
	s.Helper()
	const name = "jobdb-000001.db"
	folder := s.TempDir()
	for _, suffix := range []string{"", "-wal"} {
		if err := copyFile(filepath.Join(folder, name+suffix), filepath.Join(s.seenAs, name+suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(folder, name))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = db.Close() })
	return db
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// unrecorded are the jobs that the receiver has taken and whose success is not
// durable: what the dead Director had in flight or not flushed. They, and no
// others, may be delivered again.
func (s *scene) unrecorded() (ids []string) {
	s.Helper()
	s.receiver.awaitQuiet(s)
	db := s.openCopy()
	defer db.Close()
	rows, err := db.QueryContext(s.ctx, `SELECT job_id FROM job_state_transitions WHERE state = ?`, int(centrifuge.StateSucceeded))
	if err != nil {
		s.Fatal(err)
	}
	defer rows.Close()
	recorded := make(map[string]bool)
	for rows.Next() {
		var id centrifuge.ID
		var raw []byte
		if err := rows.Scan(&raw); err != nil {
			s.Fatal(err)
		}
		copy(id[:], raw)
		recorded[id.String()] = true
	}
	if err := rows.Err(); err != nil {
		s.Fatal(err)
	}
	for job := range s.receiver.Jobs() {
		if job.Successes > 0 && !recorded[job.ID] {
			ids = append(ids, job.ID)
		}
	}
	return ids
}

// checkHistory looks at what a Director that has ended left of its jobs' lives.
func (s *scene) checkHistory() {
	s.Helper()
	db := s.openCopy()
	defer db.Close()
	const ends = `(3, 4, 7, 8)` // succeeded, discarded, archived, moved
	for what, query := range map[string]string{
		"jobs with two ends":              `SELECT COUNT(*) FROM (SELECT 1 FROM job_state_transitions WHERE state IN ` + ends + ` GROUP BY job_id HAVING COUNT(*) > 1)`,
		"transitions after a job's end":   `SELECT COUNT(*) FROM job_state_transitions t WHERE EXISTS (SELECT 1 FROM job_state_transitions e WHERE e.job_id = t.job_id AND e.id < t.id AND e.state IN ` + ends + `)`,
		"transitions of unknown jobs":     `SELECT COUNT(*) FROM job_state_transitions WHERE job_id NOT IN (SELECT id FROM jobs)`,
		"attempts begun under one number": `SELECT COUNT(*) FROM (SELECT 1 FROM job_state_transitions WHERE state = 2 GROUP BY job_id, attempt HAVING COUNT(*) > 1)`,
	} {
		var n int
		if err := db.QueryRowContext(s.ctx, query).Scan(&n); err != nil {
			s.Fatalf("%s: %v", what, err)
		}
		if n != 0 {
			s.Errorf("%d %s", n, what)
		}
	}
}
