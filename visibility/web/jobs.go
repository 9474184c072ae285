package web

import (
	"net/http"
	"strconv"
	"time"

	"centrifuge"
	"centrifuge/access"
)

// searchTime is how long one page of a search may look for jobs.
const searchTime = 2 * time.Second

// JobFilter chooses jobs. Each field that is not zero must hold.
type JobFilter struct {
	Source      string
	Destination string
	Among       []string // if not nil, only jobs of these sources
	Endpoint    string   // exact, or what it begins with if the last character is '*'
	State       centrifuge.State
	StatusCode  int // of the last attempt
	ErrorCode   centrifuge.ErrorCode
	From, To    time.Time // of its acceptance: at or after, and before
}

// FoundJob is where a job stands that a search found.
type FoundJob struct {
	ID         centrifuge.ID
	Queue      centrifuge.QueueKey
	Endpoint   string // empty if the search did not have to look at it
	State      centrifuge.State
	Attempts   uint32
	StatusCode int                  // of the last attempt
	ErrorCode  centrifuge.ErrorCode // of the last attempt, or why it was archived
	CreatedAt  time.Time
	ExpireAt   time.Time
	ChangedAt  time.Time // of the last transition
	RetryAt    time.Time // zero if none is due
}

// FoundJobs is a page of what a search found.
type FoundJobs struct {
	Jobs   []FoundJob
	Next   string // where the next page begins; empty after the last
	Cut    bool   // the time ran out before the page was full
	Looked int    // how many jobs were looked at

	Missing []Missing // whose jobs were not looked at
}

// Class is how the job's state is shown.
func (j *FoundJob) Class() string { return stateTag(j.State) }

// Code is the last attempt's.
func (j *FoundJob) Code() string {
	if j.ErrorCode != centrifuge.ErrorNone {
		return string(j.ErrorCode)
	}
	if j.StatusCode != 0 {
		return strconv.Itoa(j.StatusCode)
	}
	return ""
}

// jobsData is a page of a search for jobs.
type jobsData struct {
	Form  jobsForm
	Found FoundJobs
	Next  string
	First string
}

type jobsForm struct {
	Source, Destination, Endpoint, State, Code, Since string
}

func (s *Site) jobs(w http.ResponseWriter, r *http.Request) error {
	q, p := r.URL.Query(), access.From(r.Context())
	d := jobsData{Form: jobsForm{
		Source: q.Get("source"), Destination: q.Get("destination"), Endpoint: q.Get("endpoint"),
		State: q.Get("state"), Code: q.Get("code"), Since: q.Get("since"),
	}}
	if d.Form.Since == "" {
		d.Form.Since = "1h"
	}
	f := JobFilter{Source: d.Form.Source, Destination: d.Form.Destination, Endpoint: d.Form.Endpoint, Among: p.Sources}
	if f.Source != "" && !p.MayView(f.Source) {
		return p.Denied(access.View, f.Source)
	}
	if err := mayMatch(p, f.Endpoint); err != nil {
		return err
	}
	if d.Form.State != "" {
		var err error
		if f.State, err = centrifuge.ParseState(d.Form.State); err != nil {
			return invalid("there is no state %q", d.Form.State)
		}
	}
	if n, err := strconv.Atoi(d.Form.Code); err == nil {
		f.StatusCode = n
	} else {
		f.ErrorCode = centrifuge.ErrorCode(d.Form.Code)
	}
	for _, since := range sinces {
		if since.name == d.Form.Since && since.long > 0 {
			f.From = s.o.Now().Add(-since.long)
		}
	}
	var err error
	if d.Found, err = s.o.Backends.Jobs.Search(r.Context(), f, q.Get("cursor"), rowsPerPage, searchTime); err != nil {
		return whatFailed("search for jobs", err)
	}
	if q.Get("cursor") != "" {
		q.Del("cursor")
		d.First = "/jobs?" + q.Encode()
	}
	if d.Found.Next != "" {
		q.Set("cursor", d.Found.Next)
		d.Next = "/jobs?" + q.Encode()
	}
	return s.show(w, r, page{View: "jobs", Title: "Jobs", Section: "jobs", Missing: d.Found.Missing, Data: &d})
}

// stateNames are the names of all states, for a filter.
func stateNames() []string {
	names := make([]string, len(centrifuge.States))
	for i, s := range centrifuge.States {
		names[i] = s.String()
	}
	return names
}
