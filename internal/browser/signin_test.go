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

// A customer's link shows their source's deliveries, read-only, and nothing else.
func TestCustomerLink(t *testing.T) {
	s := guarded(t)
	answer, err := s.api.Access.CreateCustomerLink(t.Context(), connect.NewRequest(&pb.CreateCustomerLinkRequest{
		Source: "shop", Ttl: durationpb.New(time.Hour),
	}))
	if err != nil {
		t.Fatal(err)
	}
	link := answer.Msg.GetPath()

	b := s.tab()
	for _, text := range []string{"401 (Unauthorized)", "403 (Forbidden)", "404 (Not Found)", "400 (Bad Request)", "410 (Gone)"} {
		b.expect(text)
	}
	tampered := link[:len(link)-6] + "AAAAAA"
	b.visit(tampered)
	b.visit("/")
	if text := eval[string](b, "document.body.innerText"); strings.Contains(text, "crm") || !strings.Contains(text, "Sign in") {
		t.Errorf("a link that was tampered with shows\n%s", text)
	}

	b.visit(link)
	b.visit("/")
	b.says(`[data-ledger="accepted"]`, "3")
	for _, path := range []string{"/", "/destinations", "/source?source=shop", "/queue?source=shop&destination=crm", "/destination?destination=crm", "/archive", "/jobs"} {
		b.open(path)
		b.accessible("the customer's " + path)
		html := eval[string](b, "document.documentElement.outerHTML")
		if strings.Contains(html, "secret-source") {
			t.Errorf("%s tells a customer of another source", path)
		}
		if strings.Contains(html, "data-control") {
			t.Errorf("%s has controls for a customer", path)
		}
	}
	for _, path := range []string{"/source?source=secret-source", "/sources", "/alerts", "/fleet", "/audit", "/do/pause?source=shop", "/replay?source=shop"} {
		b.open(path)
		b.says("#live", "Not yours to see")
	}
}
