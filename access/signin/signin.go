// Package signin is the door of the dashboard: it signs people in with a token or
// through an identity provider, and customers by a link; it keeps their sessions,
// and refuses requests that another site had a browser make.
//
// Behind it a page finds its principal in the request's context ([access.From]).
// What that principal may see and do there is for the page to keep to.
package signin

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"centrifuge/access"
	"centrifuge/access/audit"
	"centrifuge/access/identity"
	"centrifuge/access/keyring"
	"centrifuge/access/links"
)

// Tokens knows the tokens of the server by their digests.
type Tokens interface {
	Holder(sum [sha256.Size]byte) (p access.Principal, ok bool)
}

// Options are what a door is made of. Keys is required. Without Tokens and Identity
// everybody who gets as far as this machine comes in as an admin.
type Options struct {
	// Keys seal sessions and links. Instances that share them share sessions.
	Keys *keyring.Ring
	// Tokens open the dashboard; nil if there are none.
	Tokens Tokens
	// Identity signs people in; nil if there is no provider.
	Identity *identity.Provider
	// Links knows the customers' links that were revoked; nil if none are made.
	Links *links.Register
	// PublicURL is where browsers reach the dashboard, such as
	// https://centrifuge.example; needed behind a proxy that ends TLS or changes the
	// host. Default: as each request says.
	PublicURL string
	// Audit is told who signs in; nil keeps no log.
	Audit *audit.Log
	// Public reports which paths need no sign-in, such as style sheets. Default: none.
	Public func(path string) bool
	// Render writes the door's pages. Default: plain ones.
	Render func(http.ResponseWriter, *http.Request, Page)

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: none
}

// Door signs people in. It is safe for concurrent use.
type Door struct {
	o       Options
	public  *url.URL // nil: as each request says
	open    bool     // nobody signs in
	ended   ended
	failing *failures
	foreign *http.CrossOriginProtection
}

// Paths of the door.
const (
	signInPath   = "/sign-in"
	beginPath    = "/sign-in/provider"
	callbackPath = "/sign-in/callback"
	signOutPath  = "/sign-out"
	customerPath = "/customer/"
)

// SignOutPath is where a page posts a form to sign out.
const SignOutPath = signOutPath

// New makes a door.
func New(o Options) (*Door, error) {
	d := &Door{o: o, open: o.Tokens == nil && o.Identity == nil, failing: newFailures(), foreign: http.NewCrossOriginProtection()}
	if o.Keys == nil {
		return nil, errors.New("sign-in needs keys")
	}
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("the public URL %q: want http://HOST or https://HOST without a path", o.PublicURL)
		}
		d.public = &url.URL{Scheme: u.Scheme, Host: u.Host}
		if err := d.foreign.AddTrustedOrigin(d.public.String()); err != nil {
			return nil, fmt.Errorf("the public URL %q: %w", o.PublicURL, err)
		}
	}
	if d.o.Public == nil {
		d.o.Public = func(string) bool { return false }
	}
	if d.o.Render == nil {
		d.o.Render = Plain()
	}
	if d.o.Now == nil {
		d.o.Now = time.Now
	}
	if d.o.Logger == nil {
		d.o.Logger = slog.New(slog.DiscardHandler)
	}
	d.foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.refuse(w, r, http.StatusForbidden, "This request came from another site, and was not done.")
	}))
	return d, nil
}

// Handler serves the door's own pages, and lets through to the dashboard what acts
// for somebody.
//
// Against forged requests: whatever is not a GET, HEAD or OPTIONS is refused if the
// browser says that another origin made it ([http.CrossOriginProtection]), which
// every browser of the last years does; and cookies are SameSite=Lax, so that
// older ones do not send them along. What the dashboard adds are tokens in its
// forms.
func (d *Door) Handler(dashboard http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+signInPath, d.signInPage)
	mux.HandleFunc("POST "+signInPath, d.signInByToken)
	mux.HandleFunc("GET "+beginPath, d.beginProvider)
	mux.HandleFunc("GET "+callbackPath, d.endProvider)
	mux.HandleFunc("POST "+signOutPath, d.signOut)
	mux.HandleFunc("GET "+customerPath+"{link}", d.openLink)
	mux.Handle("/", d.guard(dashboard))
	return headers(d.addressed(d.foreign.Handler(mux)))
}

// headers are those that every answer has. The policy for content is a page's own.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// addressed refuses, where nobody signs in, requests by a name that a web page could
// have made up: it may let its own name resolve to 127.0.0.1 and have its visitor's
// browser call from inside (DNS rebinding), but it has to use a name.
func (d *Door) addressed(next http.Handler) http.Handler {
	if !d.open {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !thisMachine(r.Host) {
			d.refuse(w, r, http.StatusForbidden, "Without tokens this server answers only under an IP address or localhost.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func thisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// guard puts the principal into the context, or sends its visitor to sign in.
func (d *Door) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.o.Public(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		// Whoever brings a token has had it checked by the listener; in the open
		// that says nothing, and a customer's session comes first.
		if p := access.From(r.Context()); !d.open && p.Has(access.View) {
			next.ServeHTTP(w, r)
			return
		}
		p, err := d.visitor(w, r)
		if err != nil {
			d.toSignIn(w, r)
			return
		}
		if !p.Has(access.View) {
			d.refuse(w, r, http.StatusForbidden, "The role "+p.Role.String()+" does not see the dashboard.")
			return
		}
		next.ServeHTTP(w, r.WithContext(access.With(r.Context(), p)))
	})
}

// visitor is whom a request acts for. It keeps a session that is used alive.
func (d *Door) visitor(w http.ResponseWriter, r *http.Request) (access.Principal, error) {
	s, err := d.session(r)
	if err != nil {
		if d.open && errors.Is(err, http.ErrNoCookie) {
			p := access.Local()
			p.Address = remoteHost(r)
			return p, nil
		}
		return access.Principal{}, err
	}
	p, err := d.principal(r.Context(), s)
	if err != nil {
		return access.Principal{}, err
	}
	if now := d.o.Now(); now.Sub(s.Seen) >= freshFor {
		s.Seen = now
		d.setSession(w, r, s)
	}
	p.Address = remoteHost(r)
	return p, nil
}

// toSignIn answers a request that needs a sign-in: a page by sending its visitor
// there and back, a part of a page by having the page go there.
func (d *Door) toSignIn(w http.ResponseWriter, r *http.Request) {
	d.dropSession(w, r)
	part := r.Header.Get("HX-Request") != ""
	if r.Method == http.MethodGet && !part && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, signInTo(r.URL), http.StatusSeeOther)
		return
	}
	if page, err := url.Parse(r.Header.Get("HX-Current-URL")); part && err == nil {
		w.Header().Set("HX-Redirect", signInTo(page))
	}
	d.refuse(w, r, http.StatusUnauthorized, "Sign in first.")
}

// signInTo is the page that asks for a sign-in and goes on to another.
func signInTo(page *url.URL) string {
	return signInPath + "?next=" + url.QueryEscape(safePath(page.RequestURI()))
}

// base is where the browser reaches the dashboard.
func (d *Door) base(r *http.Request) *url.URL {
	switch {
	case d.public != nil:
		return d.public
	case r.TLS != nil:
		return &url.URL{Scheme: "https", Host: r.Host}
	default:
		return &url.URL{Scheme: "http", Host: r.Host}
	}
}

// record writes to the audit log that somebody came in. It must succeed before they
// do.
func (d *Door) record(p access.Principal, action, source string) error {
	if d.o.Audit == nil {
		return nil
	}
	a, err := d.o.Audit.Begin(audit.Entry{Who: p.Name, Role: p.Role.String(), Address: p.Address, Action: action, Source: source})
	if err != nil {
		return err
	}
	return a.End(0, nil)
}

func remoteHost(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}
