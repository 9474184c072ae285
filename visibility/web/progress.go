package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"centrifuge/access"
)

// progressData follows what was done to jobs. All of it is in the address that it
// asks again under, so the server keeps nothing.
type progressData struct {
	Verb  string
	Scope scope
	Title string
	Text  string
	Jobs  int64 // that it is about
	Base  int64 // archived when it was begun
	Ended int64 // of them

	Reached int    // Directors, of a fleet
	Missed  string // the others, if any, and why
	Done    bool
	Next    string // where to ask again; empty when it is done
}

func progressOf(a action, c scope, n int, reach Reach, archived int64) progressData {
	d := progressData{Verb: a.Verb, Scope: c, Jobs: int64(n), Base: archived, Done: !a.Counts, Reached: reach.Directors}
	missed := make([]string, len(reach.Missing))
	for i, m := range reach.Missing {
		missed[i] = fmt.Sprintf("%s (%s)", m.Director, m.Why)
	}
	d.Missed = strings.Join(missed, ", ")
	return d
}

// Later says what becomes of an order where it did not come.
func (d *progressData) Later() string {
	if d.Verb == "retry" || d.Verb == "expire" {
		return "Repeat it when they answer."
	}
	return "They learn of it as soon as they can be reached."
}

// progress tells how far an action has come.
func (s *Site) progress(w http.ResponseWriter, r *http.Request) error {
	c, err := scopeOf(r)
	if err != nil {
		return err
	}
	if p := access.From(r.Context()); !c.mayOperate(p) {
		return p.Denied(access.Operate, c.Source)
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(r.FormValue(name), 10, 64) // an address that was tampered with shows a wrong bar
		return max(n, 0)
	}
	return s.showProgress(w, r, progressData{
		Verb: r.FormValue("verb"), Scope: c,
		Jobs: number("jobs"), Base: number("base"), Reached: int(number("reached")), Missed: r.FormValue("missed"),
	})
}

func (s *Site) showProgress(w http.ResponseWriter, r *http.Request, d progressData) error {
	var now queueData
	if err := s.liveOf(r, d.Scope, &now); err != nil {
		return err
	}
	held := int64(now.Live.Ready + now.Live.InFlight)
	switch d.Verb {
	case "expire":
		d.Title = "Sending to the archive"
		d.Ended = min(max(now.Live.Ledger.Archived-d.Base, 0), d.Jobs)
		d.Text = count(d.Ended) + " of " + plural(d.Jobs, "job") + " are in the archive."
	case "retry":
		d.Title = "Retrying"
		d.Ended = d.Jobs - min(held, d.Jobs)
		d.Text = plural(d.Jobs, "job") + " became due. " + count(held) + " are still to be sent or under way."
		if now.Live.Held() || now.Live.AllPaused() {
			d.Text += " They are held up for now, and go when that ends."
			d.Done = true
		}
	case "pause":
		d.Title, d.Text = "Paused", "Nothing more is sent. "+plural(now.Live.InFlight, "request")+" were under way."
	case "resume":
		d.Title, d.Text = "Resumed", plural(now.Live.Ready+now.Live.Waiting, "job")+" are on their way."
		if now.Live.AllPaused() {
			d.Title, d.Text = "Resumed, and still paused", "What was said of this scope is taken back; a wider pause, of its source or its destination, still holds it."
		}
	case "rate":
		d.Title, d.Text = "The rate is set", "It holds from now on, and after a restart."
	case "weight":
		d.Title, d.Text = "The weight is set", "It holds from now on, and after a restart."
	}
	if d.Ended >= d.Jobs {
		d.Done = true
	}
	if !d.Done {
		d.Next = link("/progress", "verb", d.Verb, "source", d.Scope.Source, "destination", d.Scope.Destination,
			"jobs", strconv.FormatInt(d.Jobs, 10), "base", strconv.FormatInt(d.Base, 10),
			"reached", strconv.Itoa(d.Reached), "missed", d.Missed)
	}
	return s.show(w, r, page{View: "progress", Title: d.Title, Data: &d})
}
