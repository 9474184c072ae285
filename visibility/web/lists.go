package web

import (
	"errors"
	"net/http"

	"centrifuge/access"
	"centrifuge/access/audit"
)

// fleetData is the page of the fleet.
type fleetData struct {
	Known bool
	View  FleetView
	// Alone is what a single process says of itself.
	Ledger Ledger
}

func (s *Site) fleet(w http.ResponseWriter, r *http.Request) error {
	var d fleetData
	var err error
	if f := s.o.Backends.Fleet; f != nil {
		d.Known = true
		if d.View, err = f.Fleet(r.Context()); err != nil {
			return whatFailed("look at the fleet", err)
		}
	}
	var missing []Missing
	if d.Ledger, missing, err = s.o.Backends.Ledger.Ledger(r.Context()); err != nil {
		return whatFailed("read the ledger", err)
	}
	return s.show(w, r, page{View: "fleet", Title: "Fleet", Section: "fleet", Poll: 5, Missing: missing, Data: &d})
}

// alertsData is the page of alerts.
type alertsData struct {
	Known  bool
	Firing []Alert
	Ended  []Alert
}

func (s *Site) alerts(w http.ResponseWriter, r *http.Request) error {
	p := access.From(r.Context())
	if p.Customer {
		return p.Denied(access.View, "")
	}
	d := alertsData{Known: s.o.Backends.Alerts != nil}
	if d.Known {
		all, err := s.o.Backends.Alerts.Alerts(r.Context())
		if err != nil {
			return whatFailed("read the alerts", err)
		}
		for _, a := range all {
			switch {
			case !p.MayView(a.Source):
			case a.Fires():
				d.Firing = append(d.Firing, a)
			default:
				d.Ended = append(d.Ended, a)
			}
		}
	}
	return s.show(w, r, page{View: "alerts", Title: "Alerts", Section: "alerts", Poll: 5, Data: &d})
}

// firing counts the alerts that fire, for the navigation; -1 if they are not known.
func (s *Site) firing(r *http.Request) int {
	all, err := s.o.Backends.Alerts.Alerts(r.Context())
	if err != nil {
		return -1
	}
	n, p := 0, access.From(r.Context())
	for _, a := range all {
		if a.Fires() && p.MayView(a.Source) {
			n++
		}
	}
	return n
}

// auditData is a page of the audit log.
type auditData struct {
	Known    bool
	Who      string
	Page     audit.Page
	Next     string
	First    string
	Problems int
}

func (s *Site) audit(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	d := auditData{Known: s.o.Backends.Audit != nil, Who: q.Get("who")}
	if d.Known {
		var err error
		if d.Page, err = s.o.Backends.Audit.List(audit.Filter{Who: d.Who}, q.Get("before"), rowsPerPage); err != nil {
			return whatFailed("read the audit log", err)
		}
		if err := errors.Join(d.Page.Problems...); err != nil {
			s.o.Logger.WarnContext(r.Context(), "the audit log is incomplete", "err", err)
		}
		if d.Page.Next != "" {
			d.Next = link("/audit", "who", d.Who, "before", d.Page.Next)
		}
		if q.Get("before") != "" {
			d.First = link("/audit", "who", d.Who)
		}
	}
	return s.show(w, r, page{View: "audit", Title: "Audit", Section: "audit", Data: &d})
}
