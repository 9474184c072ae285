package web

import (
	"context"
	"net/http"
	"time"

	"centrifuge/access"
)

// Links makes links that show one source's deliveries to a customer.
type Links interface {
	// Create makes one that is good for as long as ttl, and returns its path. It sees
	// to rights and to the audit log as the controls of [Queues] do.
	Create(ctx context.Context, source string, ttl time.Duration) (path string, until time.Time, err error)
}

// lifetimes are how long a link may be good for; the first is what is proposed.
var lifetimes = [...]struct {
	Name, Title string
	Long        time.Duration
}{
	{"24h", "24 hours", 24 * time.Hour},
	{"1h", "1 hour", time.Hour},
	{"7d", "7 days", 7 * 24 * time.Hour},
	{"30d", "30 days", 30 * 24 * time.Hour},
	{"90d", "90 days", 90 * 24 * time.Hour},
}

// linkData is the dialog that makes a link; with a path it shows the one that was
// made.
type linkData struct {
	Source string
	Path   string
	Until  time.Time
}

// planLink asks how long a link to a source's deliveries is to be good for.
func (s *Site) planLink(w http.ResponseWriter, r *http.Request) error {
	d, err := s.linkOf(r)
	if err != nil {
		return err
	}
	return s.show(w, r, page{View: "link", Title: "Customer link", Section: "sources", Data: &d})
}

// link makes one.
func (s *Site) link(w http.ResponseWriter, r *http.Request) error {
	d, err := s.linkOf(r)
	if err != nil {
		return err
	}
	for _, l := range lifetimes {
		if l.Name != r.PostFormValue("ttl") {
			continue
		}
		if d.Path, d.Until, err = s.o.Backends.Links.Create(r.Context(), d.Source, l.Long); err != nil {
			return whatFailed("make a customer's link", err)
		}
		return s.show(w, r, page{View: "link", Title: "Customer link", Section: "sources", Data: &d})
	}
	return invalid("a link is not made for that long")
}

func (s *Site) linkOf(r *http.Request) (linkData, error) {
	c, err := scopeOf(r)
	if err != nil {
		return linkData{}, err
	}
	if c.Is() != "source" {
		return linkData{}, invalid("a link shows the deliveries of one source")
	}
	if s.o.Backends.Links == nil {
		return linkData{}, notFound("this server makes no links")
	}
	if p := access.From(r.Context()); !p.May(access.Manage, c.Source) {
		return linkData{}, p.Denied(access.Manage, c.Source)
	}
	return linkData{Source: c.Source}, nil
}

// Choices are how long the link may be good for.
func (linkData) Choices() []choice {
	var all []choice
	for _, l := range lifetimes {
		all = append(all, choice{Name: l.Name, Link: l.Title})
	}
	return all
}
