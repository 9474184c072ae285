package signin

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"time"

	"centrifuge/access"
	"centrifuge/access/identity"
)

// signInPage asks how to sign in.
func (d *Door) signInPage(w http.ResponseWriter, r *http.Request) {
	next := safePath(r.URL.Query().Get("next"))
	if _, err := d.visitor(w, r); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return
	}
	d.o.Render(w, r, d.page(http.StatusOK, next, ""))
}

// maxForm is more than a form of the door has, in bytes.
const maxForm = 8 << 10

func (d *Door) signInByToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		d.refuse(w, r, http.StatusBadRequest, "The form could not be read.")
		return
	}
	next, host := safePath(r.PostForm.Get("next")), remoteHost(r)
	if d.o.Tokens == nil {
		d.o.Render(w, r, d.page(http.StatusNotFound, next, "This server takes no tokens here."))
		return
	}
	if d.failing.tooMany(host, d.o.Now()) {
		d.o.Render(w, r, d.page(http.StatusTooManyRequests, next, "There were too many attempts. Try again in a minute."))
		return
	}
	sum := sha256.Sum256([]byte(r.PostForm.Get("token")))
	p, ok := d.o.Tokens.Holder(sum)
	if !ok {
		d.failing.add(host, d.o.Now())
		d.o.Logger.WarnContext(r.Context(), "a sign-in failed", "remote", host)
		d.o.Render(w, r, d.page(http.StatusUnauthorized, next, "This token is not valid."))
		return
	}
	d.welcome(w, r, p, session{Token: sum[:]}, next)
}

// welcome begins the session of whoever proved who they are.
func (d *Door) welcome(w http.ResponseWriter, r *http.Request, p access.Principal, s session, next string) {
	if !p.Has(access.View) {
		d.refuse(w, r, http.StatusForbidden, "The role "+p.Role.String()+" does not see the dashboard.")
		return
	}
	p.Address = remoteHost(r)
	if err := d.record(p, "sign.in", ""); err != nil {
		d.fail(w, r, err)
		return
	}
	if old, err := d.session(r); err == nil {
		d.ended.add(old, d.o.Now())
	}
	d.begin(w, r, s)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// signOut ends a session. Its cookie is good for nothing from then on, in whosever
// hands it is; on other instances that share the keys, once it has run out.
func (d *Door) signOut(w http.ResponseWriter, r *http.Request) {
	if s, err := d.session(r); err == nil {
		d.ended.add(s, d.o.Now())
	}
	d.dropSession(w, r)
	http.Redirect(w, r, signInPath, http.StatusSeeOther)
}

// attempt is a sign-in that waits for its provider's answer. It is kept in the
// browser that began it, sealed.
type attempt struct {
	identity.Attempt
	Next  string
	Begun time.Time
}

const pendingCookie = "centrifuge-sign-in"

// beginProvider sends the browser to the identity provider.
func (d *Door) beginProvider(w http.ResponseWriter, r *http.Request) {
	next := safePath(r.URL.Query().Get("next"))
	if d.o.Identity == nil {
		d.o.Render(w, r, d.page(http.StatusNotFound, next, "This server has no identity provider."))
		return
	}
	a, to, err := d.o.Identity.Begin(r.Context(), d.callback(r))
	if err != nil {
		d.o.Logger.ErrorContext(r.Context(), "a sign-in could not begin", "err", err)
		d.o.Render(w, r, d.page(http.StatusBadGateway, next, "The identity provider cannot be reached."))
		return
	}
	content, err := json.Marshal(attempt{a, next, d.o.Now()})
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.setCookie(w, r, pendingCookie, d.o.Keys.Seal(pendingPurpose, content), pending)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// endProvider takes what the browser brings back from the identity provider, if it
// is the browser that was sent there.
func (d *Door) endProvider(w http.ResponseWriter, r *http.Request) {
	a, ok := d.pendingAttempt(r)
	d.setCookie(w, r, pendingCookie, "", -1)
	q := r.URL.Query()
	if !ok || d.o.Identity == nil || subtle.ConstantTimeCompare([]byte(a.State), []byte(q.Get("state"))) != 1 {
		d.o.Render(w, r, d.page(http.StatusBadRequest, "/", "This sign-in was not begun here, or took too long. Try again."))
		return
	}
	if q.Get("error") != "" {
		d.o.Logger.WarnContext(r.Context(), "the identity provider refused a sign-in", "code", q.Get("error"))
		d.o.Render(w, r, d.page(http.StatusForbidden, a.Next, "The identity provider refused the sign-in."))
		return
	}
	person, err := d.o.Identity.End(r.Context(), a.Attempt, d.callback(r), q.Get("code"))
	if err != nil {
		d.o.Logger.WarnContext(r.Context(), "a sign-in failed", "remote", remoteHost(r), "err", err)
		d.o.Render(w, r, d.page(http.StatusForbidden, a.Next, "The sign-in failed. Try again."))
		return
	}
	p, err := d.o.Identity.Principal(person)
	if err != nil {
		d.o.Render(w, r, d.page(http.StatusForbidden, a.Next, person.Name+" is in no group that may see this dashboard."))
		return
	}
	d.welcome(w, r, p, session{Person: &person}, a.Next)
}

func (d *Door) pendingAttempt(r *http.Request) (a attempt, ok bool) {
	cookie, err := r.Cookie(pendingCookie)
	if err != nil {
		return a, false
	}
	content, err := d.o.Keys.Open(pendingPurpose, cookie.Value)
	if err != nil || json.Unmarshal(content, &a) != nil {
		return a, false
	}
	return a, a.State != "" && d.o.Now().Sub(a.Begun) < pending
}

func (d *Door) callback(r *http.Request) string { return d.base(r).JoinPath(callbackPath).String() }
