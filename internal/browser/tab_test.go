package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

//go:embed testdata/axe.min.js
var axe string

// tab is a page of the browser, with cookies of its own. Whatever a page of it complains of, a
// script's error or a breach of the content security policy, fails the test.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // it is the browser, to chromedp
	url string

	mu       sync.Mutex
	expected []string // complaints that the test provokes
	others   []string // servers beside ours that may be asked
	requests map[string]bool
	bytes    float64 // received, as they are on the wire
}

func (s *scene) tab() *tab {
	s.t.Helper()
	ctx, cancel := chromedp.NewContext(chrome, chromedp.WithTargetID(s.window()))
	s.t.Cleanup(cancel)
	ctx, stop := context.WithTimeout(ctx, 4*patience)
	s.t.Cleanup(stop)
	b := &tab{t: s.t, ctx: ctx, url: s.url, requests: map[string]bool{}}
	chromedp.ListenTarget(ctx, b.hear)
	b.do(network.Enable(), chromedp.EmulateViewport(1440, 900))
	return b
}

// window opens a window that shares no cookies with others, so that tests can run
// beside each other.
func (s *scene) window() target.ID {
	s.t.Helper()
	ctx := cdp.WithExecutor(chrome, chromedp.FromContext(chrome).Browser)
	own, err := target.CreateBrowserContext().Do(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := target.DisposeBrowserContext(own).Do(ctx); err != nil {
			s.t.Errorf("close the window: %v", err)
		}
	})
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(own).WithNewWindow(true).Do(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.t.Errorf("a script failed: %s", e.ExceptionDetails.Error())
	case *log.EventEntryAdded:
		for _, text := range b.expected {
			if strings.Contains(e.Entry.Text, text) {
				return
			}
		}
		if e.Entry.Level == log.LevelError {
			b.t.Errorf("the browser complains: %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *page.EventJavascriptDialogOpening:
		b.t.Errorf("a script of a stranger ran: %s", e.Message)
	case *network.EventRequestWillBeSent:
		ours := func(server string) bool { return strings.HasPrefix(e.Request.URL, server) }
		if !ours(b.url) && !ours("data:") && !slices.ContainsFunc(b.others, ours) {
			b.t.Errorf("a page loads %s", e.Request.URL)
		}
		b.requests[e.Request.URL] = true
	case *network.EventLoadingFinished:
		b.bytes += e.EncodedDataLength
	}
}

func (b *tab) expect(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, text)
}

func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// open goes to a page and waits until its scripts have run.
func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.url+path), chromedp.WaitReady("html[data-ready]"))
}

// click clicks on what a selector finds.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.clickOn(selector, fmt.Sprintf(`document.querySelector(%q)`, selector))
}

// clickText clicks on the link or button that holds a text, in the dialog if one is
// open.
func (b *tab) clickText(text string) {
	b.t.Helper()
	b.clickOn(text, fmt.Sprintf(`(() => {
		const all = [...(document.querySelector("dialog[open]") ?? document).querySelectorAll("a, button")];
		return all.find(e => e.innerText.trim() === %[1]q) ?? all.find(e => e.innerText.includes(%[1]q));
	})()`, text))
}

// clickOn presses the mouse in the middle of an element, once it is there, stands
// still and nothing covers it.
func (b *tab) clickOn(what, element string) {
	b.t.Helper()
	var at []float64
	b.wait("a clickable "+what, func() bool {
		before := at
		err := chromedp.Run(b.ctx, chromedp.Evaluate(`(() => {
			const e = `+element+`;
			if (!e || e.disabled) return [];
			e.scrollIntoView({ block: "center", behavior: "instant" });
			const r = e.getClientRects()[0];
			if (!r || r.width === 0) return [];
			const x = r.x + r.width / 2, y = r.y + r.height / 2, top = document.elementFromPoint(x, y);
			return top && e.contains(top) ? [x, y] : [];
		})()`, &at))
		return err == nil && len(at) == 2 && slices.Equal(at, before)
	})
	b.do(chromedp.MouseClickXY(at[0], at[1]))
}

// wait waits until what it is told of has come.
func (b *tab) wait(what string, come func() bool) {
	b.t.Helper()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !come() {
		select {
		case <-tick.C:
		case <-deadline:
			var text string
			_ = chromedp.Run(b.ctx, chromedp.Evaluate(`document.body.innerText.slice(0, 3000)`, &text)) // for the message alone
			b.t.Fatalf("waited in vain for %s; the page says:\n%s", what, text)
		}
	}
}

// eval is the value of an expression on the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	var v T
	b.do(chromedp.Evaluate(expression, &v))
	return v
}

// until waits until an expression is true on the page, whichever page that is by
// then.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	b.wait(what, func() bool {
		var done bool
		return chromedp.Run(b.ctx, chromedp.Evaluate(expression, &done)) == nil && done
	})
}

// text is what stands in an element.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? "there is no such element"`, selector))
}

// says waits until an element holds a text.
func (b *tab) says(selector, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("%q in %s", text, selector),
		fmt.Sprintf(`!!document.querySelector(%q)?.innerText.includes(%q)`, selector, text))
}

// prefer sets what the viewer's system prefers.
func (b *tab) prefer(scheme string) {
	b.t.Helper()
	b.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
}

// size sets the window's size.
func (b *tab) size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// accessible lets axe look at the page, and fails the test for what is serious. It
// goes by all rules, or by those that are named.
func (b *tab) accessible(name string, rules ...string) {
	b.t.Helper()
	if !eval[bool](b, `"axe" in window`) { // reading it takes the page as long as using it
		b.do(chromedp.Evaluate(axe+";0", nil))
	}
	how := map[string]any{"resultTypes": []string{"violations"}}
	if len(rules) > 0 {
		how["runOnly"] = rules
	}
	options, err := json.Marshal(how)
	if err != nil {
		b.t.Fatal(err)
	}
	var found string
	b.do(chromedp.Evaluate(`axe.run(`+string(options)+`).then(r => JSON.stringify(r.violations.map(v => ({
		id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 3).map(n => n.html + " " + n.failureSummary) }))))`,
		&found, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	var violations []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range violations {
		if v.Impact == "serious" || v.Impact == "critical" {
			b.t.Errorf("%s: %s: %s (%s)\n%s", name, v.Impact, v.Help, v.ID, strings.Join(v.Nodes, "\n"))
		}
	}
}

// fits fails the test if the page is wider than the window.
func (b *tab) fits(name string) {
	b.t.Helper()
	if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
		widest := eval[string](b, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, .nav, pre")).slice(0, 3).map(e => e.outerHTML.slice(0, 150)).join("\n")`)
		b.t.Errorf("%s is %d px wider than the screen:\n%s", name, over, widest)
	}
}
