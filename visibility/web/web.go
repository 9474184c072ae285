// Package web is the dashboard: pages that show what becomes of every job, and
// the controls that change it. Pages are made on the server; a little script keeps
// them fresh, draws charts and asks before anything is done. Everything is in the
// binary, and nothing is loaded from elsewhere.
//
// It owns no data. What it shows it asks of its [Backends], for the principal that
// the request's context names ([access.From]); who that is, is for the listener to
// find out. A page shows, and a control acts on, no source beyond the principal's.
package web

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Options are what a Site is made of. Backends' first four are required; other
// zero fields mean the defaults.
type Options struct {
	Backends Backends

	// Version is shown at the foot of each page.
	Version string

	// SignOut is the path to which signing out is posted; empty where nobody signs
	// in.
	SignOut string

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: none
}

// Site serves the dashboard. It is safe for concurrent use.
type Site struct {
	o      Options
	views  *views
	files  *files
	shared *shared
	key    []byte // of the tokens against forged requests
	serve  http.Handler
}

// New makes a Site.
func New(o Options) (*Site, error) {
	b := &o.Backends
	if b.Queues == nil || b.Jobs == nil || b.Archive == nil || b.Ledger == nil {
		return nil, errors.New("web: a backend is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Version = cmp.Or(o.Version, "unknown")
	s := &Site{o: o, shared: newShared(o.Now), key: make([]byte, 32)}
	if _, err := rand.Read(s.key); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	var err error
	if s.files, err = loadFiles(); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	if s.views, err = parseViews(s.files); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	s.serve = s.routes()
	return s, nil
}

// ServeHTTP serves a page, a file or a control.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serve.ServeHTTP(w, r) }
