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
	o := Options{
		Keys: keys, Tokens: h.tokens, Identity: provider, Audit: h.audit,
		Now: func() time.Time {
			h.clock.Lock()
			defer h.clock.Unlock()
			return time.Now().Add(h.clock.ahead)
		},
		Public: func(path string) bool { return strings.HasPrefix(path, "/static/") },
	}
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

func TestGuessingIsSlowedDown(t *testing.T) {
	h, c := build(t, nil), browser(t)
	for range failureBurst {
		if status, _ := h.signIn(t, c, "wrong", "/"); status != 401 {
			t.Fatalf("got %d", status)
		}
	}
	if status, _ := h.signIn(t, c, "admin-token", "/"); status != 429 {
		t.Errorf("after %d failures: got %d", failureBurst, status)
	}
	if status, _ := h.get(t, c, "/customer/x"); status != 429 {
		t.Errorf("a link after %d failures: got %d", failureBurst, status)
	}
	h.later(failureEvery)
	if status, _ := h.signIn(t, c, "admin-token", "/"); status != 200 {
		t.Errorf("after a wait: got %d", status)
	}
}

func TestFailuresAreCountedByNetwork(t *testing.T) {
	now := time.Now()
	f := newFailures()
	for range failureBurst {
		f.add("2001:db8::1", now)
	}
	for host, want := range map[string]bool{
		"2001:db8::2": true, "2001:db8:0:1::1": false, "192.0.2.1": false, "": false, "nonsense": false,
	} {
		if f.tooMany(host, now) != want {
			t.Errorf("%q: %t", host, !want)
		}
	}
	for i := range 2 * maxFailing {
		f.add(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), now)
	}
	if n := len(f.mu.by); n > maxFailing {
		t.Errorf("%d addresses are remembered", n)
	}
}

func TestSignInThroughTheProvider(t *testing.T) {
	h, c := build(t, nil), browser(t)
	h.idp.SignsIn("ann@example.com", "shop-team")
	if _, content := h.get(t, c, "/"); !strings.Contains(content, `href="/sign-in/provider?next=%2F"`) {
		t.Errorf("the page offers no provider: %s", content)
	}
	if status, content := h.get(t, c, "/sign-in/provider?next=/queues"); status != 200 || content != "ann@example.com|operator|[shop]|false|127.0.0.1" {
		t.Errorf("signed in gets %d: %s", status, content)
	}

	// The mapping decides at every request.
	if err := os.WriteFile(h.mapping, []byte(`grants: [{group: platform, role: admin}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, content := h.get(t, c, "/"); !strings.Contains(content, "|") {
			break
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("a group that lost its grant is still let in")
		}
	}

	h.idp.SignsIn("bob@example.com", "lunch")
	if status, content := h.get(t, c, "/sign-in/provider"); status != 403 || !strings.Contains(content, "bob@example.com is in no group") {
		t.Errorf("somebody in no group gets %d: %s", status, content)
	}
	h.idp.Refuse("access_denied")
	if status, content := h.get(t, c, "/sign-in/provider"); status != 403 || !strings.Contains(content, "refused") {
		t.Errorf("somebody who was refused gets %d: %s", status, content)
	}
}

// A callback that this browser did not begin signs nobody in.
func TestCallbacksOfOthers(t *testing.T) {
	h := build(t, nil)
	h.idp.SignsIn("eve@example.com", "platform")
	still := func(c *http.Client) *http.Client {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		return c
	}
	begin := func(c *http.Client) (callback string) {
		_, header, _ := do(t, c, "GET", h.url+"/sign-in/provider", "")
		_, header, _ = do(t, c, "GET", header.Get("Location"), "")
		return header.Get("Location")
	}
	eve := still(browser(t))
	callback := begin(eve)
	victim := still(browser(t))
	if status, _, _ := do(t, victim, "GET", callback, ""); status != 400 {
		t.Errorf("another's callback: got %d", status)
	}
	begin(victim)
	if status, _, _ := do(t, victim, "GET", callback, ""); status != 400 {
		t.Errorf("another's callback over one's own sign-in: got %d", status)
	}
	callback = begin(eve)
	h.later(pending)
	if status, _, _ := do(t, eve, "GET", callback, ""); status != 400 {
		t.Errorf("a callback that took too long: got %d", status)
	}
	callback = begin(eve)
	if status, _, _ := do(t, eve, "GET", strings.Replace(callback, "code=", "code=x", 1), ""); status != 403 {
		t.Errorf("a code that the provider does not know: got %d", status)
	}
	callback = begin(eve)
	if status, header, _ := do(t, eve, "GET", callback, ""); status != 303 || header.Get("Location") != "/" {
		t.Errorf("one's own callback: got %d", status)
	}
	if status, _, _ := do(t, eve, "GET", callback, ""); status != 400 {
		t.Errorf("one's own callback again: got %d", status)
	}
}

func TestCustomersLinks(t *testing.T) {
	h := build(t, nil)
	path, err := h.door.Create("shop", time.Now().Add(30*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	const shown = "customer|viewer|[shop]|true|127.0.0.1"
	c := browser(t)
	if status, content := h.get(t, c, path); status != 200 || content != shown {
		t.Errorf("the link shows %d: %s", status, content)
	}
	if status, content := h.get(t, c, "/"); status != 200 || content != shown {
		t.Errorf("its session shows %d: %s", status, content)
	}

	// Changed in any place, cut, or made otherwise, it shows nothing.
	last := path[len(path)-1:]
	for _, bad := range []string{
		path[:len(path)-1], path + "A", strings.TrimSuffix(path, last) + map[bool]string{true: "B", false: "A"}[last == "A"],
		strings.Replace(path, ".", "x", 1), "/customer/x", "/customer/" + h.door.o.Keys.Seal(sessionPurpose, []byte(`{"source":"shop","until":"2100-01-01T00:00:00Z"}`)),
		"/customer/" + h.door.o.Keys.Seal(linkPurpose, []byte(`{"until":"2100-01-01T00:00:00Z"}`)),
		"/customer/" + h.door.o.Keys.Seal(linkPurpose, []byte(`{`)),
	} {
		h.later(failureEvery)
		status, content := h.get(t, browser(t), bad)
		if status != 403 || !strings.Contains(content, "not valid") && !strings.Contains(content, "expired") || strings.Contains(content, "|") {
			t.Errorf("%s shows %d: %s", bad, status, content)
		}
	}

	// A colleague is not turned into a customer by it.
	ann := browser(t)
	h.signIn(t, ann, "admin-token", "/")
	if status, content := h.get(t, ann, path); status != 409 || !strings.Contains(content, "signed in as ann") {
		t.Errorf("a colleague is shown %d: %s", status, content)
	}
	if _, content := h.get(t, ann, "/"); !strings.HasPrefix(content, "ann|admin") {
		t.Errorf("a colleague is now %s", content)
	}

	// It ends, and with it the session that it began.
	h.later(20 * time.Hour)
	c = browser(t)
	h.get(t, c, path)
	h.later(30 * time.Minute)
	if _, content := h.get(t, c, "/"); content != shown {
		t.Fatalf("its session shows %s", content)
	}
	for range 20 {
		h.later(30 * time.Minute)
		if _, content := h.get(t, c, "/"); content != shown && h.door.o.Now().Before(time.Now().Add(30*time.Hour)) {
			t.Errorf("the session ended before the link: %s", content)
		}
	}
	if _, content := h.get(t, c, "/"); strings.Contains(content, "|") {
		t.Errorf("the session outlived the link: %s", content)
	}
	if status, content := h.get(t, c, path); status != 403 || !strings.Contains(content, "expired") {
		t.Errorf("an expired link shows %d: %s", status, content)
	}
}

func TestLinksAreWithdrawnWithTheirKeys(t *testing.T) {
	h, c := build(t, nil), browser(t)
	path, err := h.door.Create("shop", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	h.get(t, c, path)
	if err := keyring.Rotate(h.keys, true); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, content := h.get(t, c, "/"); !strings.Contains(content, "|") {
			break
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the session of a link outlived its key")
		}
	}
	if status, _ := h.get(t, c, path); status != 403 {
		t.Errorf("the link outlived its key: %d", status)
	}
}

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
	path, err := h.door.Create("shop", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, content := h.get(t, c, path); !strings.HasPrefix(content, "customer|viewer|[shop]|true") {
		t.Errorf("a link shows %s", content)
	}
}

func TestSignInsAreWrittenDown(t *testing.T) {
	h := build(t, nil)
	h.signIn(t, browser(t), "shop-token", "/")
	h.signIn(t, browser(t), "wrong", "/")
	path, err := h.door.Create("shop", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
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

func TestSafePaths(t *testing.T) {
	for asked, want := range map[string]string{
		"/": "/", "/queues?source=a&x=%2F%2Fe": "/queues?source=a&x=%2F%2Fe", "/a//b": "/a//b", "/#top": "/#top",
		"": "/", "queues": "/", "//evil.example": "/", "///evil.example": "/", `/\evil.example`: "/", "/\t/evil.example": "/", "/\n/e": "/",
		"http://evil.example": "/", "https:evil.example": "/", "javascript:alert(1)": "/", " //evil.example": "/", "/%zz": "/",
		"/sign-in?next=/": "/", "/sign-out": "/", "/é": "/é",
	} {
		if got := safePath(asked); got != want {
			t.Errorf("%q leads to %q, want %q", asked, got, want)
		}
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

func FuzzSafePath(f *testing.F) {
	for _, seed := range []string{"/", "//e", `/\e`, "/a?b#c", "/\t/e", "http://e"} {
		f.Add(seed)
	}
	base, err := url.Parse("https://dash.example/sign-in")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		got := safePath(asked)
		to, err := base.Parse(got)
		if err != nil || to.Host != base.Host || to.Scheme != "https" || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t") {
			t.Errorf("%q leads to %q", asked, got)
		}
	})
}

func FuzzReadLink(f *testing.F) {
	keys, err := keyring.Open(filepath.Join(f.TempDir(), "keys"), slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	door, err := New(Options{Keys: keys})
	if err != nil {
		f.Fatal(err)
	}
	path, err := door.Create("shop", time.Now().Add(time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	good := strings.TrimPrefix(path, customerPath)
	f.Add(good)
	f.Add(`{"source":"shop","until":"2100-01-01T00:00:00Z"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := door.readLink(text); err == nil && text != good {
			t.Errorf("%q opens %+v", text, l)
		}
		// What a link says, if it could be made.
		if l, err := door.readLink(keys.Seal(linkPurpose, []byte(text))); err == nil && (l.Source == "" || !l.principal().Customer) {
			t.Errorf("%q opens %+v", text, l)
		}
	})
}
