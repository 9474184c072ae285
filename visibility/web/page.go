package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"centrifuge/access"
)

var zeroTime time.Time //nolint:gochecknoglobals // a constant: no file of ours has a time

// page is what the layout shows, around the data of one view.
type page struct {
	View    string // the template
	Title   string
	Section string // of the navigation
	Poll    int    // seconds between updates; 0 is never
	Missing []Missing
	Data    any

	// Filled in by show.
	Now     time.Time
	User    access.Principal
	Theme   string // light, dark, or empty for the system's
	Token   string // against forged requests
	Version string
	SignOut string
	Path    string
	Firing  int // alerts
	History bool
}

// Admin reports whether the viewer sees what is about the whole server.
func (p *page) Admin() bool { return p.User.MayAdmin() }

// Whole reports whether the viewer sees all sources.
func (p *page) Whole() bool { return p.User.MayView("") }

// show answers with a page: all of it, or what changes on it if it is a page of ours
// that asks to be brought up to date.
func (s *Site) show(w http.ResponseWriter, r *http.Request, p page) error {
	return s.showStatus(w, r, http.StatusOK, p)
}

func (s *Site) showStatus(w http.ResponseWriter, r *http.Request, status int, p page) error {
	p.Now = s.o.Now()
	p.User = access.From(r.Context())
	p.Theme = themeOf(r)
	p.Version, p.SignOut, p.Path = s.o.Version, s.o.SignOut, r.URL.Path
	p.History = s.o.Backends.History != nil
	part := "layout"
	switch r.Header.Get("HX-Target") {
	case "live":
		part = "content"
	case "dialog":
		part = "dialog"
	}
	p.Token = s.formToken(w, r)
	if part == "layout" && p.User.Has(access.View) && !p.User.Customer && s.o.Backends.Alerts != nil {
		if p.Firing = s.firing(r); p.Firing < 0 {
			p.Firing = 0
		}
	}
	content, err := s.views.render(p.View, part, &p)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "HX-Target, Cookie")
	w.WriteHeader(status)
	_, _ = w.Write(content) // the viewer may be gone
	return nil
}

func themeOf(r *http.Request) string {
	if c, err := r.Cookie("centrifuge_theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// problem is the data of the page that says what went wrong.
type problem struct {
	Status int
	Title  string
	Text   string
}

// page turns a handler's error into a page that says what went wrong, and what to
// do.
func (s *Site) page(handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := handle(w, r)
		if err == nil || r.Context().Err() != nil {
			return
		}
		p := s.problem(r, err)
		err = s.showStatus(w, r, p.Status, page{View: "problem", Title: p.Title, Data: p})
		if err != nil {
			s.o.Logger.ErrorContext(r.Context(), "page failed", "path", r.URL.Path, "err", err)
			http.Error(w, "internal error", http.StatusInternalServerError)
		}
	})
}

func (s *Site) problem(r *http.Request, err error) problem {
	var denied *access.DeniedError
	switch {
	case errors.As(err, &denied):
		return problem{http.StatusForbidden, "Not yours to see", denied.Error() + "."}
	case errors.Is(err, ErrNotFound):
		return problem{http.StatusNotFound, "Not found", err.Error() + "."}
	case errors.Is(err, ErrInvalid):
		return problem{http.StatusBadRequest, "That cannot be done", err.Error() + "."}
	case errors.Is(err, errForged):
		return problem{http.StatusForbidden, "This page has grown old", "Load it again and repeat what you did. Nothing was changed."}
	case errors.Is(err, ErrUnavailable):
		return problem{http.StatusServiceUnavailable, "Not available right now", "The Director is starting, recovering or stopping. This page tries again by itself."}
	default:
		s.o.Logger.ErrorContext(r.Context(), "page failed", "path", r.URL.Path, "err", err)
		return problem{http.StatusInternalServerError, "Something went wrong here", "The server's log says what. Deliveries are not touched by this page."}
	}
}

var errForged = errors.New("not from a page of ours")

// invalid is an error that says what is wrong with what was asked.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// link is a path with a query of those of the name-value pairs that have a value.
func link(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// toJSON writes what a chart draws, for an attribute of the page.
func toJSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	err := enc.Encode(v)
	return b.String(), err
}

// icon is one of the navigation's drawings.
func icon(name string) (template.HTML, error) {
	path := drawing(name)
	if path == "" {
		return "", fmt.Errorf("no icon %s", name)
	}
	return template.HTML(`<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">` + path + `</svg>`), nil //nolint:gosec // ours
}
