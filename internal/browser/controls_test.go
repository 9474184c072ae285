package browser

import (
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/chromedp/chromedp"

	pb "centrifuge/gen/centrifuge/v1"
)

func sendKeys(selector, text string) []chromedp.Action {
	return []chromedp.Action{chromedp.WaitVisible(selector, chromedp.ByQuery), chromedp.SendKeys(selector, text, chromedp.ByQuery)}
}

// confirm works a control whose dialog has to say something.
func (b *tab) confirm(control string, says ...string) {
	b.t.Helper()
	b.click(`[data-control="` + control + `"]`)
	for _, text := range says {
		b.says("dialog[open]", text)
	}
	b.click("dialog[open] [data-confirm]")
	b.until("the end of "+control, `!!document.querySelector("dialog[open] [data-progress=done]")`)
	b.clickText("Close")
	b.until("the dialog to close", `!document.querySelector("dialog[open]")`)
}

func TestPauseAndResume(t *testing.T) {
	s := newScene(t, "/ok=latency:1ms")
	b := s.tab()
	queue := "/queue?source=shop&destination=crm"
	b.open(queue)
	b.confirm("pause", "Pause shop → crm?", "0 jobs will wait")
	if !s.queue("shop", "crm").GetPolicy().GetPaused() && !s.policy("shop", "crm").GetPaused() {
		t.Fatal("the queue is not paused")
	}
	s.submit("shop", "crm", "/ok", 9)
	b.says("#pending", "9")
	b.says("#live", "paused")
	if n := s.sink.Stats().Requests; n != 0 {
		t.Fatalf("the receiver got %d requests of a paused queue", n)
	}
	b.confirm("resume", "9 jobs may be sent at once")
	s.settled(0)
	if n := s.sink.Stats().Delivered; n != 9 {
		t.Errorf("%d jobs were delivered, want 9", n)
	}
	b.says("#pending", "0")
	if p := s.policy("shop", "crm"); p.GetPaused() {
		t.Errorf("the policy still says %v", p)
	}
}

func TestCancelledControlsDoNothing(t *testing.T) {
	s := newScene(t, "/ok=latency:1ms")
	b := s.tab()
	b.open("/destination?destination=crm")
	for _, leave := range []func(){
		func() { b.clickText("Cancel") },
		func() { b.do(chromedp.KeyEvent("\x1b")) },
	} {
		b.click(`[data-control="pause"]`)
		b.says("dialog[open]", "Pause destination crm?")
		leave()
		b.until("the dialog to close", `!document.querySelector("dialog[open]")`)
	}
	s.submit("shop", "crm", "/ok", 3)
	s.settled(0)
	b.open("/audit")
	b.says("#live", "Nothing was done")
}

// All of a control can be done with the keyboard.
func TestControlsByKeyboard(t *testing.T) {
	s := newScene(t)
	b := s.tab()
	b.open("/queue?source=shop&destination=crm")
	eval[bool](b, `(document.querySelector("[data-control=pause]").focus(), true)`)
	b.do(chromedp.KeyEvent(" "))
	b.says("dialog[open]", "Pause shop → crm?")
	b.until("the focus in the dialog", `!!document.activeElement.closest("dialog")`)
	b.do(chromedp.KeyEvent("\t"), chromedp.KeyEvent("\r"))
	b.says("dialog[open]", "Paused")
	b.do(chromedp.KeyEvent("\x1b"))
	b.until("the dialog to close", `!document.querySelector("dialog[open]")`)
	if !s.policy("shop", "crm").GetPaused() {
		t.Error("the queue is not paused")
	}
}

func TestRateAndWeight(t *testing.T) {
	s := newScene(t, "/ok=latency:1ms")
	b := s.tab()
	b.open("/source?source=shop")
	b.click(`[data-control="rate"]`)
	b.says("dialog[open]", "There is no limit now.")
	b.do(sendKeys(`dialog input[name="value"]`, "2.5")...)
	b.click("dialog[open] [data-confirm]")
	b.says("dialog[open]", "The rate is set")
	b.clickText("Close")
	if got := s.policy("shop", "").GetRate(); got != 2.5 {
		t.Errorf("the rate is %v", got)
	}
	b.says(".bar-row", "at most 2.5 a second")
	b.click(`[data-control="weight"]`)
	b.do(sendKeys(`dialog input[name="value"]`, "7\r")...)
	b.says("dialog[open]", "The weight is set")
	if p := s.policy("shop", ""); p.GetWeight() != 7 || p.GetRate() != 2.5 {
		t.Errorf("the policy is %v: setting one field changed another", p)
	}
}

func TestRetryNow(t *testing.T) {
	s := newScene(t, "/flaky=outage:0s+24h:500")
	ids := s.submit("shop", "crm", "/flaky", 2, patient)
	await(t, "all to wait for their retry", func() bool { return s.queue("shop", "crm").GetWaiting() == 2 })
	b := s.tab()
	b.open("/queue?source=shop&destination=crm")
	b.confirm("retry", "Retry now: shop → crm?", "2 jobs that wait for their next attempt become due now")
	await(t, "each job's second attempt", func() bool {
		for _, id := range ids {
			if s.sink.Job(id).Attempts < 2 {
				return false
			}
		}
		return true
	})
}

func TestExpireNowAndReplay(t *testing.T) {
	s := newScene(t, "/flaky=outage:0s+24h:500", "/ok=latency:1ms")
	s.submit("shop", "crm", "/flaky", 3, patient)
	s.submit("other", "crm", "/ok", 2)
	await(t, "all to wait for their retry", func() bool { return s.queue("shop", "crm").GetWaiting() == 3 })
	b := s.tab()
	b.open("/queue?source=shop&destination=crm")
	b.confirm("expire", "3 jobs that wait go to the archive now")
	if l := s.ledger(); l.GetArchived() != 3 || l.GetPending() != 0 {
		t.Errorf("the dialog said it was done, and the ledger is %v", l)
	}
	b.says("#live", "FLUSHED")

	b.open("/archive?source=shop")
	if n := eval[int](b, `document.querySelectorAll("tbody tr").length`); n != 3 {
		t.Errorf("the archive shows %d jobs, want 3", n)
	}
	accepted := s.ledger().GetAccepted()
	b.confirm("replay", "3 jobs will be submitted again")
	if got := s.ledger().GetAccepted(); got != accepted+3 {
		t.Errorf("%d jobs were submitted again, want 3", got-accepted)
	}
	b.open("/archive?source=shop")
	b.click(`[data-control="replay"]`)
	b.says("dialog[open]", "0 jobs will be submitted again")
	b.says("dialog[open]", "3 that match were replayed before")
	if !eval[bool](b, `document.querySelector("dialog [data-confirm]").disabled`) {
		t.Error("nothing can be replayed, and the button says otherwise")
	}

	b.open("/audit")
	for _, text := range []string{"queue.expire", "archive.replay", "shop → crm", "local", "127.0.0.1", "done"} {
		b.says("table", text)
	}
}

// A replay at a rate goes page by page, and its bar moves.
func TestReplayAtARate(t *testing.T) {
	s := newScene(t, "/flaky=outage:0s+24h:500")
	s.submit("shop", "crm", "/flaky", 7, patient)
	await(t, "all to wait for their retry", func() bool { return s.queue("shop", "crm").GetWaiting() >= 2 })
	if _, err := s.api.Queues.Expire(t.Context(), connect.NewRequest(&pb.ExpireRequest{Selector: &pb.QueueSelector{Source: "shop"}})); err != nil {
		t.Fatal(err)
	}
	await(t, "the archive to have them all", func() bool { return s.ledger().GetArchived() == 7 })
	b := s.tab()
	b.open("/archive?since=all")
	b.click(`[data-control="replay"]`)
	b.do(sendKeys(`dialog input[name="rate"]`, "2")...)
	b.click("dialog[open] [data-confirm]")
	b.until("the first page", `+document.querySelector("dialog progress")?.value > 0 && +document.querySelector("dialog progress").value < 7 && +document.querySelector("dialog progress").max === 7`)
	b.until("the end", `!!document.querySelector("dialog [data-progress=done]")`)
	b.says("dialog[open]", "7 jobs submitted again")
	if l := s.ledger(); l.GetAccepted() != 14 {
		t.Errorf("the ledger is %v", l)
	}
}

// policy is what was said of exactly a scope.
func (s *scene) policy(source, destination string) *pb.QueuePolicy {
	s.t.Helper()
	resp, err := s.api.Queues.GetPolicy(s.t.Context(), connect.NewRequest(&pb.GetPolicyRequest{
		Selector: &pb.QueueSelector{Source: source, Destination: destination},
	}))
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.Msg.GetPolicy()
}

// number is a figure on the page as a number.
func (b *tab) number(selector string) string {
	b.t.Helper()
	return strings.ReplaceAll(b.text(selector), ",", "")
}
