// Package archive keeps the jobs that could not be delivered, so that they can
// be found, listed and replayed. It owns the format of what is kept, the index
// and the marks of replays; where the bytes lie is for a [Bucket] to say, of
// which [Folder] is the one in a file system.
//
// Nothing is ever changed or deleted: jobs are written in batches, each an
// object of compressed lines of JSON with an index beside it, and a replay adds
// a mark beside both. docs/archive-format.md describes them. What is old may be
// removed by hand, a whole object or folder at a time.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"centrifuge"
)

var (
	// ErrNotFound means that the archive does not hold the job where it was
	// looked for.
	ErrNotFound = errors.New("not in the archive")

	// ErrDamaged means that an object is cut short, corrupt, written by a newer
	// version or gone though another tells of it. The error is a [DamagedError]. A
	// store that does not answer, or refuses, is no damage.
	ErrDamaged = errors.New("damaged or unreadable")

	// ErrCursor means that a cursor is not one that a listing gave.
	ErrCursor = errors.New("not a cursor that a listing gave")
)

// Archive reads and writes archive objects. It is safe for concurrent use, and
// any number of processes may share a bucket, as long as each object name is
// written by one of them; owners' names in [ObjectName] see to that.
type Archive struct {
	bucket  Bucket
	readers sync.Pool // of *lineReader
}

// New makes an archive of what is in the bucket.
func New(b Bucket) *Archive { return &Archive{bucket: b} }

// Write archives the records under a name that [ObjectName] made: when it
// returns nil they are durable, listed, and can be read. When it returns an
// error, some of that may have happened; call it again with the same name.
//
// It may be called again with a name at any time: records of jobs that the
// object holds already are left as they are and others are added, so that each
// job is there once and none is ever taken away. Each record's ArchivedAt
// becomes the time in the name.
//
// Readers take an object's compressed size of memory; the caller bounds it, by
// 1,000 jobs and 16 MiB say. Strings should be valid UTF-8 (other bytes are
// replaced, as JSON has no room for them), and times within the years 0 to 9999.
func (a *Archive) Write(ctx context.Context, name string, records []Record) error {
	at, err := checkObjectName(name)
	if err != nil {
		return fmt.Errorf("write to the archive: %w", err)
	}
	if len(records) == 0 {
		return fmt.Errorf("write archive object %s: no records", name)
	}
	data, err := newLineWriter()
	if err != nil {
		return fmt.Errorf("write archive object %s: %w", name, err)
	}
	index, err := newLineWriter()
	if err != nil {
		return fmt.Errorf("write archive object %s: %w", name, err)
	}
	held := make(map[centrifuge.ID]bool, len(records))
	add := func(r *Record) error {
		if r.Job.ID.IsZero() {
			return errors.New("a job has no id")
		}
		held[r.Job.ID] = true
		line, err := newRecordLine(r)
		if err != nil {
			return fmt.Errorf("job %s: %w", r.Job.ID, err)
		}
		line.ArchivedAt = instant(at)
		if err := data.write(&line); err != nil {
			return fmt.Errorf("encode job %s: %w", r.Job.ID, err)
		}
		if err := index.write(newIndexLine(r)); err != nil {
			return fmt.Errorf("encode the index line of job %s: %w", r.Job.ID, err)
		}
		return nil
	}

	for old, err := range a.records(ctx, name) {
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return fmt.Errorf("write again: %w", err)
		}
		if err := add(&old); err != nil {
			return fmt.Errorf("write archive object %s: %w", name, err)
		}
	}
	before := len(held)
	for i := range records {
		if held[records[i].Job.ID] {
			continue
		}
		if err := add(&records[i]); err != nil {
			return fmt.Errorf("write archive object %s: %w", name, err)
		}
	}
	// The index comes last, so that where there is one, there is what it tells of.
	if len(held) > before {
		if err := a.put(ctx, name+dataExt, data); err != nil {
			return err
		}
	}
	return a.put(ctx, name+indexExt, index)
}

func (a *Archive) put(ctx context.Context, stored string, w *lineWriter) error {
	data, err := w.finish()
	if err != nil {
		return fmt.Errorf("compress archive object %s: %w", stored, err)
	}
	if err := a.bucket.Put(ctx, stored, data); err != nil {
		return fmt.Errorf("put archive object %s: %w", stored, err)
	}
	return nil
}
