package web

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"centrifuge/access"
	"centrifuge/archive"
)

// A replay goes page by page: the browser posts for the next page with what came
// of those before. So it is cancelled by closing the dialog, goes on after a
// failure where it stood, and the server keeps nothing of it.

// replayPage is how many jobs one request replays at most, and replayTime how long
// it may take at the chosen rate, so that the bar moves.
const (
	replayPage = 200
	replayTime = 2 * time.Second
	countLimit = 20_000 // how far the jobs of a filter are counted
)

// replayData is the dialog of a replay.
type replayData struct {
	Form     archiveForm
	Matching int64 // jobs that the filter chooses
	Fresh    int64 // of them, not replayed yet
	AtLeast  bool  // there are more than were counted
	Rate     string
	Until    string // what is archived later is left out

	Cursor  string
	Jobs    int64 // replayed so far
	Skipped int64
	LeftOut int64
	Damaged []string // parts of the archive that are left out, the first of them
	Done    bool
}

// At is how far it has come, of Matching.
func (d *replayData) At() int64 { return min(d.Jobs+d.Skipped+d.LeftOut, d.Matching) }

// maxDamaged is how many damaged parts of the archive are named.
const maxDamaged = 20

// damage adds the names of what is damaged and not made up for, each once.
func (d *replayData) damage(damaged []*archive.DamagedError) {
	for _, name := range lost(damaged) {
		if !slices.Contains(d.Damaged, name) && len(d.Damaged) < maxDamaged {
			d.Damaged = append(d.Damaged, name)
		}
	}
}

// lost are the names of what is damaged and not made up for.
func lost(damaged []*archive.DamagedError) (names []string) {
	for _, d := range damaged {
		if !d.MadeUpFor {
			names = append(names, d.Stored)
		}
	}
	return names
}

// planReplay counts what a replay will do, and asks.
func (s *Site) planReplay(w http.ResponseWriter, r *http.Request) error {
	d, filter, err := s.replayOf(r)
	if err != nil {
		return err
	}
	cursor := ""
	for {
		listed, err := s.o.Backends.Archive.ListArchive(r.Context(), filter, cursor, 1000)
		if err != nil {
			return whatFailed("list the archive", err)
		}
		d.damage(listed.Damaged)
		for i := range listed.Entries {
			d.Matching++
			if e := &listed.Entries[i]; e.ReplayedAs.IsZero() && !e.Doubtful {
				d.Fresh++
			}
		}
		if cursor = listed.Next; cursor == "" || d.Matching >= countLimit {
			d.AtLeast = cursor != ""
			return s.show(w, r, page{View: "replay", Title: "Replay archived jobs", Data: &d})
		}
	}
}

// replay replays the next page.
func (s *Site) replay(w http.ResponseWriter, r *http.Request) error {
	d, filter, err := s.replayOf(r)
	if err != nil {
		return err
	}
	perSecond, limit := 0.0, replayPage
	if d.Rate != "" {
		if perSecond, err = strconv.ParseFloat(d.Rate, 64); err != nil || !(perSecond >= 0.1) {
			return invalid("a rate is a number of jobs a second, 0.1 at least")
		}
		limit = min(limit, max(1, int(perSecond*replayTime.Seconds())))
	}
	did, err := s.o.Backends.Archive.Replay(r.Context(), filter, d.Cursor, limit, perSecond)
	s.shared.forget()
	if err != nil {
		return whatFailed("replay", err)
	}
	d.Cursor, d.Skipped, d.Jobs = did.Next, d.Skipped+int64(did.Skipped), d.Jobs+int64(did.Jobs)
	d.LeftOut += int64(did.LeftOut)
	d.damage(did.Damaged)
	d.Done = d.Cursor == ""
	return s.show(w, r, page{View: "replay", Title: "Replay archived jobs", Data: &d})
}

// replayOf reads which jobs are meant, and how far their replay has come.
func (s *Site) replayOf(r *http.Request) (d replayData, filter archive.Filter, err error) {
	if err := r.ParseForm(); err != nil {
		return d, filter, invalid("the form cannot be read")
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(r.Form.Get(name), 10, 64) // a form that was tampered with shows a wrong bar
		return max(n, 0)
	}
	until := s.o.Now()
	if text := r.Form.Get("until"); text != "" {
		if until, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return d, filter, invalid("the form cannot be read")
		}
	}
	d = replayData{
		Form: formOf(r), Rate: r.Form.Get("rate"), Cursor: r.Form.Get("cursor"), Until: until.UTC().Format(time.RFC3339Nano),
		Jobs: number("jobs"), Skipped: number("skipped"), LeftOut: number("left-out"), Matching: number("matching"), AtLeast: r.Form.Get("at-least") != "",
	}
	if names := r.Form["damaged"]; len(names) > 0 {
		d.Damaged = names[:min(len(names), maxDamaged)]
	}
	// The filter is that of the moment when the replay was asked for.
	filter, err = d.Form.filter(access.From(r.Context()), access.Operate, until)
	filter.To = until
	return d, filter, err
}
