package web

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

var everyPath = []string{
	"/", "/destinations", "/sources", "/queue?source=shop&destination=crm", "/destination?destination=crm",
	"/source?source=shop", "/jobs", "/archive", "/report", "/fleet", "/alerts", "/audit", "/do/pause?source=shop", "/do/rate?destination=crm",
	"/replay?source=shop", "/progress?verb=expire&source=shop&jobs=3",
}

func shop() *fake {
	key := centrifuge.QueueKey{Source: "shop", Destination: "crm"}
	other := centrifuge.QueueKey{Source: "hidden-source", Destination: "crm"}
	return &fake{
		queues:  []schedule.QueueInfo{{Queue: key, Ready: 2, Waiting: 3}, {Queue: other, Ready: 100}},
		ledgers: []QueueLedger{{key, Ledger{Accepted: 9, Succeeded: 4, AwaitingScheduling: 2, AwaitingRetry: 3}}, {other, Ledger{Accepted: 100, AwaitingScheduling: 100}}},
	}
}

func TestPagesRender(t *testing.T) {
	v := newSite(t, shop()).as(t, access.Local())
	for _, path := range everyPath {
		for _, part := range [][]string{nil, {"live"}, {"dialog"}} {
			status, content := v.get(path, part...)
			if status != http.StatusOK {
				t.Errorf("%s %v: got status %d", path, part, status)
			}
			if whole := strings.Contains(content, "<!doctype html>"); whole != (part == nil) {
				t.Errorf("%s %v: a whole page is %v", path, part, whole)
			}
		}
	}
}

// What the policy of the pages forbids must not stand in them: a script or a style
// within the page, or one from elsewhere.
func TestTemplatesKeepToThePolicy(t *testing.T) {
	forbidden := regexp.MustCompile(`(?i)\sstyle=|<style|\son[a-z]+=|<script>|javascript:|https?://|\shx-on|\shx-vals=.?js`)
	err := fs.WalkDir(embedded, "templates", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := embedded.ReadFile(name)
		if found := forbidden.Find(text); found != nil {
			t.Errorf("%s holds %q", name, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"unsafe", "*", "http"} {
		if strings.Contains(policy, word) {
			t.Errorf("the policy allows %q", word)
		}
	}
}

func TestEveryAnswerIsSecured(t *testing.T) {
	s := newSite(t, shop())
	for _, path := range append([]string{"/static/style.css", "/nowhere", "/jobs/nonsense"}, everyPath...) {
		resp := s.as(t, access.Principal{}).send(httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if got := resp.Header.Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s: the policy is %q", path, got)
		}
		if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: may be sniffed: %q", path, got)
		}
		for _, c := range resp.Cookies() {
			if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
				t.Errorf("%s: the cookie %v may be read or sent from elsewhere", path, c)
			}
		}
	}
}

func TestFailuresAreExplained(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		text   string
	}{
		{ErrUnavailable, 503, "starting, recovering or stopping"},
		{errors.New("secret: the password is hunter2"), 500, "The server&#39;s log says what"},
		{invalid("policy.rate: is too much"), 400, "policy.rate: is too much"},
		{ErrNotFound, 404, "not found"},
	} {
		f := shop()
		f.err = test.err
		v := newSite(t, f).as(t, access.Local())
		for _, path := range []string{"/", "/destinations", "/queue?source=shop&destination=crm", "/do/pause?source=shop"} {
			status, content := v.get(path)
			if status != test.status || !strings.Contains(content, test.text) {
				t.Errorf("%s with %v: got status %d", path, test.err, status)
			}
			if strings.Contains(content, "hunter2") {
				t.Errorf("%s tells the cause", path)
			}
		}
	}
}

func TestBadAddressesAreRefused(t *testing.T) {
	v := newSite(t, shop()).as(t, access.Local())
	for path, want := range map[string]int{
		"/queue": 400, "/queue?source=" + strings.Repeat("x", 2000): 400, "/do/fly?source=shop": 404, "/jobs/short": 404,
		"/jobs/000000000000000000000000000": 404, "/archive?job=nonsense": 400, "/jobs?state=gone": 400, "/nowhere": 404,
		"/queue?source=shop": 303, "/replay?until=never": 400, "/static/../web.go": 404, "/static/templates/job.html": 404,
		"/destinations?page=999999999999999999999&sort=nonsense&range=x": 200,
	} {
		if status, _ := v.get(path); status != want && (!strings.Contains(path, "..") || status != http.StatusTemporaryRedirect) {
			t.Errorf("%s: got status %d, want %d", path, status, want)
		}
	}
}

func TestRights(t *testing.T) {
	s := newSite(t, shop())
	nobody := access.Principal{}
	submitter := access.Principal{Name: "s", Role: access.Submitter}
	looks := access.Principal{Name: "v", Role: access.Viewer}
	bound := access.Principal{Name: "o", Role: access.Operator, Sources: []string{"shop"}}
	none := access.Principal{Name: "n", Role: access.Admin, Sources: []string{}}
	for _, test := range []struct {
		who    access.Principal
		path   string
		status int
	}{
		{nobody, "/", 403},
		{submitter, "/", 403},
		{none, "/", 403},
		{looks, "/", 200},
		{looks, "/fleet", 200},
		{looks, "/audit", 403},
		{looks, "/do/pause?source=shop", 403},
		{looks, "/replay?source=shop", 403},
		{looks, "/progress?verb=expire&source=shop", 403},
		{bound, "/", 200},
		{bound, "/do/pause?source=shop", 200},
		{bound, "/do/pause?source=hidden-source", 403},
		{bound, "/do/pause?destination=crm", 403},
		{bound, "/queue?source=hidden-source&destination=crm", 403},
		{bound, "/destination?destination=crm", 200},
		{bound, "/fleet", 403},
		{bound, "/archive?source=hidden-source", 403},
		{bound, "/jobs?source=hidden-source", 403},
	} {
		if status, _ := s.as(t, test.who).get(test.path); status != test.status {
			t.Errorf("%s %s: got status %d, want %d", test.who.Role, test.path, status, test.status)
		}
	}
	for _, path := range []string{"/", "/destinations", "/sources", "/destination?destination=crm", "/alerts"} {
		if _, content := s.as(t, bound).get(path); strings.Contains(content, "hidden-source") || strings.Contains(content, "It does not balance") {
			t.Errorf("%s tells of what is not theirs", path)
		}
	}
	if _, content := s.as(t, bound).get("/destination?destination=crm"); !strings.Contains(content, `<dd class="figure" id="pending">5</dd>`) {
		t.Error("the destination's figures are not those of the viewer's sources")
	}
}

func TestJobsOfOthersAreNotThere(t *testing.T) {
	f := shop()
	id, err := centrifuge.ParseID("3MTpGBWBKiziamOXc2Bqc3XdR5U")
	if err != nil {
		t.Fatal(err)
	}
	bound := newSite(t, f).as(t, access.Principal{Role: access.Viewer, Sources: []string{"shop"}})
	_, missing := bound.get("/jobs/"+id.String(), "live")
	f.trace = jobdb.Trace{Job: centrifuge.Job{ID: id, Source: "hidden-source", Endpoint: "http://e.example"}}
	status, hidden := bound.get("/jobs/"+id.String(), "live")
	if status != http.StatusNotFound || strings.Contains(hidden, "hidden-source") || strings.Contains(hidden, "e.example") {
		t.Errorf("got status %d:\n%s\nwhere a job that is not there gives\n%s", status, hidden, missing)
	}
}

func TestSignInPage(t *testing.T) {
	s := newSite(t, shop())
	w := httptest.NewRecorder()
	s.ShowSignIn(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/signin", nil), SignIn{
		Status: http.StatusUnauthorized, Problem: `<script>alert(1)</script>`, Token: true, Post: "/signin", Provider: "/signin/start",
		Field: "csrf", Value: "v", Next: "/queue?source=shop",
	})
	content := w.Body.String()
	for _, want := range []string{"&lt;script&gt;", `type="password"`, `href="/signin/start"`, `name="csrf" value="v"`} {
		if !strings.Contains(content, want) {
			t.Errorf("the page lacks %s:\n%s", want, content)
		}
	}
	if w.Code != http.StatusUnauthorized || w.Header().Get("Content-Security-Policy") != policy {
		t.Errorf("got status %d and the header %v", w.Code, w.Header())
	}
}
