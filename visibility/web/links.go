package web

import (
	"context"
	"net/http"
	"slices"
	"time"

	"centrifuge/access"
	"centrifuge/access/links"
)

// Links makes and revokes links that show one source's deliveries to a customer. It
// sees to rights and to the audit log as the controls of [Queues] do.
type Links interface {
	// Create makes one that is good for as long as ttl, and returns it with its path.
	Create(ctx context.Context, source string, ttl time.Duration) (l links.Link, path string, err error)

	// List returns those to a source that have not expired, the newest first.
	List(ctx context.Context, source string) ([]links.Link, error)

	// Revoke ends one, or returns [links.ErrUnknown].
	Revoke(ctx context.Context, id string) error
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

// linkData is the dialog that makes a link and lists those there are; with a path it
// shows the one that was made, and with Revoke it asks whether to revoke that one.
type linkData struct {
	Source string
	Path   string
	Link   links.Link // that was made or is to be revoked
	Revoke bool
	Links  []links.Link
}

// planLink asks how long a link to a source's deliveries is to be good for, and lists
// those there are.
func (s *Site) planLink(w http.ResponseWriter, r *http.Request) error {
	d, err := s.linkOf(r)
	if err != nil {
		return err
	}
	return s.showLinks(w, r, d)
}

func (s *Site) showLinks(w http.ResponseWriter, r *http.Request, d linkData) (err error) {
	if d.Links, err = s.o.Backends.Links.List(r.Context(), d.Source); err != nil {
		return whatFailed("list the customer's links", err)
	}
	return s.showLink(w, r, d)
}

func (s *Site) showLink(w http.ResponseWriter, r *http.Request, d linkData) error {
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
		if d.Link, d.Path, err = s.o.Backends.Links.Create(r.Context(), d.Source, l.Long); err != nil {
			return whatFailed("make a customer's link", err)
		}
		return s.showLink(w, r, d)
	}
	return invalid("a link is not made for that long")
}

// planRevoke asks whether to revoke a link.
func (s *Site) planRevoke(w http.ResponseWriter, r *http.Request) error {
	d, err := s.linkToRevoke(r)
	if err != nil {
		return err
	}
	d.Revoke = true
	return s.showLink(w, r, d)
}

// revoke does it, and shows what is left.
func (s *Site) revoke(w http.ResponseWriter, r *http.Request) error {
	d, err := s.linkToRevoke(r)
	if err != nil {
		return err
	}
	if err := s.o.Backends.Links.Revoke(r.Context(), d.Link.ID); err != nil {
		return whatFailed("revoke a customer's link", err)
	}
	return s.showLinks(w, r, d)
}

// linkToRevoke is the link of the id that a request names, among those of its source.
func (s *Site) linkToRevoke(r *http.Request) (linkData, error) {
	d, err := s.linkOf(r)
	if err != nil {
		return d, err
	}
	all, err := s.o.Backends.Links.List(r.Context(), d.Source)
	if err != nil {
		return d, whatFailed("list the customer's links", err)
	}
	at := slices.IndexFunc(all, func(l links.Link) bool { return l.ID == r.FormValue("id") })
	if at < 0 {
		return d, notFound("there is no such link to " + d.Source)
	}
	d.Link = all[at]
	return d, nil
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
