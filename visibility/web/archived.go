package web

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/archive"
)

// archiveData is a page of the archive.
type archiveData struct {
	Form    archiveForm
	Entries []archive.Entry
	Damaged []string // parts of the archive
	Next    string   // the next page
	First   string   // the first page; empty on it
	Replay  string   // the dialog that replays what is filtered; empty if the viewer may not
	Choices []choice
}

// archiveForm is the filter as it is typed.
type archiveForm struct {
	Source, Destination, Endpoint, Code, Job, Since string
}

// since are the times that the archive can be looked through.
var sinces = [...]struct {
	name  string
	long  time.Duration
	title string
}{
	{"1h", time.Hour, "the last hour"},
	{"24h", 24 * time.Hour, "the last 24 hours"},
	{"7d", 7 * 24 * time.Hour, "the last 7 days"},
	{"30d", 30 * 24 * time.Hour, "the last 30 days"},
	{"all", 0, "any time"},
}

func formOf(r *http.Request) archiveForm {
	q := r.Form
	f := archiveForm{
		Source: q.Get("source"), Destination: q.Get("destination"), Endpoint: q.Get("endpoint"),
		Code: q.Get("code"), Job: q.Get("job"), Since: q.Get("since"),
	}
	if f.Since == "" {
		f.Since = "24h"
	}
	return f
}

// values are the form's fields for an address.
func (f *archiveForm) values() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{
		"source": f.Source, "destination": f.Destination, "endpoint": f.Endpoint, "code": f.Code, "job": f.Job, "since": f.Since,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// Hidden are the fields for a form that repeats the filter.
func (f archiveForm) Hidden() url.Values { return f.values() }

// filter reads the form. Who is bound to one source sees that; who is bound to
// several has to say which.
func (f *archiveForm) filter(p access.Principal, right access.Right, now time.Time) (archive.Filter, error) {
	filter := archive.Filter{Destination: f.Destination, Endpoint: f.Endpoint}
	err := mayMatch(p, f.Endpoint)
	if err != nil {
		return filter, err
	}
	if filter.Source, err = p.Narrow(f.Source); err != nil {
		return filter, err
	}
	if !p.May(right, filter.Source) {
		return filter, p.Denied(right, filter.Source)
	}
	for _, since := range sinces {
		if since.name == f.Since && since.long > 0 {
			filter.From = now.Add(-since.long).Truncate(time.Minute)
		}
	}
	if n, err := strconv.Atoi(f.Code); err == nil {
		filter.StatusCode = n
	} else {
		filter.ErrorCode = centrifuge.ErrorCode(f.Code)
	}
	if f.Job != "" {
		if filter.JobID, err = centrifuge.ParseID(f.Job); err != nil {
			return filter, invalid("%q is no job's id", f.Job)
		}
	}
	return filter, nil
}

func (s *Site) archive(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return invalid("the address cannot be read")
	}
	p := access.From(r.Context())
	d := archiveData{Form: formOf(r)}
	if len(p.Sources) > 1 && d.Form.Source == "" {
		for _, source := range p.Sources {
			d.Choices = append(d.Choices, choice{Name: source, Link: link("/archive", "source", source)})
		}
		return s.show(w, r, page{View: "archive", Title: "Archive", Section: "archive", Data: &d})
	}
	filter, err := d.Form.filter(p, access.View, s.o.Now())
	if err != nil {
		return err
	}
	cursor := r.Form.Get("cursor")
	listed, err := s.o.Backends.Archive.ListArchive(r.Context(), filter, cursor, rowsPerPage)
	if err != nil {
		return whatFailed("list the archive", err)
	}
	for _, damage := range listed.Damaged {
		s.o.Logger.WarnContext(r.Context(), "a listing of the archive met damage", "error", damage)
	}
	d.Entries, d.Damaged = listed.Entries, lost(listed.Damaged)
	q := d.Form.values()
	if cursor != "" {
		d.First = "/archive?" + q.Encode()
	}
	if p.May(access.Operate, filter.Source) && len(d.Entries) > 0 {
		d.Replay = "/replay?" + q.Encode()
	}
	if listed.Next != "" {
		q.Set("cursor", listed.Next)
		d.Next = "/archive?" + q.Encode()
	}
	return s.show(w, r, page{View: "archive", Title: "Archive", Section: "archive", Data: &d})
}
