package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Page is a part of a listing.
type Page struct {
	Entries []Entry // oldest first, by the time of archiving
	Next    string  // where the next page begins; empty if this is the last

	// Damaged is what was found damaged on the way. Jobs that only it holds are
	// missing from Entries. An object whose index is damaged is listed from its
	// records; the jobs of one with a damaged mark of a replay are Doubtful.
	Damaged []*DamagedError
}

// List returns archived jobs that the filter chooses, from where cursor says: an
// empty one is the beginning, others come from an earlier page. A page has at
// most limit entries (at least 1), and ends earlier if damage makes up the
// number; its memory is bounded by that and one object. What is archived between
// two pages is seen by the later one if its name sorts after the earlier page. A
// batch whose Write is under way or was cut short may be listed already.
//
// It reads the indexes of the objects in the filter's time, and nothing else
// unless an index is missing or damaged. It goes on after what is damaged; if the
// bucket fails otherwise, so does it.
func (a *Archive) List(ctx context.Context, filter Filter, cursor string, limit int) (Page, error) {
	if limit < 1 {
		return Page{}, fmt.Errorf("list the archive: limit %d is below 1", limit)
	}
	begin, done, err := parseCursor(cursor)
	if err != nil {
		return Page{}, fmt.Errorf("list the archive: %w", err)
	}
	after, from := begin, filter.from()
	if !from.IsZero() {
		// "~" is greater than all that follows the time in a name, so this is after
		// the last millisecond that is too early.
		after = max(after, timePrefix(from.Add(-1))+"~")
	}
	var page Page
	for obj, err := range a.objects(ctx, after) {
		if err != nil {
			return Page{}, fmt.Errorf("list the archive: %w", err)
		}
		if !filter.To.IsZero() && !obj.at.Before(filter.To) {
			break
		}
		if obj.at.Before(from) {
			continue
		}
		if len(page.Entries)+len(page.Damaged) >= limit {
			page.Next = obj.name
			break
		}
		skip := 0
		if obj.name == begin {
			skip = done
		}
		next, err := a.listObject(ctx, &page, obj, &filter, skip, limit)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return Page{}, fmt.Errorf("list the archive: %w", err)
		}
		if next > 0 {
			page.Next = obj.name + "," + strconv.Itoa(next)
			break
		}
	}
	return page, nil
}

// listObject adds to the page what the filter chooses of one object, after its
// first skip lines. It returns how many lines are done with if the page became
// full before the last one, and 0 otherwise.
func (a *Archive) listObject(
	ctx context.Context, page *Page, obj object, filter *Filter, skip, limit int,
) (next int, err error) {
	first := len(page.Entries)
	for e, err := range a.entries(ctx, obj, filter.needles()) {
		if damage, ok := errors.AsType[*DamagedError](err); ok {
			page.Damaged = append(page.Damaged, damage)
			continue
		}
		if err != nil {
			return 0, err
		}
		if e.line < skip || !filter.match(&e.Entry) {
			continue
		}
		if len(page.Entries) >= limit {
			next = e.line
			break
		}
		e.Object, e.ArchivedAt = obj.name, obj.at
		page.Entries = append(page.Entries, e.Entry)
	}
	if len(page.Entries) > first {
		err = a.addMarks(ctx, page, page.Entries[first:], obj)
	}
	return next, err
}

// indexed is an entry and the line, from 0, that it has in its object.
type indexed struct {
	Entry
	line int
}

// entries yields what is in an object, by its index or, if that is missing or
// damaged, by its records. It may leave out jobs whose index line lacks a needle.
// An error may be followed by entries all the same.
func (a *Archive) entries(ctx context.Context, obj object, needles [][]byte) iter.Seq2[indexed, error] {
	return func(yield func(indexed, error) bool) {
		if obj.index && !obj.data {
			yield(indexed{}, &DamagedError{Object: obj.name, Stored: obj.name + dataExt, Err: errors.New("it is missing, though its index is there")})
			return
		}
		if obj.index {
			entries, err := a.readIndex(ctx, obj.name, needles)
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
			}
			if err == nil || !yield(indexed{}, err) {
				return
			}
		}
		if !obj.data {
			return // marks alone
		}
		line := 0
		for r, err := range a.records(ctx, obj.name) {
			if err != nil {
				yield(indexed{}, err)
				return
			}
			index := newIndexLine(&r)
			if !yield(indexed{Entry: index.entry(), line: line}, nil) {
				return
			}
			line++
		}
	}
}

// readIndex returns the entries of an index, all or none: that an index is
// damaged may show at its end only.
func (a *Archive) readIndex(ctx context.Context, object string, needles [][]byte) ([]indexed, error) {
	stored := object + indexExt
	damaged := func(err error) error {
		return &DamagedError{Object: object, Stored: stored, Err: err, MadeUpFor: true}
	}
	data, err := a.bucket.Get(ctx, stored)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, damaged(err)
	}
	if err != nil {
		return nil, fmt.Errorf("get archive object %s: %w", stored, err)
	}
	var entries []indexed
	n := 0
	for line, err := range a.lines(data) {
		if err != nil {
			return nil, damaged(err)
		}
		if containsAll(line, needles) {
			e, err := parseEntry(line)
			if err != nil {
				return nil, damaged(err)
			}
			entries = append(entries, indexed{Entry: e, line: n})
		}
		n++
	}
	return entries, nil
}

// object is what the bucket has under one archive object's name.
type object struct {
	name  string
	at    time.Time
	data  bool
	index bool
	marks []string // their names in the bucket, in order
}

// objects yields the archive objects whose names in the bucket are greater than
// after, in order. Names that are not the archive's are passed over.
func (a *Archive) objects(ctx context.Context, after string) iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		var obj object
		for stored, err := range a.bucket.List(ctx, "", after) {
			if err != nil {
				yield(object{}, err)
				return
			}
			name, at, ext, ok := splitName(stored)
			if !ok {
				continue
			}
			if name != obj.name {
				if obj.name != "" && !yield(obj, nil) {
					return
				}
				obj = object{name: name, at: at}
			}
			switch {
			case ext == dataExt:
				obj.data = true
			case ext == indexExt:
				obj.index = true
			case strings.HasPrefix(ext, markExt):
				obj.marks = append(obj.marks, stored)
			}
		}
		if obj.name != "" {
			yield(obj, nil)
		}
	}
}

// parseCursor reads where a page begins: at an object, and after how many lines
// of it.
func parseCursor(cursor string) (after string, skip int, err error) {
	if cursor == "" {
		return "", 0, nil
	}
	name, lines, some := strings.Cut(cursor, ",")
	if _, err := checkObjectName(name); err != nil {
		return "", 0, fmt.Errorf("cursor %q: %w", cursor, ErrCursor)
	}
	if some {
		if skip, err = strconv.Atoi(lines); err != nil || skip < 1 {
			return "", 0, fmt.Errorf("cursor %q: %w", cursor, ErrCursor)
		}
	}
	return name, skip, nil
}
