package signin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"centrifuge/access"
	"centrifuge/access/identity"
)

// How long sessions live.
const (
	longest  = 12 * time.Hour   // after the sign-in
	idle     = time.Hour        // after the last request
	freshFor = 5 * time.Minute  // between two writings of when that was
	pending  = 10 * time.Minute // for a sign-in at the provider
)

// session is what a cookie holds, sealed. It holds who somebody is and not what
// they may do, which is looked up for each request: a token that is taken out of
// its file, a group that loses its grant and a key that is rotated end a session at
// once. Exactly one of Token, Person and Link is set.
type session struct {
	ID    string    `json:"id"`
	Begun time.Time `json:"begun"`
	Seen  time.Time `json:"seen"`

	Token  []byte           `json:"token,omitempty"` // its digest
	Person *identity.Person `json:"person,omitempty"`
	Link   string           `json:"link,omitempty"`
}

const (
	sessionPurpose = "session"
	pendingPurpose = "pending sign-in"
	linkPurpose    = "customer link"
)

var errEnded = errors.New("the session has ended")

// session is the session of a request, if it is still alive.
func (d *Door) session(r *http.Request) (*session, error) {
	cookie, err := r.Cookie(d.cookieName(r))
	if err != nil {
		return nil, err
	}
	content, err := d.o.Keys.Open(sessionPurpose, cookie.Value)
	if err != nil {
		return nil, err
	}
	var s session
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, fmt.Errorf("read a session: %w", err)
	}
	now := d.o.Now()
	if now.Sub(s.Begun) >= longest || now.Sub(s.Seen) >= idle || d.ended.has(s.ID) {
		return nil, errEnded
	}
	return &s, nil
}

// principal is whom a session acts for now.
func (d *Door) principal(ctx context.Context, s *session) (access.Principal, error) {
	switch {
	case len(s.Token) == 32 && d.o.Tokens != nil:
		if p, ok := d.o.Tokens.Holder([32]byte(s.Token)); ok {
			return p, nil
		}
		return access.Principal{}, errEnded
	case s.Person != nil && d.o.Identity != nil:
		return d.o.Identity.Principal(*s.Person)
	case s.Link != "":
		link, err := d.readLink(ctx, s.Link)
		if err != nil {
			return access.Principal{}, err
		}
		return link.principal(), nil
	default:
		return access.Principal{}, errEnded
	}
}

// begin begins a session. Its id is new, so that nobody can have known it before.
func (d *Door) begin(w http.ResponseWriter, r *http.Request, s session) {
	s.ID = rand.Text()
	s.Begun = d.o.Now()
	s.Seen = s.Begun
	d.setSession(w, r, &s)
}

func (d *Door) setSession(w http.ResponseWriter, r *http.Request, s *session) {
	content, err := json.Marshal(s)
	if err != nil {
		panic(err) // texts and times always marshal
	}
	d.setCookie(w, r, d.cookieName(r), d.o.Keys.Seal(sessionPurpose, content), longest-s.Seen.Sub(s.Begun))
}

func (d *Door) dropSession(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie(d.cookieName(r)); err == nil {
		d.setCookie(w, r, d.cookieName(r), "", -1)
	}
}

// cookieName is the session's. Over TLS it has the prefix that keeps other hosts of
// the domain from setting it.
func (d *Door) cookieName(r *http.Request) string {
	if d.base(r).Scheme == "https" {
		return "__Host-centrifuge"
	}
	return "centrifuge"
}

func (d *Door) setCookie(w http.ResponseWriter, r *http.Request, name, value string, age time.Duration) {
	cookie := &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(age / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: d.base(r).Scheme == "https",
	}
	if age < 0 {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// ended are the sessions that were signed out of and have not yet run out.
type ended struct {
	mu struct {
		sync.Mutex
		until map[string]time.Time
	}
}

func (e *ended) has(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.mu.until[id]
	return ok
}

func (e *ended) add(s *session, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.until == nil {
		e.mu.until = map[string]time.Time{}
	}
	for id, until := range e.mu.until {
		if now.After(until) {
			delete(e.mu.until, id)
		}
	}
	e.mu.until[s.ID] = s.Begun.Add(longest)
}
