package web

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"centrifuge/access"
)

type fakeLinks struct{ made []string }

func (l *fakeLinks) Create(_ context.Context, source string, ttl time.Duration) (string, time.Time, error) {
	l.made = append(l.made, source+" "+ttl.String())
	return "/customer/sealed", noon.Add(ttl), nil
}

func TestCustomerLinksAreForAdmins(t *testing.T) {
	links := &fakeLinks{}
	s := newSite(t, shop())
	s.o.Backends.Links = links
	admin := s.as(t, access.Principal{Name: "a", Role: access.Admin, Sources: []string{"shop"}})
	if _, content := admin.get("/source?source=shop"); !strings.Contains(content, `data-control="link"`) {
		t.Error("an admin of the source is not offered a link")
	}
	if status, content := admin.post("/customer-link", "source", "shop", "ttl", "7d"); status != http.StatusOK || !strings.Contains(content, "/customer/sealed") {
		t.Errorf("got status %d: %s", status, content)
	}
	if len(links.made) != 1 || links.made[0] != "shop 168h0m0s" {
		t.Errorf("made was %q", links.made)
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
	if len(links.made) != 1 {
		t.Errorf("made was %q", links.made)
	}
}
