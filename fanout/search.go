package fanout

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"centrifuge"
	"centrifuge/director"
	"centrifuge/jobdb"
)

// Search looks for jobs as [director.Director.Search] does: in the JobDBs of one
// Director after the other, by their names, and then in the archive. What is missing is
// told on the first page, and of a Director that does not answer later on when it is
// its turn.
func (f *Fleet) Search(ctx context.Context, filter director.JobFilter, cursor string, limit int, budget time.Duration) (page director.SearchPage, missing []Missing, err error) {
	if f.o.Others == nil {
		page, err = f.o.Own.Search(ctx, filter, cursor, limit, budget)
		return page, nil, err
	}
	until := f.o.Now().Add(budget)
	left := func() time.Duration { return max(until.Sub(f.o.Now()), 0) }
	if !strings.HasPrefix(cursor, director.InArchive) {
		name, inner, err := parseCursor(cursor)
		if err != nil {
			return page, nil, err
		}
		if cursor == "" {
			s, err := f.Survey(ctx, Question{})
			if err != nil {
				return page, nil, err
			}
			missing = s.Missing
		}
		for _, m := range f.from(name) {
			if m.Name != name {
				inner = ""
			}
			own, err := f.searchOne(ctx, m, filter, inner, limit-len(page.Jobs), left())
			if invalid(err) {
				return director.SearchPage{}, nil, err
			}
			if err != nil {
				missing = append(missing, unnamed(Missing{Director: m.Name, Why: f.why(err)}, missing)...)
				continue
			}
			page.Jobs, page.Looked = append(page.Jobs, own.Jobs...), page.Looked+own.Looked
			if own.Next != "" {
				page.Next, page.Cut = cursorAt(m.Name, own.Next), own.Cut
				return page, missing, nil
			}
		}
		cursor = director.InArchive
	}
	rest, err := f.o.Own.Search(ctx, filter, cursor, limit-len(page.Jobs), left())
	if err != nil {
		return director.SearchPage{}, nil, err
	}
	rest.Jobs, rest.Looked = append(page.Jobs, rest.Jobs...), page.Looked+rest.Looked
	return rest, missing, nil
}

// Get returns a job of any Director, as [director.Director.Get] has it.
func (f *Fleet) Get(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	return f.o.Own.Get(ctx, id)
}

func (f *Fleet) searchOne(ctx context.Context, m Member, filter director.JobFilter, cursor string, limit int, budget time.Duration) (director.SearchPage, error) {
	if m.Err != nil {
		return director.SearchPage{}, m.Err
	}
	ctx, cancel := context.WithTimeout(ctx, budget+f.o.Patience)
	defer cancel()
	return m.SearchOwn(ctx, filter, cursor, limit, budget)
}

// from are the Directors from that of a name on, in the order of their names.
func (f *Fleet) from(name string) []Member {
	members := f.members()
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return slices.DeleteFunc(members, func(m Member) bool { return m.Name < name })
}

// unnamed is what is missing, unless it is named already.
func unnamed(m Missing, named []Missing) []Missing {
	if slices.ContainsFunc(named, func(other Missing) bool { return other.Director == m.Director }) {
		return nil
	}
	return []Missing{m}
}

// cursorAt is where a search goes on at a Director, which has a cursor of its own.
func cursorAt(name, inner string) string { return "director " + url.QueryEscape(name) + " " + inner }

// parseCursor reads it; the empty one is where a search begins.
func parseCursor(cursor string) (name, inner string, err error) {
	if cursor == "" {
		return "", "", nil
	}
	rest, ok := strings.CutPrefix(cursor, "director ")
	escaped, inner, _ := strings.Cut(rest, " ")
	if name, err = url.QueryUnescape(escaped); err != nil || !ok {
		return "", "", &director.InvalidError{Index: -1, Field: "page_token", Reason: "is not one that a search gave"}
	}
	return name, inner, nil
}
