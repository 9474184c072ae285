package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"centrifuge/access"
	"centrifuge/access/links"
)

// link is what a customer's link says, sealed into its path: nobody can change it,
// nor make one without the keys. It ends when it expires, when it is revoked, or when
// its key is taken out.
type link struct {
	ID     string    `json:"id"` // empty in links that were made before there were ids
	Source string    `json:"source"`
	Until  time.Time `json:"until"`
}

var (
	errExpired = errors.New("the link has expired")
	errRevoked = errors.New("the link was revoked")
)

func (l link) principal() access.Principal {
	return access.Principal{Name: "customer", Role: access.Viewer, Sources: []string{l.Source}, Customer: true}
}

// Create makes a link as it is described, and returns its path.
func (d *Door) Create(ctx context.Context, l links.Link) (path string, err error) {
	if d.o.Links == nil {
		return "", errors.New("this door makes no links")
	}
	if l.ID == "" || l.Source == "" {
		return "", errors.New("a customer's link needs an id and a source")
	}
	content, err := json.Marshal(link{l.ID, l.Source, l.Until})
	if err != nil {
		return "", fmt.Errorf("make a customer's link: %w", err)
	}
	if err := d.o.Links.Add(ctx, l); err != nil {
		return "", err
	}
	return customerPath + d.o.Keys.Seal(linkPurpose, content), nil
}

func (d *Door) readLink(ctx context.Context, text string) (link, error) {
	content, err := d.o.Keys.Open(linkPurpose, text)
	if err != nil {
		return link{}, err
	}
	var l link
	if err := json.Unmarshal(content, &l); err != nil {
		return link{}, fmt.Errorf("read a customer's link: %w", err)
	}
	if l.Source == "" || !d.o.Now().Before(l.Until) {
		return link{}, errExpired
	}
	if d.o.Links == nil || l.ID == "" {
		return l, nil
	}
	revoked, err := d.o.Links.Revoked(ctx, l.ID)
	if err == nil && revoked {
		err = errRevoked
	}
	return l, err
}

// openLink begins a customer's session. It does not end the session of somebody who
// is signed in: a link that is followed by mistake, or sent to mislead, must not
// change what a colleague sees.
func (d *Door) openLink(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Referrer-Policy", "no-referrer") // the path is a secret
	host := remoteHost(r)
	if d.failing.tooMany(host, d.o.Now()) {
		d.refuse(w, r, http.StatusTooManyRequests, "There were too many attempts. Try again in a minute.")
		return
	}
	text := r.PathValue("link")
	l, err := d.readLink(r.Context(), text)
	if errors.Is(err, links.ErrUnchecked) {
		d.o.Logger.ErrorContext(r.Context(), "a customer's link could not be checked", "err", err)
		d.refuse(w, r, http.StatusServiceUnavailable, "This link cannot be checked at the moment. Try again in a minute.")
		return
	}
	if err != nil {
		d.failing.add(host, d.o.Now())
		message := "This link is not valid. It may have been cut off or changed on its way, or all links were revoked; ask for a new one."
		switch {
		case errors.Is(err, errExpired):
			message = "This link has expired; ask for a new one."
		case errors.Is(err, errRevoked):
			message = "This link was revoked; ask for a new one."
		}
		d.refuse(w, r, http.StatusForbidden, message)
		return
	}
	if s, err := d.session(r); err == nil && s.Link == "" {
		if p, err := d.principal(r.Context(), s); err == nil {
			d.refuse(w, r, http.StatusConflict, "You are signed in as "+p.Name+
				". To see what a customer sees, open this link in a private window, or sign out first.")
			return
		}
	}
	p := l.principal()
	p.Address = host
	if err := d.record(p, "customer.open", l.Source); err != nil {
		d.fail(w, r, err)
		return
	}
	d.begin(w, r, session{Link: text})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
