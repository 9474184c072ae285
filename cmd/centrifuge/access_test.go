package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge/access/identity/identitytest"
)

const (
	adminToken = "admin-0123456789abcdef"
	shopToken  = "shop-0123456789abcdef"
)

// startClosed starts a server with tokens and an identity provider, whose command
// lines keep their logins in a folder of the test's own.
func startClosed(t *testing.T) (s *serving, idp *identitytest.Provider, dir string) {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, name := range []string{"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"} {
		t.Setenv(name, "") // no browser of whoever runs the tests opens
	}
	idp = identitytest.Start(t)
	dir = t.TempDir()
	files := map[string]string{
		"tokens": "root:" + adminToken + "\nsam:operator:shop:" + shopToken + "\n",
		"secret": identitytest.ClientSecret + "\n",
		"groups": "grants:\n  - {group: support, role: viewer}\n  - {group: shop-team, role: operator, sources: [shop]}\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = startServe(t, filepath.Join(dir, "data"), "--token-file", filepath.Join(dir, "tokens"),
		"--oidc-issuer", idp.Issuer, "--oidc-client-id", identitytest.ClientID, "--oidc-command-client-id", identitytest.CommandID,
		"--oidc-client-secret-file", filepath.Join(dir, "secret"), "--oidc-mapping", filepath.Join(dir, "groups"))
	awaitReady(t, http.DefaultClient, "http://"+s.address)
	return s, idp, dir
}

func TestLoginByDevice(t *testing.T) {
	s, idp, _ := startClosed(t)
	server := "--server=http://" + s.address
	if r := call(t, "", "whoami", server); r.err == nil || !strings.Contains(r.err.Error(), "run centrifuge login") {
		t.Errorf("a stranger is told %v", r.err)
	}

	idp.SignsIn("ann@example.com", "shop-team")
	r := call(t, "", "login", server)
	if r.err != nil || !strings.Contains(r.stderr, idp.Issuer+"/activate and confirm the code ABCD-EFGH") ||
		!strings.Contains(r.stdout, "ann@example.com") || !strings.Contains(r.stdout, "operator") {
		t.Fatalf("login: %v\n%s%s", r.err, r.stderr, r.stdout)
	}
	name, err := loginsFile()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of logins: %v, %v", info, err)
	}

	// Every command sends the token; what it may do is what its groups may.
	must(t, "", "queue", "pause", server, "--source", "shop")
	for _, args := range [][]string{
		{"queue", "pause", server, "--source", "app"},
		{"queue", "pause", server, "--destination", "crm.example"},
		{"submit", server, "--source", "shop", "--endpoint", "http://127.0.0.1:1/", "--payload", "x"},
		{"customer-link", server, "--source", "shop"},
		{"audit", server, "--source", "app"},
	} {
		if r := call(t, "", args...); r.code() != exitFailure || !strings.Contains(fmt.Sprint(r.err), "permission_denied") {
			t.Errorf("%v: %v", args, r.err)
		}
	}
	if out := must(t, "", "audit", server, "--source", "shop"); !strings.Contains(out, "ann@example.com") || !strings.Contains(out, "queue.policy") {
		t.Errorf("the audit log of shop is\n%s", out)
	}

	// Of another source's job not even its being there is told.
	t.Setenv(tokenEnv, adminToken)
	ids := map[string]string{}
	for _, source := range []string{"shop", "app"} {
		var receipt struct{ JobIDs []string }
		out := must(t, "", "submit", server, "--source", source, "--endpoint", "http://127.0.0.1:1/", "--payload", "x", "--json")
		if err := json.Unmarshal([]byte(out), &receipt); err != nil || len(receipt.JobIDs) != 1 {
			t.Fatalf("%v: %s", err, out)
		}
		ids[source] = receipt.JobIDs[0]
	}
	t.Setenv(tokenEnv, "")
	must(t, "", "job", server, ids["shop"])
	if r := call(t, "", "job", server, ids["app"]); r.err == nil || !strings.Contains(r.err.Error(), "not_found") {
		t.Errorf("another source's job: %v\n%s", r.err, r.stdout)
	}
	if out := must(t, "", "ledger", server, "--by-queue", "--json"); strings.Contains(out, `"app"`) || !strings.Contains(out, `"accepted":"1"`) {
		t.Errorf("the ledger of shop's operator is\n%s", out)
	}

	// Logins are a server's own, and end.
	if r := call(t, "", "whoami", "--server=http://127.0.0.1:1"); r.err == nil || strings.Contains(r.err.Error(), "expired") {
		t.Errorf("another server: %v", r.err)
	}
	saved, err := savedLogin("HTTP://" + s.address + "/")
	if err != nil || saved.Token == "" {
		t.Fatalf("the login under another spelling: %v, %v", saved, err)
	}
	saved.Expiry = saved.Expiry.AddDate(-1, 0, 0)
	if err := saveLogin("http://"+s.address, saved); err != nil {
		t.Fatal(err)
	}
	if r := call(t, "", "whoami", server); r.err == nil || !strings.Contains(r.err.Error(), "has expired") {
		t.Errorf("an expired login: %v", r.err)
	}
	must(t, "", "logout", server)
	if r := call(t, "", "whoami", server); r.err == nil || !strings.Contains(r.err.Error(), "run centrifuge login") {
		t.Errorf("after logout: %v", r.err)
	}

	idp.Refuse("access_denied")
	if r := call(t, "", "login", server); r.err == nil || !strings.Contains(r.err.Error(), "access_denied") {
		t.Errorf("a login that was refused: %v", r.err)
	}
}

func TestLoginNeedsAProvider(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	s := startServe(t, t.TempDir())
	server := "--server=http://" + s.address
	awaitReady(t, http.DefaultClient, "http://"+s.address)
	if r := call(t, "", "login", server); r.err == nil || !strings.Contains(r.err.Error(), "no identity provider") {
		t.Errorf("got %v", r.err)
	}
	if out := must(t, "", "whoami", server); !strings.Contains(out, "local") || !strings.Contains(out, "admin") {
		t.Errorf("on an open server one is\n%s", out)
	}
}

func TestAccessFlags(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--oidc-client-id", "x"}, "give --oidc-issuer too"},
		{[]string{"--oidc-issuer", "https://id.example"}, "needs --oidc-client-id"},
		{[]string{"--oidc-issuer", "http://id.example", "--oidc-client-id", "x", "--oidc-mapping", "m"}, "want https://HOST"},
		{[]string{"--oidc-issuer", "id.example", "--oidc-client-id", "x", "--oidc-mapping", "m"}, "want https://HOST"},
		{[]string{"--oidc-issuer", "https://id.example", "--oidc-client-id", "x", "--oidc-mapping", "nowhere.yaml"}, "nowhere.yaml"},
		{[]string{"--public-url", "dash.example"}, "the public URL"},
	} {
		r := call(t, "", append([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir()}, tc.args...)...)
		if r.err == nil || !strings.Contains(r.err.Error(), tc.want) {
			t.Errorf("%v: %v, want %q", tc.args, r.err, tc.want)
		}
	}
}

// The dashboard of the real server: who comes in, and as whom.
func TestTheDoorOfTheDashboard(t *testing.T) {
	s, idp, dir := startClosed(t)
	base := "http://" + s.address
	browser := func() *http.Client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Client{Jar: jar}
	}
	ask := func(c *http.Client, method, address string, form url.Values) (int, string) {
		req, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html")
		if method == "POST" {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
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
		return resp.StatusCode, string(content)
	}
	const signIn = `name="token"`

	c := browser()
	if status, content := ask(c, "GET", base+"/", nil); status != 200 || !strings.Contains(content, signIn) || !strings.Contains(content, "/sign-in/provider") {
		t.Errorf("a stranger gets %d: %s", status, content)
	}
	if status, content := ask(c, "POST", base+"/sign-in", url.Values{"token": {"wrong"}}); status != 401 || !strings.Contains(content, signIn) {
		t.Errorf("a wrong token gets %d: %s", status, content)
	}
	if status, content := ask(c, "POST", base+"/sign-in", url.Values{"token": {shopToken}}); status != 200 || strings.Contains(content, signIn) || !strings.Contains(content, "sam") {
		t.Errorf("a token gets %d: %s", status, content)
	}
	if status, content := ask(c, "POST", base+"/sign-out", nil); status != 200 || !strings.Contains(content, signIn) {
		t.Errorf("after signing out: %d: %s", status, content)
	}

	// Another site cannot have a browser act.
	ask(c, "POST", base+"/sign-in", url.Values{"token": {shopToken}})
	req, err := http.NewRequest("POST", base+"/sign-out", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if _, content := ask(c, "GET", base+"/", nil); resp.StatusCode != 403 || !strings.Contains(content, "sam") {
		t.Errorf("another site signed somebody out: %d", resp.StatusCode)
	}

	idp.SignsIn("ann@example.com", "support")
	c = browser()
	if status, content := ask(c, "GET", base+"/sign-in/provider", nil); status != 200 || !strings.Contains(content, "ann@example.com") {
		t.Errorf("through the provider: %d: %s", status, content)
	}

	// A customer's link, made by an admin and followed by somebody else.
	t.Setenv(tokenEnv, adminToken)
	var link struct{ Path string }
	if err := json.Unmarshal([]byte(must(t, "", "customer-link", "--server", base, "--source", "shop", "--ttl", "1h", "--json")), &link); err != nil {
		t.Fatal(err)
	}
	customer := browser()
	if status, content := ask(customer, "GET", base+link.Path, nil); status != 200 || strings.Contains(content, signIn) {
		t.Errorf("a customer gets %d: %s", status, content)
	}
	if status, content := ask(browser(), "GET", base+link.Path+"x", nil); status != 403 || !strings.Contains(content, "not valid") {
		t.Errorf("a changed link gets %d: %s", status, content)
	}
	// One that is revoked ends, and this one goes on.
	var other struct{ Path, ID string }
	if err := json.Unmarshal([]byte(must(t, "", "customer-link", "--server", base, "--source", "shop", "--json")), &other); err != nil {
		t.Fatal(err)
	}
	if status, content := ask(browser(), "GET", base+other.Path, nil); status != 200 {
		t.Errorf("a second link gets %d: %s", status, content)
	}
	must(t, "", "customer-link", "revoke", other.ID, "--server", base)
	if status, content := ask(browser(), "GET", base+other.Path, nil); status != 403 || !strings.Contains(content, "was revoked") {
		t.Errorf("a revoked link gets %d: %s", status, content)
	}
	if status, _ := ask(browser(), "GET", base+link.Path, nil); status != 200 {
		t.Errorf("a link beside one that was revoked gets %d", status)
	}
	if out := must(t, "", "customer-link", "ls", "--server", base); strings.Count(out, " shop ") != 2 || strings.Count(out, "root") != 3 || !strings.Contains(out, other.ID) {
		t.Errorf("the links are\n%s", out)
	}
	if r := call(t, "", "customer-link", "revoke", "nothing", "--server", base); r.err == nil || !strings.Contains(r.err.Error(), "there is no such link") {
		t.Errorf("one that there is not: %v", r.err)
	}
	// Its session opens no procedure.
	if status, content := ask(customer, "POST", base+"/centrifuge.v1.LedgerService/Get", nil); status != 401 {
		t.Errorf("a procedure with a customer's session gets %d: %s", status, content)
	}
	must(t, "", "access", "rotate-keys", "--data-dir", filepath.Join(dir, "data"), "--forget")
	eventually(t, "withdrawn", func() (bool, string) {
		status, content := ask(browser(), "GET", base+link.Path, nil)
		return status == 403, content
	})
	if _, content := ask(customer, "GET", base+"/", nil); !strings.Contains(content, signIn) {
		t.Errorf("a customer's session outlived its key: %s", content)
	}
	out := must(t, "", "audit", "--server", base, "--json")
	for _, action := range []string{"sign.in", "customer.link", "customer.open", "customer.revoke"} {
		if !strings.Contains(out, action) {
			t.Errorf("the audit log has no %s:\n%s", action, out)
		}
	}
}
