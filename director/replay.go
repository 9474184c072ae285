package director

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	LeftOut  int    // of those listed; their object, or a mark of it, is damaged
	Next     string // where the next page begins; empty after the last

	// Damaged is what was found damaged, each part once. Jobs that only it tells of
	// are not among those counted.
	Damaged []*archive.DamagedError
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
//
// What is damaged is left out, and the rest goes on. A store that fails otherwise
// fails the call, which may be repeated.
func (d *Director) Replay(ctx context.Context, f archive.Filter, cursor string, limit int, rate float64) (ReplayPage, error) {
	listed, err := d.ListArchive(ctx, f, cursor, limit)
	if err != nil {
		return ReplayPage{}, err
	}
	page := ReplayPage{Next: listed.Next}
	page.found(listed.Damaged...)
	var entries []archive.Entry
	for _, e := range listed.Entries {
		switch {
		case !e.ReplayedAs.IsZero():
			page.Skipped++
		case e.Doubtful:
			page.LeftOut++
		default:
			entries = append(entries, e)
		}
	}
	for len(entries) > 0 {
		n := chunk(entries)
		if rate > 0 {
			n = min(n, max(1, int(rate)))
		}
		if err := d.replay(ctx, entries[:n], &page); err != nil {
			return page, err
		}
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

// found adds what is damaged, unless it was found before.
func (p *ReplayPage) found(damaged ...*archive.DamagedError) {
	for _, d := range damaged {
		if !slices.ContainsFunc(p.Damaged, func(known *archive.DamagedError) bool { return known.Stored == d.Stored }) {
			p.Damaged = append(p.Damaged, d)
		}
	}
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

func (d *Director) replay(ctx context.Context, entries []archive.Entry, page *ReplayPage) error {
	t, leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	return t.replay(ctx, entries, d.ids, page)
}

// replay submits the entries' jobs, except those that the JobDB holds since an
// earlier try did not come to marking them, and marks them all but those of damaged
// objects. What it did is added to the page.
func (t *tenure) replay(ctx context.Context, entries []archive.Entry, ids *centrifuge.IDs, page *ReplayPage) (err error) {
	newIDs := make(map[centrifuge.ID]centrifuge.ID, len(entries))
	candidates := make([]centrifuge.ID, len(entries))
	for i := range entries {
		if candidates[i], err = entries[i].ReplayID(); err != nil {
			return err
		}
		newIDs[entries[i].JobID] = candidates[i]
	}
	known, err := t.known(ctx, candidates)
	if err != nil {
		return fmt.Errorf("replay: look up %d ids: %w", len(candidates), err)
	}
	done := make(map[centrifuge.ID]bool, len(known))
	for _, id := range known {
		done[id] = true
	}
	records := make(map[centrifuge.ID]centrifuge.Job, len(entries))
	damaged := make(map[string]bool) // objects
	for record, err := range t.o.Archive.Read(ctx, entries) {
		if damage, ok := errors.AsType[*archive.DamagedError](err); ok {
			damaged[damage.Object] = true
			page.found(damage)
			continue
		}
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		records[record.Job.ID] = record.Job
	}
	var jobs []*centrifuge.Job
	var marks []archive.Replay
	for i := range entries {
		e := &entries[i]
		id := newIDs[e.JobID]
		if !done[id] {
			if damaged[e.Object] {
				page.LeftOut++
				continue
			}
			jobs = append(jobs, again(records[e.JobID], id, t.o.Now()))
		}
		marks = append(marks, archive.Replay{Entry: *e, As: id, At: t.o.Now()})
	}
	if len(jobs) > 0 {
		if _, err := t.submit(ctx, Submission{Jobs: jobs}, ids); err != nil {
			return fmt.Errorf("replay %d jobs: %w", len(jobs), err)
		}
	}
	page.Replayed += len(jobs)
	page.Skipped += len(marks) - len(jobs)
	if err := t.o.Archive.MarkReplayed(ctx, marks); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
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
