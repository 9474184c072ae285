package web

import (
	"net/http"
	"strconv"
	"strings"

	"centrifuge/access"
	"centrifuge/visibility"
)

// tableData is a table of destinations, sources or queues.
type tableData struct {
	Picker  picker
	Path    string
	Noun    string // what a row is
	Filter  string
	State   string            // of health, to filter by
	Kept    map[string]string // what else the page's address says
	Columns []column
	Rows    []*row
	Total   int // of all rows
	Matched int // by the filters
	Pages   []choice
	Gaps    []visibility.Gap
}

// column is the head of a column that the table can be sorted by.
type column struct {
	Title   string
	Explain string
	Link    string
	Sorted  string // aria-sort, empty if it is not sorted by this
	Number  bool
}

const rowsPerPage = 100

func (s *Site) destinations(w http.ResponseWriter, r *http.Request) error {
	return s.table(w, r, visibility.ByDestination, "Destinations", "destinations")
}

func (s *Site) sources(w http.ResponseWriter, r *http.Request) error {
	if p := access.From(r.Context()); p.Customer {
		return p.Denied(access.View, "")
	}
	return s.table(w, r, visibility.BySource, "Sources", "sources")
}

func (s *Site) table(w http.ResponseWriter, r *http.Request, by visibility.By, title, section string) error {
	pick := pickerOf(r)
	over := pick.Chosen.Range(s.o.Now())
	found, err := s.rows(r.Context(), by, over, true)
	if err != nil {
		return err
	}
	d := s.tabulate(r, found.rows, strings.TrimSuffix(section, "s"), pick)
	if d.Gaps, err = s.history().Gaps(r.Context(), over); err != nil {
		return whatFailed("read the history's gaps", err)
	}
	return s.show(w, r, page{View: "table", Title: title, Section: section, Poll: 5, Missing: found.missing, Data: &d})
}

// tabulate filters, sorts and cuts the rows as the request says.
func (s *Site) tabulate(r *http.Request, rows []*row, noun string, pick picker) tableData {
	q := r.URL.Query()
	d := tableData{Picker: pick, Path: r.URL.Path, Noun: noun, Filter: q.Get("q"), State: q.Get("health"), Total: len(rows), Kept: map[string]string{}}
	for _, name := range [...]string{"range", "sort", "dir"} {
		if v := q.Get(name); v != "" {
			d.Kept[name] = v
		}
	}
	kept := rows[:0]
	for _, row := range rows {
		if strings.Contains(strings.ToLower(row.Name), strings.ToLower(d.Filter)) &&
			(d.State == "" || strings.EqualFold(d.State, row.Health.Word) || d.State == "trouble" && row.Health.rank <= 2) {
			kept = append(kept, row)
		}
	}
	d.Matched = len(kept)
	by, descending := q.Get("sort"), q.Get("dir") == "desc"
	if by == "" {
		by, descending = "attempts", true
	}
	sortRows(kept, by, descending)
	d.Columns = columnsOf(r, noun, by, descending)
	at, _ := strconv.Atoi(q.Get("page")) // what is no number is the first
	pages := max(1, (len(kept)+rowsPerPage-1)/rowsPerPage)
	at = min(max(at, 1), pages)
	for i := 1; pages > 1 && i <= pages; i++ {
		if i == 1 || i == pages || i >= at-2 && i <= at+2 {
			q.Set("page", strconv.Itoa(i))
			d.Pages = append(d.Pages, choice{Name: strconv.Itoa(i), Link: r.URL.Path + "?" + q.Encode(), Current: i == at})
		}
	}
	d.Rows = kept[(at-1)*rowsPerPage : min(at*rowsPerPage, len(kept))]
	return d
}

// columnsOf are the heads of a table's columns, each a link that sorts by it.
func columnsOf(r *http.Request, noun, by string, descending bool) []column {
	all := []struct{ key, title, explain string }{
		{"name", strings.ToUpper(noun[:1]) + noun[1:], ""},
		{"health", "Health", "Held back: its breaker is open. Failing: half of the attempts or more fail. Degraded: one in twenty or more."},
		{"attempts", "Attempts", "In the chosen time"},
		{"first", "1st attempt", "Ended jobs that the first attempt delivered"},
		{"eventual", "Delivered", "Ended jobs that were delivered at all"},
		{"p50", "p50", "Median duration of an attempt"},
		{"p95", "p95", "95th percentile of an attempt's duration"},
		{"p99", "p99", "99th percentile of an attempt's duration"},
		{"pending", "Pending", "Jobs that have not ended"},
		{"drain", "Drains in", "At the pace of the last ten minutes"},
	}
	columns := make([]column, len(all))
	for i, c := range all {
		q := r.URL.Query()
		q.Del("page")
		q.Set("sort", c.key)
		col := column{Title: c.title, Explain: c.explain, Number: i >= 2}
		down := i >= 2 && c.key != "first" && c.key != "eventual" // what most deserves a look comes first
		if by == c.key {
			col.Sorted = "ascending"
			if descending {
				col.Sorted = "descending"
			}
			down = !descending
		}
		q.Set("dir", map[bool]string{true: "desc", false: "asc"}[down])
		col.Link = r.URL.Path + "?" + q.Encode()
		columns[i] = col
	}
	return columns
}
