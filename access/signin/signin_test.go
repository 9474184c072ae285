package signin

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"centrifuge/access"
	"centrifuge/access/audit"
	"centrifuge/access/identity"
	"centrifuge/access/identity/identitytest"
	"centrifuge/access/keyring"
	"centrifuge/access/links"
)

// tokens are holders by their tokens, as a test has them now.
type tokens struct {
	mu sync.Mutex
	by map[string]access.Principal
}

func (t *tokens) Holder(sum [sha256.Size]byte) (access.Principal, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for token, p := range t.by {
		if sha256.Sum256([]byte(token)) == sum {
			return p, true
		}
	}
	return access.Principal{}, false
}

func (t *tokens) remove(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.by, token)
}

// house is a door on a loopback port with a dashboard behind it that tells whom it
// acts for.
type house struct {
	door    *Door
	url     string
	tokens  *tokens
	idp     *identitytest.Provider
	keys    string
	mapping string
	audit   *audit.Log
	notes   links.Notes
	server  *httptest.Server
	clock   struct {
		sync.Mutex
		ahead time.Duration
	}
}

func (h *house) later(d time.Duration) {
	h.clock.Lock()
	defer h.clock.Unlock()
	h.clock.ahead += d
}

const groups = `grants: [{group: platform, role: admin}, {group: shop-team, role: operator, sources: [shop]}]`

func build(t *testing.T, change func(*Options, *house)) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{
		idp: identitytest.Start(t), keys: filepath.Join(dir, "keys"), mapping: filepath.Join(dir, "groups.yaml"),
		tokens: &tokens{by: map[string]access.Principal{
			"admin-token":  {Name: "ann", Role: access.Admin},
			"shop-token":   {Name: "sam", Role: access.Operator, Sources: []string{"shop"}},
			"submit-token": {Name: "billing", Role: access.Submitter},
		}},
	}
	keys, err := keyring.Open(h.keys, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.mapping, []byte(groups), 0o600); err != nil {
		t.Fatal(err)
	}
	provider, err := identity.Open(identity.Options{
		Issuer: h.idp.Issuer, ClientID: identitytest.ClientID, ClientSecret: identitytest.ClientSecret, MappingFile: h.mapping,
	})
	if err != nil {
		t.Fatal(err)
	}
	if h.audit, err = audit.Open(audit.Options{Dir: filepath.Join(dir, "audit")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.audit.Close() })
	if h.notes, err = links.OpenFolder(filepath.Join(dir, "links")); err != nil {
		t.Fatal(err)
	}
	o := Options{
		Keys: keys, Tokens: h.tokens, Identity: provider, Audit: h.audit,
		Now: func() time.Time {
			h.clock.Lock()
			defer h.clock.Unlock()
			return time.Now().Add(h.clock.ahead)
		},
		Public: func(path string) bool { return strings.HasPrefix(path, "/static/") },
	}
	o.Links = links.New(h.notes, o.Now)
	if change != nil {
		change(&o, h)
	}
	if h.door, err = New(o); err != nil {
		t.Fatal(err)
	}
	dashboard := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := access.From(r.Context())
		_, _ = fmt.Fprintf(w, "%s|%s|%v|%t|%s", p.Name, p.Role, p.Sources, p.Customer, p.Address)
	})
	h.server = httptest.NewServer(h.door.Handler(dashboard))
	t.Cleanup(h.server.Close)
	h.url = h.server.URL
	return h
}

// browser has cookies and follows redirects.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

func do(t *testing.T, c *http.Client, method, url, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(content)
}

func (h *house) get(t *testing.T, c *http.Client, path string) (int, string) {
	t.Helper()
	status, _, content := do(t, c, "GET", h.url+path, "")
	return status, content
}

func (h *house) signIn(t *testing.T, c *http.Client, token, next string) (int, string) {
	t.Helper()
	status, _, content := do(t, c, "POST", h.url+"/sign-in", url.Values{"token": {token}, "next": {next}}.Encode())
	return status, content
}

func TestSignInWithAToken(t *testing.T) {
	h := build(t, nil)
	c := browser(t)
	if status, content := h.get(t, c, "/queues?source=%3Cb%3E"); status != 200 || !strings.Contains(content, `name="token"`) ||
		!strings.Contains(content, `value="/queues?source=%3Cb%3E"`) || strings.Contains(content, "|") {
		t.Errorf("a stranger gets %d: %s", status, content)
	}
	if status, content := h.signIn(t, c, "wrong", "/"); status != 401 || !strings.Contains(content, "not valid") {
		t.Errorf("a wrong token gets %d: %s", status, content)
	}
	if status, content := h.signIn(t, c, "submit-token", "/"); status != 403 || !strings.Contains(content, "submitter") {
		t.Errorf("a submitter gets %d: %s", status, content)
	}
	if _, content := h.get(t, c, "/"); strings.Contains(content, "|") {
		t.Errorf("after failures a stranger gets %s", content)
	}
	if status, content := h.signIn(t, c, "shop-token", "/queues"); status != 200 || content != "sam|operator|[shop]|false|127.0.0.1" {
		t.Errorf("signed in gets %d: %s", status, content)
	}
	if status, content := h.get(t, c, "/any/page"); status != 200 || !strings.HasPrefix(content, "sam|") {
		t.Errorf("the session gets %d: %s", status, content)
	}
	if status, content := h.get(t, browser(t), "/static/style.css"); status != 200 || !strings.HasPrefix(content, "|nobody|") {
		t.Errorf("a style sheet without a sign-in gets %d: %s", status, content)
	}
	for page, want := range map[string]string{
		h.url + "/queues?a=b": "/sign-in?next=%2Fqueues%3Fa%3Db", "http://evil.example//evil": "/sign-in?next=%2F", "": "/sign-in?next=%2F",
	} {
		status, header, _ := do(t, browser(t), "GET", h.url+"/part", "", "HX-Request", "true", "HX-Current-URL", page)
		if status != 401 || header.Get("HX-Redirect") != want {
			t.Errorf("a part of %s gets %d, %q", page, status, header.Get("HX-Redirect"))
		}
	}
}

func sessionCookie(t *testing.T, h *house, c *http.Client) *http.Cookie {
	t.Helper()
	u, err := url.Parse(h.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range c.Jar.Cookies(u) {
		if strings.HasSuffix(cookie.Name, "centrifuge") {
			return cookie
		}
	}
	return nil
}

func TestSessionsEnd(t *testing.T) {
	in := func(h *house, c *http.Client) bool {
		_, content := h.get(t, c, "/")
		return strings.HasPrefix(content, "ann|")
	}
	for name, end := range map[string]func(*house, *http.Client){
		"when nobody uses it": func(h *house, c *http.Client) { h.later(idle) },
		"after the longest": func(h *house, c *http.Client) {
			for range 12 {
				h.later(idle - time.Minute)
				if !in(h, c) {
					t.Error("a session that is used ended early")
				}
			}
			h.later(12 * time.Minute)
		},
		"with its token":  func(h *house, c *http.Client) { h.tokens.remove("admin-token") },
		"by signing out":  func(h *house, c *http.Client) { do(t, c, "POST", h.url+"/sign-out", "") },
		"with its cookie": func(h *house, c *http.Client) { c.Jar, _ = cookiejar.New(nil) },
	} {
		h, c := build(t, nil), browser(t)
		h.signIn(t, c, "admin-token", "/")
		if !in(h, c) {
			t.Fatalf("%s: not signed in", name)
		}
		end(h, c)
		if in(h, c) {
			t.Errorf("%s: the session has not ended", name)
		}
	}
}

// A cookie that was stolen is worth nothing after its owner signed out, and one that
// was planted is not the session of whoever signs in over it.
func TestStolenAndPlantedCookies(t *testing.T) {
	h, c := build(t, nil), browser(t)
	h.signIn(t, c, "shop-token", "/")
	before := sessionCookie(t, h, c)
	h.signIn(t, c, "admin-token", "/")
	if after := sessionCookie(t, h, c); after.Value == before.Value {
		t.Error("a sign-in kept the cookie")
	}
	with := func(value string) string {
		_, _, content := do(t, &http.Client{}, "GET", h.url+"/", "", "Cookie", before.Name+"="+value)
		return content
	}
	if content := with(before.Value); strings.Contains(content, "|") {
		t.Errorf("the cookie of before gets %s", content)
	}
	stolen := sessionCookie(t, h, c).Value
	if content := with(stolen); !strings.HasPrefix(content, "ann|") {
		t.Fatalf("the cookie gets %s", content)
	}
	do(t, c, "POST", h.url+"/sign-out", "")
	if content := with(stolen); strings.Contains(content, "|") {
		t.Errorf("after signing out the cookie gets %s", content)
	}
	for _, value := range []string{"", "x", stolen[:20], strings.ToUpper(stolen), h.door.o.Keys.Seal("link", []byte("{}")), h.door.o.Keys.Seal(sessionPurpose, []byte("{}")), h.door.o.Keys.Seal(sessionPurpose, []byte("null"))} {
		if content := with(value); strings.Contains(content, "|") {
			t.Errorf("the cookie %q gets %s", value, content)
		}
	}
}

func TestCookiesAndHeaders(t *testing.T) {
	for public, want := range map[string]string{
		"": "centrifuge=", "https://dash.example": "__Host-centrifuge=",
	} {
		h := build(t, func(o *Options, _ *house) { o.PublicURL = public })
		c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		status, header, _ := do(t, c, "POST", h.url+"/sign-in", "token=admin-token&next=/x")
		cookie := header.Get("Set-Cookie")
		if status != 303 || header.Get("Location") != "/x" || !strings.HasPrefix(cookie, want) {
			t.Errorf("%q: got %d to %q with %q", public, status, header.Get("Location"), cookie)
		}
		for _, attribute := range []string{"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"} {
			if !strings.Contains(cookie, attribute) {
				t.Errorf("%q: the cookie %q has no %s", public, cookie, attribute)
			}
		}
		if strings.Contains(cookie, "Secure") != (public != "") || strings.Contains(cookie, "Domain") {
			t.Errorf("%q: the cookie is %q", public, cookie)
		}
		for name, value := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if header.Get(name) != value {
				t.Errorf("%s is %q", name, header.Get(name))
			}
		}
	}
}

func TestRequestsThatAnotherSiteMade(t *testing.T) {
	h, c := build(t, nil), browser(t)
	h.signIn(t, c, "admin-token", "/")
	for _, test := range []struct {
		headers []string
		ok      bool
	}{
		{[]string{"Sec-Fetch-Site", "same-origin"}, true},
		{[]string{"Sec-Fetch-Site", "none"}, true},
		{[]string{"Sec-Fetch-Site", "cross-site"}, false},
		{[]string{"Sec-Fetch-Site", "same-site"}, false}, // another port of this machine
		{[]string{"Sec-Fetch-Site", "", "Origin", h.url}, true},
		{[]string{"Sec-Fetch-Site", "", "Origin", "http://evil.example"}, false},
		{[]string{"Sec-Fetch-Site", "", "Origin", "null"}, false},
	} {
		for _, path := range []string{"/queue/pause", "/sign-out", "/sign-in"} {
			status, _, content := do(t, c, "POST", h.url+path, "token=admin-token", test.headers...)
			if (status == 403) == test.ok || test.ok && status != 200 {
				t.Errorf("POST %s with %q: got %d: %s", path, test.headers, status, content)
			}
			h.signIn(t, c, "admin-token", "/")
		}
	}
}

// A callback that this browser did not begin signs nobody in.
func TestNobodySignsInWithoutTokens(t *testing.T) {
	h := build(t, func(o *Options, _ *house) { o.Tokens, o.Identity = nil, nil })
	c := browser(t)
	if status, content := h.get(t, c, "/"); status != 200 || content != "local|admin|[]|false|127.0.0.1" {
		t.Errorf("got %d: %s", status, content)
	}
	for host, want := range map[string]int{
		"localhost:7800": 200, "127.0.0.1": 200, "[::1]:7800": 200,
		"evil.example": 403, "evil.example:7800": 403, "127.0.0.1.evil.example": 403, "localhost.evil.example": 403,
	} {
		if status, _, _ := do(t, c, "GET", h.url+"/", "", "Host", host); status != want {
			t.Errorf("as %q: got %d", host, status)
		}
	}
	if status, _, _ := do(t, c, "POST", h.url+"/queue/pause", "", "Sec-Fetch-Site", "cross-site"); status != 403 {
		t.Errorf("a request of another site: got %d", status)
	}
	_, path := h.link(t, time.Hour)
	if _, content := h.get(t, c, path); !strings.HasPrefix(content, "customer|viewer|[shop]|true") {
		t.Errorf("a link shows %s", content)
	}
}

func TestSignInsAreWrittenDown(t *testing.T) {
	h := build(t, nil)
	h.signIn(t, browser(t), "shop-token", "/")
	h.signIn(t, browser(t), "wrong", "/")
	_, path := h.link(t, time.Hour)
	h.get(t, browser(t), path)
	page, err := h.audit.List(audit.Filter{}, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range page.Entries {
		told = append(told, e.Who+" "+e.Role+" "+e.Action+" "+e.Source+" "+e.Outcome+" "+e.Address)
	}
	if got := strings.Join(told, "\n"); got != "customer viewer customer.open shop ok 127.0.0.1\nsam operator sign.in  ok 127.0.0.1" {
		t.Errorf("told is\n%s", got)
	}
}

func TestHostileTextsOnThePages(t *testing.T) {
	h := build(t, nil)
	const script = `"><script>alert(1)</script>`
	h.idp.SignsIn(script, "lunch")
	for _, path := range []string{"/sign-in?next=/" + url.QueryEscape(script), "/sign-in/provider", "/sign-in/callback?error=" + url.QueryEscape(script)} {
		status, header, content := do(t, browser(t), "GET", h.url+path, "")
		if strings.Contains(content, "<script>") || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d: %s", path, status, content)
		}
	}
	if status, _, _ := do(t, browser(t), "POST", h.url+"/sign-in", "token="+strings.Repeat("x", 1<<20)); status != 400 {
		t.Errorf("a huge form: got %d", status)
	}
}

func TestPublicURLs(t *testing.T) {
	keys, err := keyring.Open(filepath.Join(t.TempDir(), "keys"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for public, ok := range map[string]bool{
		"": true, "https://dash.example": true, "http://dash.example:8080/": true,
		"dash.example": false, "ftp://dash.example": false, "https://": false, "https://dash.example/below": false, "://": false,
	} {
		if _, err := New(Options{Keys: keys, PublicURL: public}); (err == nil) != ok {
			t.Errorf("%q: %v", public, err)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a door without keys")
	}
}
