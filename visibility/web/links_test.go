package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge/access"
	"centrifuge/access/links"
)

type fakeLinks struct {
	made    []string
	revoked []string
}

func (l *fakeLinks) Create(_ context.Context, source string, ttl time.Duration) (links.Link, string, error) {
	l.made = append(l.made, source+" "+ttl.String())
	return links.Link{ID: "made", Source: source, Until: noon.Add(ttl)}, "/customer/sealed", nil
}

func (l *fakeLinks) List(_ context.Context, source string) ([]links.Link, error) {
	all := []links.Link{{ID: "first", Source: source, By: "<b>ann", Made: noon, Until: noon.Add(time.Hour)}, {ID: "second", Source: source, Made: noon, Until: noon.Add(time.Hour)}}
	for i := range all {
		if slices.Contains(l.revoked, all[i].ID) {
			all[i].Revocation.Time = noon
		}
	}
	return all, nil
}

func (l *fakeLinks) Revoke(_ context.Context, id string) error {
	l.revoked = append(l.revoked, id)
	return nil
}

// A link is revoked after its dialog has asked, and then shown as revoked.
func TestRevokeCustomerLinks(t *testing.T) {
	fake := &fakeLinks{}
	s := newSite(t, shop())
	s.o.Backends.Links = fake
	admin := s.as(t, access.Principal{Name: "a", Role: access.Admin, Sources: []string{"shop"}})
	if _, content := admin.get("/customer-link?source=shop"); !strings.Contains(content, `data-revoke="first"`) || !strings.Contains(content, "&lt;b&gt;ann") {
		t.Errorf("the links are shown as %s", content)
	}
	status, content := admin.get("/customer-link/revoke?source=shop&id=first")
	if status != http.StatusOK || !strings.Contains(content, "Revoke the link") || len(fake.revoked) > 0 {
		t.Errorf("asked was with %d: %s, revoked %q", status, content, fake.revoked)
	}
	status, content = admin.post("/customer-link/revoke", "source", "shop", "id", "first")
	if status != http.StatusOK || strings.Contains(content, `data-revoke="first"`) || !strings.Contains(content, `data-revoke="second"`) || !slices.Equal(fake.revoked, []string{"first"}) {
		t.Errorf("after revoking %q: %d: %s", fake.revoked, status, content)
	}
	operator := s.as(t, access.Principal{Name: "o", Role: access.Operator})
	for _, test := range []struct {
		by       *viewer
		source   string
		id, path string
		want     int
	}{
		{admin, "shop", "third", "/customer-link/revoke", http.StatusNotFound},
		{admin, "hidden-source", "second", "/customer-link/revoke", http.StatusForbidden},
		{operator, "shop", "second", "/customer-link/revoke", http.StatusForbidden},
	} {
		if status, _ := test.by.post(test.path, "source", test.source, "id", test.id); status != test.want {
			t.Errorf("%s of %s: got status %d", test.id, test.source, status)
		}
		if status, _ := test.by.get(test.path + "?source=" + test.source + "&id=" + test.id); status != test.want {
			t.Errorf("asked for %s of %s: got status %d", test.id, test.source, status)
		}
	}
	if len(fake.revoked) != 1 {
		t.Errorf("revoked was %q", fake.revoked)
	}
}

func TestCustomerLinksAreForAdmins(t *testing.T) {
	fake := &fakeLinks{}
	s := newSite(t, shop())
	s.o.Backends.Links = fake
	admin := s.as(t, access.Principal{Name: "a", Role: access.Admin, Sources: []string{"shop"}})
	if _, content := admin.get("/source?source=shop"); !strings.Contains(content, `data-control="link"`) {
		t.Error("an admin of the source is not offered a link")
	}
	if status, content := admin.post("/customer-link", "source", "shop", "ttl", "7d"); status != http.StatusOK || !strings.Contains(content, "/customer/sealed") {
		t.Errorf("got status %d: %s", status, content)
	}
	if len(fake.made) != 1 || fake.made[0] != "shop 168h0m0s" {
		t.Errorf("made was %q", fake.made)
	}
	for _, fields := range [][]string{{"source", "shop", "ttl", "1000d"}, {"source", "shop"}, {"source", "shop", "destination", "crm", "ttl", "1h"}, {"destination", "crm", "ttl", "1h"}} {
		if status, _ := admin.post("/customer-link", fields...); status != http.StatusBadRequest {
			t.Errorf("%q: got status %d", fields, status)
		}
	}
	if status, _ := admin.post("/customer-link", "source", "hidden-source", "ttl", "1h"); status != http.StatusForbidden {
		t.Errorf("a link to another's source: got status %d", status)
	}
	operator := s.as(t, access.Principal{Name: "o", Role: access.Operator})
	if _, content := operator.get("/source?source=shop"); strings.Contains(content, `data-control="link"`) {
		t.Error("an operator is offered a link")
	}
	if status, _ := operator.get("/customer-link?source=shop"); status != http.StatusForbidden {
		t.Errorf("the dialog for an operator: got status %d", status)
	}
	if status, _ := operator.post("/customer-link", "source", "shop", "ttl", "1h"); status != http.StatusForbidden {
		t.Errorf("a link by an operator: got status %d", status)
	}
	if len(fake.made) != 1 {
		t.Errorf("made was %q", fake.made)
	}
}
