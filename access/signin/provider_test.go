package signin

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

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
