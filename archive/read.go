package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"centrifuge"
)

// FindSpan is how long after the time in its ID a job is looked for by
// [Archive.Find].
const FindSpan = 7 * 24 * time.Hour

// clockSkew is how far the clock that a job's ID was made by may be ahead of the
// one that it was archived by.
const clockSkew = time.Hour

// Read yields the records of entries that were listed, object by object in the
// order in which objects first appear among them, and in the order of writing
// within an object. Each object is fetched and decompressed once, record by
// record. If one cannot be read, or lacks the job, the error names it (and wraps
// [ErrDamaged]) and takes the place of the records; the others follow if the
// caller goes on.
func (a *Archive) Read(ctx context.Context, entries []Entry) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var order []string
		wanted := map[string]map[centrifuge.ID]bool{}
		for i := range entries {
			e := &entries[i]
			if wanted[e.Object] == nil {
				wanted[e.Object] = map[centrifuge.ID]bool{}
				order = append(order, e.Object)
			}
			wanted[e.Object][e.JobID] = true
		}
		for _, object := range order {
			if !a.readObject(ctx, object, wanted[object], yield) {
				return
			}
		}
	}
}

// readObject yields the wanted records of one object and reports whether to go on.
func (a *Archive) readObject(ctx context.Context, object string, wanted map[centrifuge.ID]bool,
	yield func(Record, error) bool,
) bool {
	if _, err := checkObjectName(object); err != nil {
		return yield(Record{}, fmt.Errorf("read from the archive: %w", err))
	}
	for r, err := range a.records(ctx, object) {
		if err != nil {
			return yield(Record{}, err) && ctx.Err() == nil
		}
		if !wanted[r.Job.ID] {
			continue
		}
		delete(wanted, r.Job.ID)
		if !yield(r, nil) {
			return false
		}
		if len(wanted) == 0 {
			return true
		}
	}
	for id := range wanted {
		return yield(Record{}, damaged(object+dataExt, fmt.Errorf("%d jobs of its index are not in it, among them %s", len(wanted), id)))
	}
	return true
}

// records yields all records of an object. After an error nothing more is
// yielded.
func (a *Archive) records(ctx context.Context, object string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		stored := object + dataExt
		data, err := a.bucket.Get(ctx, stored)
		if err != nil {
			yield(Record{}, fmt.Errorf("get archive object %s: %w", stored, err))
			return
		}
		for line, err := range a.lines(data) {
			if err != nil {
				yield(Record{}, damaged(stored, err))
				return
			}
			r, err := parseRecord(line)
			if err != nil {
				yield(Record{}, damaged(stored, err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Find returns the record of an archived job, or [ErrNotFound] if it is in no
// object archived between an hour before and [FindSpan] after the time in its
// ID. [Archive.List] with a filter of the job alone has no such end.
//
// It reads the indexes of that time, oldest first, until one names the job: a
// fraction of a millisecond each in a local folder, a request each in object
// storage. If the job is not found but an index in between cannot be read, the
// error says so and is not [ErrNotFound].
func (a *Archive) Find(ctx context.Context, id centrifuge.ID) (Record, error) {
	filter := Filter{JobID: id, From: id.Time().Add(-clockSkew), To: id.Time().Add(FindSpan)}
	var problems []error
	for cursor := ""; ; {
		page, err := a.List(ctx, filter, cursor, 1)
		if err != nil {
			return Record{}, fmt.Errorf("find job %s: %w", id, err)
		}
		problems = append(problems, page.Problems...)
		for r, err := range a.Read(ctx, page.Entries) {
			if err == nil {
				return r, nil
			}
			problems = append(problems, err)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(problems) > 0 {
		return Record{}, fmt.Errorf("find job %s: %w", id, errors.Join(problems...))
	}
	return Record{}, fmt.Errorf("find job %s archived from %s to %s: %w", id,
		filter.From.UTC().Format(time.RFC3339), filter.To.UTC().Format(time.RFC3339), ErrNotFound)
}
