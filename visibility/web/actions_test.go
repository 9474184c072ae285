package web

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/archive"
)

func TestControlsChangeOneThing(t *testing.T) {
	f := shop()
	key := centrifuge.QueueKey{Source: "shop", Destination: "crm"}
	f.policies = map[centrifuge.QueueKey]centrifuge.QueuePolicy{key: {Burst: 9, Retry: centrifuge.RetryPolicy{MaxAttempts: 3}}}
	v := newSite(t, f).as(t, access.Local())
	v.get("/queue?source=shop&destination=crm")
	for _, step := range []struct {
		verb, value string
		want        centrifuge.QueuePolicy
	}{
		{"pause", "", centrifuge.QueuePolicy{Burst: 9, Paused: true}},
		{"rate", "2.5", centrifuge.QueuePolicy{Burst: 9, Paused: true, Rate: 2.5}},
		{"weight", "4", centrifuge.QueuePolicy{Burst: 9, Paused: true, Rate: 2.5, Weight: 4}},
		{"resume", "", centrifuge.QueuePolicy{Burst: 9, Rate: 2.5, Weight: 4}},
		{"rate", "", centrifuge.QueuePolicy{Burst: 9, Weight: 4}},
	} {
		status, _ := v.post("/do/"+step.verb, "source", "shop", "destination", "crm", "value", step.value)
		step.want.Retry.MaxAttempts = 3
		got := f.policies[key]
		if status != http.StatusOK || got.Paused != step.want.Paused || got.Rate != step.want.Rate || got.Weight != step.want.Weight ||
			got.Burst != 9 || got.Retry != step.want.Retry {
			t.Errorf("%s %s: got status %d and %+v, want %+v", step.verb, step.value, status, got, step.want)
		}
	}
	for _, value := range []string{"-1", "x", "NaN", "1e999"} {
		before := f.policies[key].Rate
		if status, _ := v.post("/do/rate", "source", "shop", "destination", "crm", "value", value); status != http.StatusBadRequest {
			t.Errorf("the rate %s: got status %d", value, status)
		}
		if f.policies[key].Rate != before {
			t.Errorf("the rate %s is set", value)
		}
	}
}

func TestActionsNeedRightsAndATokenOfTheirOwn(t *testing.T) {
	f := shop()
	s := newSite(t, f)
	operator := s.as(t, access.Principal{Name: "o", Role: access.Operator})
	operator.get("/")
	if status, _ := operator.post("/do/retry", "source", "shop"); status != http.StatusOK || len(f.acted) != 1 {
		t.Fatalf("got status %d and %v", status, f.acted)
	}
	f.acted = nil
	looks := s.as(t, access.Principal{Name: "v", Role: access.Viewer})
	looks.get("/")
	bound := s.as(t, access.Principal{Name: "b", Role: access.Operator, Sources: []string{"shop"}})
	bound.get("/")
	// Somebody else's token and cookie are no good for this principal.
	stolen := s.as(t, access.Principal{Name: "another", Role: access.Operator})
	stolen.cookies, stolen.token = operator.cookies, operator.token
	fresh := s.as(t, access.Local())
	for name, v := range map[string]*viewer{"a viewer": looks, "another source": bound, "a stolen token": stolen, "no token": fresh} {
		for _, path := range []string{"/do/retry", "/do/expire", "/do/pause", "/replay"} {
			if status, _ := v.post(path, "source", "hidden-source"); status != http.StatusForbidden {
				t.Errorf("%s, %s: got status %d", name, path, status)
			}
		}
	}
	if len(f.acted) != 0 || len(f.policies) != 0 {
		t.Errorf("done all the same: %v %v", f.acted, f.policies)
	}
}

func TestDialogsSayHowManyJobs(t *testing.T) {
	v := newSite(t, shop()).as(t, access.Local())
	for path, want := range map[string]string{
		"/do/pause?source=shop&destination=crm":  "5 jobs will wait",
		"/do/resume?source=shop&destination=crm": "2 jobs may be sent at once, 3 jobs when",
		"/do/retry?source=shop":                  "3 jobs that wait for their next attempt become due now",
		"/do/expire?destination=crm":             "105 jobs that wait go to the archive now",
		"/do/rate?destination=crm":               "All 2 queues of the destination will send at most",
		"/do/weight?source=shop&destination=crm": "It is 1 now",
	} {
		if _, content := v.get(path, "dialog"); !strings.Contains(content, want) {
			t.Errorf("%s does not say %q:\n%s", path, want, content)
		}
	}
}

func TestReplayNamesWhatIsDamaged(t *testing.T) {
	f := shop()
	f.damaged = []*archive.DamagedError{{Stored: "object-a", Err: errors.New("cut short")}, {Stored: "index-b", MadeUpFor: true}}
	v := newSite(t, f).as(t, access.Local())
	for _, path := range []string{"/archive", "/replay?source=shop"} {
		if _, content := v.get(path, "content"); !strings.Contains(content, "object-a") || strings.Contains(content, "index-b") {
			t.Errorf("%s does not name what is damaged, or more: %s", path, content)
		}
	}
	_, content := v.post("/replay", "source", "shop", "damaged", "object-before", "left-out", "3")
	if !strings.Contains(content, "object-before, object-a") || !strings.Contains(content, "5 jobs left out") {
		t.Errorf("at the end: %s", content)
	}
}

func TestProgressOfAnExpiry(t *testing.T) {
	f := shop()
	v := newSite(t, f).as(t, access.Local())
	f.ledgers[0].Ledger.Archived = 11
	_, content := v.get("/progress?verb=expire&source=shop&destination=crm&jobs=4&base=9", "dialog")
	if !strings.Contains(content, "2 of 4 jobs are in the archive") || !strings.Contains(content, `hx-trigger="load`) {
		t.Errorf("half way: %s", content)
	}
	f.ledgers[0].Ledger.Archived = 13
	_, content = v.get("/progress?verb=expire&source=shop&destination=crm&jobs=4&base=9", "dialog")
	if !strings.Contains(content, `data-progress="done"`) || strings.Contains(content, "hx-trigger") {
		t.Errorf("at the end: %s", content)
	}
}
