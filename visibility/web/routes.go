package web

import (
	"net/http"

	"centrifuge/access"
)

// Needs is what a page needs of its viewer before it looks at what is asked. The
// listener may ask it to send strangers to sign in first; the Site itself asks
// again.
func Needs(path string) access.Need {
	switch {
	case path == "/audit":
		return access.Need{Right: access.Manage, Whole: true}
	case path == "/customer-link", path == "/customer-link/revoke":
		return access.Need{Right: access.Manage}
	case path == "/fleet":
		return access.Need{Right: access.View, Whole: true}
	case len(path) > 8 && path[:8] == "/static/":
		return access.Need{Right: access.Anyone}
	default:
		return access.Need{Right: access.View}
	}
}

func (s *Site) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /static/{name...}", s.files)
	mux.Handle("GET /favicon.ico", http.RedirectHandler("/static/icon.svg", http.StatusMovedPermanently))
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /{$}":                   s.overview,
		"GET /destinations":          s.destinations,
		"GET /sources":               s.sources,
		"GET /queue":                 s.queue,
		"GET /destination":           s.queue,
		"GET /source":                s.queue,
		"GET /jobs":                  s.jobs,
		"GET /jobs/{id}":             s.job,
		"GET /search":                s.search,
		"GET /archive":               s.archive,
		"GET /report":                s.report,
		"GET /fleet":                 s.fleet,
		"GET /alerts":                s.alerts,
		"GET /audit":                 s.audit,
		"GET /do/{verb}":             s.plan,
		"POST /do/{verb}":            s.do,
		"GET /progress":              s.progress,
		"GET /replay":                s.planReplay,
		"POST /replay":               s.replay,
		"GET /customer-link":         s.planLink,
		"POST /customer-link":        s.link,
		"GET /customer-link/revoke":  s.planRevoke,
		"POST /customer-link/revoke": s.revoke,
		"/":                          s.nowhere,
	} {
		mux.Handle(pattern, s.guard(handle))
	}
	return secure(mux)
}

// guard lets nobody through without the right that the page needs, and no change
// that does not come from a page of ours.
func (s *Site) guard(handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	origin := http.NewCrossOriginProtection()
	return s.page(func(w http.ResponseWriter, r *http.Request) error {
		if err := Needs(r.URL.Path).Met(access.From(r.Context())); err != nil {
			return err
		}
		if r.Method == http.MethodPost {
			r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
			if origin.Check(r) != nil || !s.genuine(r) {
				return errForged
			}
		}
		return handle(w, r)
	})
}

// nowhere answers under paths that have no page.
func (s *Site) nowhere(_ http.ResponseWriter, r *http.Request) error {
	return notFound("there is no page " + r.URL.Path)
}
