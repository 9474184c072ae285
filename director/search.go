package director

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/ksuid"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/jobdb"
)

// JobFilter chooses jobs. Each field that is not zero must hold.
type JobFilter struct {
	Source      string
	Destination string
	Among       []string         // if not nil, only jobs of these sources
	Endpoint    string           // exact, or what it begins with if the last character is '*'
	State       centrifuge.State // where the job stands
	StatusCode  int              // of its last attempt
	ErrorCode   centrifuge.ErrorCode
	From, To    time.Time // of its acceptance: at or after, and before
}

// Found is a job that a search found.
type Found struct {
	ID         centrifuge.ID
	Queue      centrifuge.QueueKey
	Endpoint   string // empty if the search did not have to look at it
	State      centrifuge.State
	Attempts   uint32
	StatusCode int                  // of the last attempt
	ErrorCode  centrifuge.ErrorCode // of the last attempt, or why it was archived
	CreatedAt  time.Time
	ExpireAt   time.Time // zero of jobs found in the archive
	ChangedAt  time.Time // of the last transition
	RetryAt    time.Time // zero if none is due
}

// SearchPage is a part of what a search finds.
type SearchPage struct {
	Jobs   []Found // the oldest first; those in the archive come last
	Next   string  // where the next page begins; empty after the last
	Cut    bool    // the time ran out before the page was full; Next goes on from there
	Looked int     // how many jobs were looked at
}

// searchChunk is how many jobs are loaded at once to look at their endpoints.
const searchChunk = 64

// Search looks for jobs in the JobDBs that the Director holds, and then in the
// archive, from where cursor says. It looks for about as long as budget and returns
// what it found until then, at most limit.
//
// Jobs are found by the second of their ids when From is given, and one by one
// otherwise, some hundred thousand a second. A job that ends while it is looked for
// may be found twice or, on its way to the archive, not at all.
func (d *Director) Search(ctx context.Context, f JobFilter, cursor string, limit int, budget time.Duration) (SearchPage, error) {
	s := search{JobFilter: f, limit: limit, now: d.o.Now, until: d.o.Now().Add(budget)}
	at, err := parseSearchCursor(cursor)
	if err != nil {
		return SearchPage{}, err
	}
	if !at.archived {
		if err := s.own(ctx, d, at); err != nil || s.full() {
			return s.page, err
		}
	}
	if f.State != 0 && f.State != centrifuge.StateArchived {
		return s.page, nil
	}
	return s.archive(ctx, d.o.Archive, at.object)
}

// InArchive is a cursor from which Search looks in the archive alone.
const InArchive = "archive "

// SearchOwn is Search in the JobDBs that the Director holds, and not in the archive.
func (d *Director) SearchOwn(ctx context.Context, f JobFilter, cursor string, limit int, budget time.Duration) (SearchPage, error) {
	if _, err := d.current(); err != nil {
		return SearchPage{}, err
	}
	s := search{JobFilter: f, limit: limit, now: d.o.Now, until: d.o.Now().Add(budget)}
	at, err := parseSearchCursor(cursor)
	if err != nil || at.archived {
		return SearchPage{}, err
	}
	err = s.own(ctx, d, at)
	return s.page, err
}

// own looks through the JobDBs that the Director holds.
func (s *search) own(ctx context.Context, d *Director, at searchCursor) error {
	owners := d.owners()
	if i := slices.IndexFunc(owners, func(w *owned) bool { return w.Name == at.jobdb }); i > 0 {
		owners = owners[i:]
	}
	for _, w := range owners {
		t := w.tenure.Load()
		if t == nil {
			continue
		}
		after := centrifuge.ID{}
		if w.Name == at.jobdb {
			after = at.after
		}
		last, err := s.jobdb(ctx, t.db, after)
		if err != nil {
			s.page = SearchPage{}
			return fmt.Errorf("search JobDB %s: %w", w.Name, err)
		}
		if s.full() {
			s.page.Next = searchCursor{jobdb: w.Name, after: last}.String()
			return nil
		}
	}
	return nil
}

// search is one under way.
type search struct {
	JobFilter
	limit int
	now   func() time.Time
	until time.Time
	page  SearchPage
}

// full reports whether the page is to end here.
func (s *search) full() bool { return len(s.page.Jobs) >= s.limit || s.page.Cut }

// A JobDB that can begin to scan in the middle does; of others the beginning is
// skipped.
type scansAfter interface {
	ScanAfter(ctx context.Context, after centrifuge.ID) iter.Seq2[*jobdb.Row, error]
}

// jobdb looks through a JobDB and returns the last job that it looked at.
func (s *search) jobdb(ctx context.Context, db jobdb.DB, after centrifuge.ID) (last centrifuge.ID, err error) {
	if !s.From.IsZero() {
		if first := firstID(s.From.Add(-clockSkew)); first.Compare(after) > 0 {
			after = first
		}
	}
	rows := db.Scan(ctx)
	if from, ok := db.(scansAfter); ok {
		rows = from.ScanAfter(ctx, after)
	}
	last = after
	var chunk []Found
	for row, err := range rows {
		if err != nil {
			return last, err
		}
		if row.ID.Compare(after) <= 0 {
			continue
		}
		last = row.ID
		s.look()
		if s.matches(row) {
			chunk = append(chunk, newFound(row))
		}
		// No further than there is room for, or what is beyond would be lost.
		if room := min(s.limit-len(s.page.Jobs), searchChunk); len(chunk) >= room || s.page.Cut {
			if err := s.add(ctx, db, chunk); err != nil {
				return last, err
			}
			chunk = chunk[:0]
		}
		if s.full() {
			return last, nil
		}
	}
	return last, s.add(ctx, db, chunk)
}

// look counts a job, and notices every so often that the time is over.
func (s *search) look() {
	if s.page.Looked++; s.page.Looked%256 == 0 && s.now().After(s.until) {
		s.page.Cut = true
	}
}

// clockSkew is how far a job's id may be from its acceptance, if its sender made it.
const clockSkew = time.Hour

func (s *search) matches(row *jobdb.Row) bool {
	last := &row.Last
	return (s.Source == "" || s.Source == row.Queue.Source) &&
		(s.Destination == "" || s.Destination == row.Queue.Destination) &&
		(s.Among == nil || slices.Contains(s.Among, row.Queue.Source)) &&
		(s.State == 0 || s.State == last.State) &&
		last.State != centrifuge.StateArchived && last.State != centrifuge.StateMoved && // found where they are now
		(s.StatusCode == 0 || s.StatusCode == last.StatusCode) &&
		(s.ErrorCode == "" || s.ErrorCode == last.ErrorCode) &&
		s.inTime(row.CreatedAt)
}

func (s *search) inTime(t time.Time) bool {
	return !t.Before(s.From) && (s.To.IsZero() || t.Before(s.To))
}

// add puts the jobs on the page, those whose endpoints fit.
func (s *search) add(ctx context.Context, db jobdb.DB, jobs []Found) error {
	if s.Endpoint == "" || len(jobs) == 0 {
		s.page.Jobs = append(s.page.Jobs, jobs...)
		return nil
	}
	ids := make([]centrifuge.ID, len(jobs))
	for i := range jobs {
		ids[i] = jobs[i].ID
	}
	loaded, err := db.Load(ctx, nil, ids)
	if err != nil {
		return err
	}
	endpoints := make(map[centrifuge.ID]string, len(loaded))
	for i := range loaded {
		endpoints[loaded[i].Job.ID] = loaded[i].Job.Endpoint
	}
	for _, job := range jobs {
		if job.Endpoint = endpoints[job.ID]; s.fits(job.Endpoint) {
			s.page.Jobs = append(s.page.Jobs, job)
		}
	}
	return nil
}

func (s *search) fits(endpoint string) bool {
	if prefix, ok := strings.CutSuffix(s.Endpoint, "*"); ok {
		return strings.HasPrefix(endpoint, prefix)
	}
	return s.Endpoint == endpoint
}

func newFound(row *jobdb.Row) Found {
	last := &row.Last
	return Found{
		ID: row.ID, Queue: row.Queue, State: last.State, Attempts: last.Attempt,
		StatusCode: last.StatusCode, ErrorCode: last.ErrorCode,
		CreatedAt: row.CreatedAt, ExpireAt: row.ExpireAt, ChangedAt: last.Time, RetryAt: last.RetryAt,
	}
}

// archive goes on in the archive. A job is archived after its acceptance, so the
// time is a lower bound there.
func (s *search) archive(ctx context.Context, a *archive.Archive, cursor string) (SearchPage, error) {
	filter := archive.Filter{
		From: s.From, Source: s.Source, Destination: s.Destination, Endpoint: s.Endpoint,
		StatusCode: s.StatusCode, ErrorCode: s.ErrorCode,
	}
	for !s.full() {
		page, err := a.List(ctx, filter, cursor, s.limit-len(s.page.Jobs))
		if err != nil {
			return SearchPage{}, badCursor(err)
		}
		for i := range page.Entries {
			e := &page.Entries[i]
			s.page.Looked++
			if s.inTime(e.CreatedAt) && (s.Among == nil || slices.Contains(s.Among, e.Source)) {
				s.page.Jobs = append(s.page.Jobs, archivedFound(e))
			}
		}
		if cursor = page.Next; cursor == "" {
			return s.page, nil
		}
		s.page.Cut = s.now().After(s.until)
	}
	s.page.Next = searchCursor{archived: true, object: cursor}.String()
	return s.page, nil
}

func archivedFound(e *archive.Entry) Found {
	found := Found{
		ID: e.JobID, Queue: centrifuge.QueueKey{Source: e.Source, Destination: e.Destination}, Endpoint: e.Endpoint,
		State: centrifuge.StateArchived, Attempts: e.Attempts, StatusCode: e.StatusCode, ErrorCode: e.ErrorCode,
		CreatedAt: e.CreatedAt, ChangedAt: e.ArchivedAt,
	}
	if found.StatusCode == 0 && found.ErrorCode == "" {
		found.ErrorCode = e.Reason
	}
	return found
}

// searchCursor is where a search goes on: after a job in a JobDB, or in the archive.
type searchCursor struct {
	jobdb    string
	after    centrifuge.ID
	archived bool
	object   string
}

func (c searchCursor) String() string {
	if c.archived {
		return InArchive + c.object
	}
	return "jobdb " + c.after.String() + " " + c.jobdb
}

func parseSearchCursor(s string) (c searchCursor, err error) {
	bad := &InvalidError{-1, "page_token", "is not one that a search gave"}
	switch place, rest, _ := strings.Cut(s, " "); place {
	case "":
		return c, nil
	case "archive":
		return searchCursor{archived: true, object: rest}, nil
	case "jobdb":
		id, name, ok := strings.Cut(rest, " ")
		if c.after, err = centrifuge.ParseID(id); err != nil || !ok {
			return c, bad
		}
		c.jobdb = name
		return c, nil
	default:
		return c, bad
	}
}

// firstID is at most the first id that is made in the second of t.
func firstID(t time.Time) centrifuge.ID {
	id, err := ksuid.FromParts(t, make([]byte, len(ksuid.KSUID{})-4))
	if err != nil || t.Before(time.Unix(1_400_000_000, 0)) { // ids begin then
		return centrifuge.ID{}
	}
	return centrifuge.ID(id)
}
