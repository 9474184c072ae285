package director

import (
	"context"
	"errors"
	"fmt"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/jobdb"
)

// replayChunk is how many archived jobs are submitted at once.
const replayChunk = 100

// replayBytes bounds their payloads, well below what one Submit may hold.
const replayBytes = 8 << 20

// ReplayPage tells what a page of a replay did.
type ReplayPage struct {
	Replayed int
	Skipped  int    // had been replayed before
	Next     string // where the next page begins; empty after the last
}

// ListArchive returns a page of the archived jobs that the filter chooses.
func (d *Director) ListArchive(ctx context.Context, f archive.Filter, cursor string, limit int) (archive.Page, error) {
	page, err := d.o.Archive.List(ctx, f, cursor, limit)
	return page, badCursor(err)
}

// badCursor turns a cursor that no listing gave into an [InvalidError].
func badCursor(err error) error {
	if errors.Is(err, archive.ErrCursor) {
		return &InvalidError{-1, "page_token", "is not one that a listing gave"}
	}
	return err
}

// Replay submits the archived jobs of one page again, at most rate a second (0: as
// fast as they are accepted), as new jobs that name the old ones. A job that was
// replayed is not replayed again, whatever was cut short in between: its new id
// follows from the old one, and a mark in the archive is made once it is durable.
func (d *Director) Replay(ctx context.Context, f archive.Filter, cursor string, limit int, rate float64) (ReplayPage, error) {
	listed, err := d.ListArchive(ctx, f, cursor, limit)
	if err != nil {
		return ReplayPage{}, err
	}
	if err := errors.Join(listed.Problems...); err != nil {
		return ReplayPage{}, fmt.Errorf("replay: %w", err)
	}
	page := ReplayPage{Next: listed.Next}
	var entries []archive.Entry
	for _, e := range listed.Entries {
		if e.ReplayedAs.IsZero() {
			entries = append(entries, e)
		} else {
			page.Skipped++
		}
	}
	for len(entries) > 0 {
		n := chunk(entries)
		if rate > 0 {
			n = min(n, max(1, int(rate)))
		}
		replayed, err := d.replay(ctx, entries[:n])
		if err != nil {
			return page, err
		}
		page.Replayed += replayed
		page.Skipped += n - replayed
		entries = entries[n:]
		if rate > 0 {
			select {
			case <-ctx.Done():
				return page, ctx.Err()
			case <-time.After(time.Duration(float64(n) / rate * float64(time.Second))):
			}
		}
	}
	return page, nil
}

// chunk is how many of the entries, at least one, are submitted at once.
func chunk(entries []archive.Entry) int {
	n, size := 1, entries[0].PayloadSize
	for n < min(len(entries), replayChunk) && size+entries[n].PayloadSize <= replayBytes {
		size += entries[n].PayloadSize
		n++
	}
	return n
}

func (d *Director) replay(ctx context.Context, entries []archive.Entry) (int, error) {
	t, leave, err := d.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	return t.replay(ctx, entries, d.ids)
}

// replay submits the entries' jobs, except those that the JobDB holds since an
// earlier try did not come to marking them, and marks them all.
func (t *tenure) replay(ctx context.Context, entries []archive.Entry, ids *centrifuge.IDs) (replayed int, err error) {
	marks := make([]archive.Replay, len(entries))
	newIDs := make(map[centrifuge.ID]centrifuge.ID, len(entries))
	candidates := make([]centrifuge.ID, len(entries))
	for i := range entries {
		if candidates[i], err = entries[i].ReplayID(); err != nil {
			return 0, err
		}
		newIDs[entries[i].JobID] = candidates[i]
		marks[i] = archive.Replay{Entry: entries[i], As: candidates[i], At: t.o.Now()}
	}
	known, err := t.known(ctx, candidates)
	if err != nil {
		return 0, fmt.Errorf("replay: look up %d ids: %w", len(candidates), err)
	}
	done := make(map[centrifuge.ID]bool, len(known))
	for _, id := range known {
		done[id] = true
	}
	var jobs []*centrifuge.Job
	for record, err := range t.o.Archive.Read(ctx, entries) {
		if err != nil {
			return 0, fmt.Errorf("replay: %w", err)
		}
		if id := newIDs[record.Job.ID]; !done[id] {
			jobs = append(jobs, again(record.Job, id, t.o.Now()))
		}
	}
	if len(jobs) > 0 {
		if _, err := t.submit(ctx, Submission{Jobs: jobs}, ids); err != nil {
			return 0, fmt.Errorf("replay %d jobs: %w", len(jobs), err)
		}
	}
	if err := t.o.Archive.MarkReplayed(ctx, marks); err != nil {
		return len(jobs), fmt.Errorf("replay: %w", err)
	}
	return len(jobs), nil
}

// again is the job as a new one, with as much time as the old one was given.
func again(job centrifuge.Job, id centrifuge.ID, now time.Time) *centrifuge.Job {
	ttl := job.ExpireAt.Sub(job.CreatedAt)
	job.ReplayOf, job.ID = job.ID, id
	job.ExpireAt = now.Add(ttl)
	return &job
}

// findArchived returns the trace of a job that only the archive holds.
func (d *Director) findArchived(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	record, err := d.o.Archive.Find(ctx, id)
	if errors.Is(err, archive.ErrNotFound) {
		return jobdb.Trace{}, fmt.Errorf("job %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return jobdb.Trace{}, err
	}
	return jobdb.Trace{Job: record.Job, Transitions: append(record.Transitions, centrifuge.Transition{
		JobID: id, State: centrifuge.StateArchived, Attempt: record.Attempts, ErrorCode: record.Reason, Time: record.ArchivedAt,
	})}, nil
}
