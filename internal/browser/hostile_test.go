package browser

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"

	pb "centrifuge/gen/centrifuge/v1"
)

// hostile is text that becomes a script wherever it is written into a page as it
// is.
const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(2)><svg/onload=alert(3)>{{7*7}}</pre></textarea>` + "`${alert(4)}`"

// Names, endpoints, payloads, headers and answers come from strangers. A script of
// theirs would open a dialog, and an image would be loaded; the tab fails the test
// for either.
func TestNothingOfStrangersRuns(t *testing.T) {
	s := newScene(t)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Evil", hostile)
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, hostile)
	}))
	defer evil.Close()
	id := s.submit(hostile, hostile, "", 1, func(j *pb.JobSpec) {
		j.Endpoint = evil.URL + "/?" + url.QueryEscape(hostile) + "#" + "javascript:alert(5)"
		j.Payload = []byte(hostile)
		j.Headers = append(j.Headers, &pb.Header{Name: "X-Evil", Value: hostile})
	})[0]
	s.settled(0)
	s.submit(hostile, "javascript:alert(6)", "", 1, patient, func(j *pb.JobSpec) { j.Endpoint = "http://127.0.0.1:1/" })
	query := url.Values{"source": {hostile}, "destination": {hostile}}.Encode()
	b := s.tab()
	b.open("/queue?" + query)
	b.says("#samples", "418") // the record has it: it may be opened now
	for _, path := range []string{
		"/", "/destinations", "/sources", "/queue?" + query, "/source?source=" + url.QueryEscape(hostile), "/jobs/" + id,
		"/archive?" + query + "&endpoint=" + url.QueryEscape(hostile), "/do/expire?" + query, "/do/rate?" + query,
		"/destinations?sort=" + url.QueryEscape(hostile) + "&q=" + url.QueryEscape(hostile), "/queue?" + query + "&code=" + url.QueryEscape(hostile),
	} {
		b.open(path)
		if n := eval[int](b, `document.querySelectorAll("script:not([src]), img, [onerror], [onload], iframe, a[href^='javascript:']").length`); n != 0 {
			t.Errorf("%s has %d elements of a stranger", path, n)
		}
		b.fits(path)
	}
	b.open("/queue?" + query)
	b.click("#samples summary")
	b.says("#samples details[open]", "<script>alert(1)</script>")
	b.click(`[data-control="pause"]`)
	b.says("dialog[open]", "<script>alert(1)</script>")
	if got := b.text("dialog h2"); !strings.Contains(got, hostile[:20]) {
		t.Errorf("the dialog asks %q", got)
	}
}

// A page of somebody else cannot work the controls, though the browser would send
// our cookies along.
func TestForgedRequestsChangeNothing(t *testing.T) {
	s := newScene(t, "/ok=latency:1ms")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar}
	resp, err := c.Get(s.url + "/queue?source=shop&destination=crm")
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), `"X-CSRF-Token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	for name, test := range map[string]struct {
		token  string
		header map[string]string
		jar    http.CookieJar
		status int
	}{
		"without a token":         {status: 403, jar: jar},
		"with a made-up token":    {token: strings.Repeat("A", len(token)), jar: jar, status: 403},
		"without the cookie":      {token: token, status: 403},
		"from another site":       {token: token, jar: jar, header: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403},
		"from another origin":     {token: token, jar: jar, header: map[string]string{"Origin": "http://evil.example"}, status: 403},
		"as the page itself does": {token: token, jar: jar, header: map[string]string{"Sec-Fetch-Site": "same-origin"}, status: 200},
	} {
		form := url.Values{"source": {"shop"}, "destination": {name}, "csrf": {test.token}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/do/pause", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for k, v := range test.header {
			req.Header.Set(k, v)
		}
		resp, err := (&http.Client{Jar: test.jar}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != test.status {
			t.Errorf("%s: got status %d, want %d", name, resp.StatusCode, test.status)
		}
		if paused := s.policy("shop", name).GetPaused(); paused != (test.status == 200) {
			t.Errorf("%s: paused is %v", name, paused)
		}
	}
}

// Who may only look is shown no controls, and gets nowhere by typing their
// addresses; who is bound to a source sees and touches no other.
func TestRoles(t *testing.T) {
	tokens := filepath.Join(t.TempDir(), "tokens")
	admin, viewer, bound := "admin-token-000000000", "viewer-token-00000000", "bound-token-000000000"
	lines := "root:admin:" + admin + "\nvera:viewer:" + viewer + "\nolga:operator:shop:" + bound + "\n"
	if err := os.WriteFile(tokens, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startScene(t, []string{"--token-file", tokens}, []string{"/ok=latency:1ms"})
	s.as(admin)
	s.submit("shop", "crm", "/ok", 3)
	s.submit("secret-source", "crm", "/ok", 2)
	s.settled(0)

	as := func(token string) *tab {
		b := s.tab()
		b.expect("403 (Forbidden)")
		b.expect("404 (Not Found)")
		b.do(network.SetExtraHTTPHeaders(network.Headers{"Authorization": "Bearer " + token}))
		return b
	}
	b := as(viewer)
	b.open("/queue?source=shop&destination=crm")
	if n := eval[int](b, `document.querySelectorAll("[data-control]").length`); n != 0 {
		t.Errorf("a viewer is shown %d controls", n)
	}
	for _, path := range []string{"/do/pause?source=shop", "/audit", "/replay?source=shop"} {
		b.open(path)
		b.says("#live", "Not yours to see")
	}

	b = as(bound)
	b.open("/sources")
	b.says("tbody", "shop")
	for _, path := range []string{"/", "/sources", "/destinations", "/destination?destination=crm", "/archive", "/alerts"} {
		b.open(path)
		if text := eval[string](b, "document.documentElement.outerHTML"); strings.Contains(text, "secret-source") {
			t.Errorf("%s tells of a source that is not theirs", path)
		}
	}
	b.open("/")
	if got := b.number(`[data-ledger="accepted"]`); got != "3" {
		t.Errorf("who is bound to a source is shown %s accepted jobs, want 3", got)
	}
	for _, path := range []string{"/source?source=secret-source", "/queue?source=secret-source&destination=crm", "/archive?source=secret-source", "/do/pause?destination=crm", "/do/pause?source=secret-source", "/fleet", "/audit"} {
		b.open(path)
		b.says("#live", "Not yours to see")
	}
	b.open("/queue?source=shop&destination=crm")
	b.confirm("pause")
	if !s.policy("shop", "crm").GetPaused() {
		t.Error("an operator could not pause a queue of their own source")
	}
}
