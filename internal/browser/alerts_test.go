package browser

import (
	"os"
	"path/filepath"
	"testing"
)

// A queue whose credentials are refused is paused by the rules, and the pages say
// so: what fires, why, and who did it.
func TestAlerts(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte("every: 1s\nauth_streak: {count: 3, pause: 5}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startScene(t, []string{"--alert-rules", rules}, []string{"/locked=status:401"})
	b := s.tab()
	b.open("/alerts")
	b.says("#live", "All quiet")
	s.submit("shop", "crm", "/locked", 6)
	b.says(`[aria-label="Firing"]`, "auth_streak")
	b.says(`[aria-label="Firing"]`, "attempts of shop to crm in a row were answered 401")
	b.says(`[aria-label="Firing"]`, "the queue was paused for that")
	b.accessible("alerts that fire")
	b.clickText("shop → crm")
	b.until("the queue's page", `location.pathname === "/queue"`)
	b.says(".bar-row", "paused")
	b.says(".nav .count", "1")
	if !s.policy("shop", "crm").GetPaused() {
		t.Error("the queue is not paused")
	}
	b.open("/audit")
	b.says("table", "rules of alerts")
}
