package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/chromedp/chromedp"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/access/identity/identitytest"
	pb "centrifuge/gen/centrifuge/v1"
)

const (
	adminToken  = "admin-token-000000000"
	viewerToken = "viewer-token-00000000"
)

// guarded is a scene that asks who is there.
func guarded(t *testing.T) *scene {
	t.Helper()
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("root:admin:"+adminToken+"\nvera:viewer:"+viewerToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startScene(t, []string{"--token-file", tokens}, []string{"/ok=latency:1ms"})
	s.as(adminToken)
	s.submit("shop", "crm", "/ok", 3)
	s.submit("secret-source", "crm", "/ok", 2)
	s.settled(0)
	return s
}

// visit goes to a page that need not be one of the dashboard's own.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.url+path), chromedp.WaitReady("body"))
}

func TestSignInWithAToken(t *testing.T) {
	s := guarded(t)
	b := s.tab()
	b.expect("401 (Unauthorized)")
	b.expect("403 (Forbidden)")
	b.visit("/queue?source=shop&destination=crm")
	b.says("h1", "Sign in")
	b.accessible("the sign-in page")
	b.size(360, 640)
	b.fits("the sign-in page on a phone")
	b.size(1280, 800)
	b.do(sendKeys(`input[name="token"]`, "a-wrong-token-0000000\r")...)
	b.says(`[role="alert"]`, "")
	b.says("h1", "Sign in")
	b.do(sendKeys(`input[name="token"]`, viewerToken+"\r")...)
	b.until("the page that was asked for", `location.pathname + location.search === "/queue?source=shop&destination=crm"`)
	b.says(".who", "vera")
	b.says(".who", "viewer")
	if n := eval[int](b, `document.querySelectorAll("[data-control]").length`); n != 0 {
		t.Errorf("a viewer is shown %d controls", n)
	}
	b.clickText("Sign out")
	b.until("the end of the session", `document.querySelector("h1")?.innerText === "Sign in" || !document.querySelector(".who")`)
	b.visit("/")
	b.says("h1", "Sign in")
}

// signIn signs in with a token.
func (b *tab) signIn(token string) {
	b.t.Helper()
	b.expect("401 (Unauthorized)")
	b.visit("/")
	b.do(sendKeys(`input[name="token"]`, token+"\r")...)
	b.until("the overview", `!!document.querySelector(".who") && location.pathname === "/"`)
}

// An admin makes a link on the page of a source; it shows that source's deliveries,
// read-only, and nothing else.
func TestCustomerLink(t *testing.T) {
	s := guarded(t)
	admin := s.tab()
	admin.signIn(adminToken)
	admin.open("/source?source=shop")
	admin.click(`[data-control="link"]`)
	admin.says("dialog[open]", "Make a customer link for shop?")
	admin.accessible("the dialog of a link")
	admin.do(chromedp.SetValue(`dialog select[name="ttl"]`, "1h", chromedp.ByQuery))
	admin.click("dialog[open] [data-confirm]")
	admin.says("#customer-link", s.url+"/customer/")
	link := strings.TrimPrefix(admin.text("#customer-link"), s.url)
	admin.click(`[data-copy="customer-link"]`)
	admin.says(`[data-copy="customer-link"]`, "Copied")
	admin.clickText("Close")
	admin.until("the link to be gone", `!document.documentElement.outerHTML.includes("/customer/")`)
	admin.open("/audit")
	admin.says("table", "customer.link")

	b := s.tab()
	for _, text := range []string{"401 (Unauthorized)", "403 (Forbidden)"} {
		b.expect(text)
	}
	for _, refused := range []struct{ link, says string }{
		{link[:len(link)-6] + "AAAAAA", "not valid"},
		{s.customerLink("shop", time.Millisecond), "expired"},
	} {
		b.visit(refused.link)
		b.says("body", refused.says)
		b.visit("/")
		if text := eval[string](b, "document.body.innerText"); strings.Contains(text, "crm") || !strings.Contains(text, "Sign in") {
			t.Errorf("a link that is %s shows\n%s", refused.says, text)
		}
	}

	b.visit(link)
	b.visit("/")
	b.says(`[data-ledger="accepted"]`, "3")
	for _, path := range []string{"/", "/destinations", "/source?source=shop", "/queue?source=shop&destination=crm", "/destination?destination=crm", "/archive", "/jobs", "/report"} {
		b.open(path)
		html := eval[string](b, "document.documentElement.outerHTML")
		if strings.Contains(html, "secret-source") {
			t.Errorf("%s tells a customer of another source", path)
		}
		if strings.Contains(html, "data-control") {
			t.Errorf("%s has controls for a customer", path)
		}
	}
	for _, path := range []string{"/source?source=secret-source", "/sources", "/alerts", "/fleet", "/audit", "/do/pause?source=shop", "/replay?source=shop", "/customer-link?source=shop"} {
		b.open(path)
		b.says("#live", "Not yours to see")
	}
}

// An admin revokes a link where they are made: its customer is shown out, and the
// customer of another link is not.
func TestRevokeCustomerLink(t *testing.T) {
	s := guarded(t)
	link, other := s.customerLink("shop", time.Hour), s.customerLink("shop", time.Hour)
	for _, l := range []string{link, other} {
		b := s.tab()
		b.expect("401 (Unauthorized)") // once its link is revoked
		b.visit(l)
		b.visit("/")
		b.says(`[data-ledger="accepted"]`, "3")
	}
	admin := s.tab()
	admin.signIn(adminToken)
	admin.open("/source?source=shop")
	admin.click(`[data-control="link"]`)
	admin.says("dialog[open]", "Links so far")
	admin.accessible("the dialog of links")
	admin.click(`dialog tbody tr:last-child [data-revoke]`) // the older one, or either if made in one second
	admin.says("dialog[open]", "Revoke the link")
	admin.accessible("the dialog that revokes")
	admin.click("dialog[open] [data-confirm]")
	admin.says("dialog[open] tbody", "revoked")
	admin.open("/audit")
	admin.says("table", "customer.revoke")

	open := 0
	for _, l := range []string{link, other} {
		b := s.tab()
		b.expect("403 (Forbidden)")
		b.visit(l)
		if text := eval[string](b, "document.body.innerText"); !strings.Contains(text, "was revoked") {
			b.says(`[data-ledger="accepted"]`, "3")
			open++
		}
	}
	if open != 1 {
		t.Errorf("%d of the two links open", open)
	}
}

// customerLink makes a link over the API.
func (s *scene) customerLink(source string, ttl time.Duration) string {
	s.t.Helper()
	answer, err := s.api.Access.CreateCustomerLink(s.t.Context(), connect.NewRequest(&pb.CreateCustomerLinkRequest{
		Source: source, Ttl: durationpb.New(ttl),
	}))
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.Msg.GetPath()
}

// People sign in at the identity provider; what they may do, and of which sources,
// is what their groups may.
func TestSignInWithOpenIDConnect(t *testing.T) {
	provider := identitytest.Start(t)
	dir := t.TempDir()
	files := map[string]string{
		"tokens": "root:admin:" + adminToken + "\n",
		"secret": identitytest.ClientSecret,
		"groups": "grants:\n  - {group: support, role: viewer}\n  - {group: shop-team, role: operator, sources: [shop]}\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := startScene(t, []string{
		"--token-file", filepath.Join(dir, "tokens"), "--oidc-issuer", provider.Issuer, "--oidc-client-id", identitytest.ClientID,
		"--oidc-client-secret-file", filepath.Join(dir, "secret"), "--oidc-mapping", filepath.Join(dir, "groups"),
	}, []string{"/ok=latency:1ms"})
	s.as(adminToken)
	s.submit("shop", "crm", "/ok", 3)
	s.submit("secret-source", "crm", "/ok", 2)
	s.settled(0)
	for _, who := range []struct {
		name, role string
		groups     []string
		accepted   string // of the sources that they see
		controls   bool
	}{
		{"ann@example.com", "operator", []string{"shop-team", "lunch"}, "3", true},
		{"bob@example.com", "viewer", []string{"support"}, "5", false},
	} {
		provider.SignsIn(who.name, who.groups...)
		b := s.tab()
		b.others = []string{provider.Issuer}
		b.expect("401 (Unauthorized)")
		b.expect("403 (Forbidden)")
		b.visit("/source?source=shop")
		b.clickText("Continue with")
		b.until("the page that was asked for", `location.pathname + location.search === "/source?source=shop" && !!document.querySelector(".who")`)
		b.says(".who", who.name)
		b.says(".who", who.role)
		if got := eval[bool](b, `!!document.querySelector("[data-control=pause]")`); got != who.controls {
			t.Errorf("%s is shown controls: %v", who.name, got)
		}
		b.open("/")
		b.says(`[data-ledger="accepted"]`, who.accepted)
		if who.controls {
			b.open("/source?source=secret-source")
			b.says("#live", "Not yours to see")
			b.open("/source?source=shop")
			b.confirm("pause")
			if !s.policy("shop", "").GetPaused() {
				t.Error("an operator by their group could not pause their source")
			}
		}
	}
	provider.SignsIn("eve@example.com", "lunch")
	b := s.tab()
	b.others = []string{provider.Issuer}
	b.expect("401 (Unauthorized)")
	b.expect("403 (Forbidden)")
	b.visit("/")
	b.clickText("Continue with")
	b.says("body", "eve@example.com is in no group")
}
