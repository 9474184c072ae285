package archive

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"centrifuge"
)

// Replay says that an archived job was submitted again.
type Replay struct {
	Entry Entry
	As    centrifuge.ID // the job that repeats it
	At    time.Time     // millisecond precision
}

type markLine struct {
	Format     int           `json:"v"`
	ID         centrifuge.ID `json:"id"`
	ReplayedAs centrifuge.ID `json:"replayed_as"`
	ReplayedAt instant       `json:"replayed_at"`
}

// MarkReplayed records the replays, so that every later listing shows them in
// its entries. When it returns nil they are durable; when it returns an error
// some may be, and it may be called again. To record the same replays of an
// object again changes nothing. Of several replays of one job the earliest
// stands.
//
// It puts one object for each archive object among the replays, so call it once
// for many of them. The order that makes a replay safe to run twice is to list,
// to leave out what has been replayed, to submit the rest under
// [Entry.ReplayID], where a job that is known already is a success, and then to
// mark it.
func (a *Archive) MarkReplayed(ctx context.Context, replays []Replay) error {
	byObject := map[string][]markLine{}
	for i := range replays {
		r := &replays[i]
		if _, err := checkObjectName(r.Entry.Object); err != nil {
			return fmt.Errorf("mark job %s as replayed: %w", r.Entry.JobID, err)
		}
		if r.Entry.JobID.IsZero() || r.As.IsZero() || r.At.IsZero() {
			return fmt.Errorf("mark job %s as replayed: want the job, what it was replayed as, and when", r.Entry.JobID)
		}
		byObject[r.Entry.Object] = append(byObject[r.Entry.Object],
			markLine{Format: format, ID: r.Entry.JobID, ReplayedAs: r.As, ReplayedAt: instant(r.At)})
	}
	for _, object := range slices.Sorted(maps.Keys(byObject)) {
		if err := a.putMarks(ctx, object, byObject[object]); err != nil {
			return err
		}
	}
	return nil
}

// putMarks puts the marks under a name made from the jobs in them, unless they
// are there: the time at which they were first recorded stays.
func (a *Archive) putMarks(ctx context.Context, object string, marks []markLine) error {
	slices.SortFunc(marks, func(x, y markLine) int {
		return cmp.Or(x.ID.Compare(y.ID), x.ReplayedAs.Compare(y.ReplayedAs))
	})
	sum := sha256.New()
	w, err := newLineWriter()
	if err != nil {
		return fmt.Errorf("mark replays in archive object %s: %w", object, err)
	}
	for i := range marks {
		sum.Write(marks[i].ID[:])
		sum.Write(marks[i].ReplayedAs[:])
		if err := w.write(&marks[i]); err != nil {
			return fmt.Errorf("mark job %s as replayed in archive object %s: %w", marks[i].ID, object, err)
		}
	}
	stored := object + markExt + hex.EncodeToString(sum.Sum(nil)[:16]) + dataExt
	switch _, err := a.readMarks(ctx, object, stored); {
	case err == nil:
		return nil
	case errors.Is(err, ErrDamaged): // or not there
		return a.put(ctx, stored, w)
	default:
		return fmt.Errorf("mark replays: %w", err)
	}
}

func (a *Archive) readMarks(ctx context.Context, object, stored string) ([]markLine, error) {
	damaged := func(err error) error { return &DamagedError{Object: object, Stored: stored, Err: err} }
	data, err := a.bucket.Get(ctx, stored)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, damaged(err)
	}
	if err != nil {
		return nil, fmt.Errorf("get archive object %s: %w", stored, err)
	}
	var marks []markLine
	for line, err := range a.lines(data) {
		if err != nil {
			return nil, damaged(err)
		}
		var m markLine
		err := json.Unmarshal(line, &m)
		if err == nil {
			err = checkLine(m.Format, m.ID)
		}
		if err == nil && m.ReplayedAs.IsZero() {
			err = errors.New("a line has no replayed_as")
		}
		if err != nil {
			return nil, damaged(err)
		}
		marks = append(marks, m)
	}
	return marks, nil
}

// addMarks fills in the replays of entries of one object.
func (a *Archive) addMarks(ctx context.Context, page *Page, entries []Entry, obj object) error {
	if len(obj.marks) == 0 {
		return nil
	}
	at := make(map[centrifuge.ID]*Entry, len(entries))
	for i := range entries {
		at[entries[i].JobID] = &entries[i]
	}
	doubtful := false
	for _, stored := range obj.marks {
		marks, err := a.readMarks(ctx, obj.name, stored)
		if damage, ok := errors.AsType[*DamagedError](err); ok {
			page.Damaged = append(page.Damaged, damage)
			doubtful = true
			continue
		}
		if err != nil {
			return err
		}
		for _, m := range marks {
			e, replayedAt := at[m.ID], time.Time(m.ReplayedAt)
			if e != nil && (e.ReplayedAs.IsZero() || replayedAt.Before(e.ReplayedAt)) {
				e.ReplayedAs, e.ReplayedAt = m.ReplayedAs, replayedAt
			}
		}
	}
	for i := range entries {
		entries[i].Doubtful = doubtful && entries[i].ReplayedAs.IsZero()
	}
	return nil
}
