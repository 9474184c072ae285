package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
// record, and to its end, where its checksum is. If one cannot be read, or lacks the
// job, the error takes the place of the records that did not come; the next objects
// follow if the caller goes on. After a [DamagedError] those that did come are not
// to be trusted either.
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
	damaged := func(err error) error {
		return &DamagedError{Object: object, Stored: object + dataExt, Err: err}
	}
	for line, err := range a.dataLines(ctx, object) {
		var r Record
		if err == nil && len(wanted) > 0 {
			if r, err = parseRecord(line); err != nil {
				err = damaged(err)
			}
		}
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
	}
	for id := range wanted {
		return yield(Record{}, damaged(fmt.Errorf("%d jobs of its index are not in it, among them %s", len(wanted), id)))
	}
	return true
}

// records yields all records of an object. After an error nothing more is
// yielded.
func (a *Archive) records(ctx context.Context, object string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for line, err := range a.dataLines(ctx, object) {
			var r Record
			if err == nil {
				if r, err = parseRecord(line); err != nil {
					err = &DamagedError{Object: object, Stored: object + dataExt, Err: err}
				}
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// dataLines yields the lines of an object's records. After an error nothing more is
// yielded.
func (a *Archive) dataLines(ctx context.Context, object string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		stored := object + dataExt
		data, err := a.bucket.Get(ctx, stored)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			yield(nil, &DamagedError{Object: object, Stored: stored, Err: err})
			return
		case err != nil:
			yield(nil, fmt.Errorf("get archive object %s: %w", stored, err))
			return
		}
		for line, err := range a.lines(data) {
			if err != nil {
				err = &DamagedError{Object: object, Stored: stored, Err: err}
			}
			if !yield(line, err) || err != nil {
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
// storage. If the job is not found but what is in between is damaged, the error says
// so and is not [ErrNotFound].
func (a *Archive) Find(ctx context.Context, id centrifuge.ID) (Record, error) {
	filter := Filter{JobID: id, From: id.Time().Add(-clockSkew), To: id.Time().Add(FindSpan)}
	var problems []error
	for cursor := ""; ; {
		page, err := a.List(ctx, filter, cursor, 1)
		if err != nil {
			return Record{}, fmt.Errorf("find job %s: %w", id, err)
		}
		for _, damage := range page.Damaged {
			problems = append(problems, damage)
		}
		var found Record
		whole := false
		for r, err := range a.Read(ctx, page.Entries) {
			if whole = err == nil; whole {
				found = r
			} else {
				problems = append(problems, err)
			}
		}
		if whole {
			return found, nil
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
