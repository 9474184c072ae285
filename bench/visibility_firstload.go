package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// firstLoads is how many times the page is loaded by a browser that has nothing of
// it.
const firstLoads = 10

// whenReady notes when the page's scripts have run, which is when it can be used, and
// when its charts were drawn and shown after that.
const whenReady = `
	window.at = {};
	new MutationObserver((_, me) => {
		if (document.documentElement?.dataset.ready === undefined) return;
		me.disconnect();
		at.ready = performance.now();
		requestAnimationFrame(() => setTimeout(() => {
			at.shown = performance.now();
			at.charts = document.querySelectorAll("[data-canvas] canvas").length;
		}));
	}).observe(document, {attributes: true, subtree: true, attributeFilter: ["data-ready"]});`

// firstLoad measures the front page in Chromium, with a month of 10,000 queues in
// the record, from the beginning of the navigation on.
func firstLoad(ctx context.Context, b *bench) error {
	m, err := b.filledMonth(ctx)
	if err != nil {
		return err
	}
	director, err := b.startServe(ctx, m.data)
	if err != nil {
		return err
	}
	defer func() { _ = director.kill() }()
	allocator, stop := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:], //nolint:gocritic // a copy
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.UserDataDir(filepath.Join(b.dir, "chromium")), chromedp.WSURLReadTimeout(time.Minute))...)
	defer stop()
	browser, end := chromedp.NewContext(allocator)
	defer end()
	if err := chromedp.Run(browser); err != nil {
		return fmt.Errorf("start Chromium (make chromium installs it): %w", err)
	}
	var parsed, ready, shown []float64
	for i := range firstLoads + 1 {
		at, err := loadOnce(browser, director.url)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // the browser itself was new
		}
		parsed, ready, shown = append(parsed, at.Parsed), append(ready, at.Ready), append(shown, at.Shown)
	}
	b.report("first load of the overview in Chromium, to DOMContentLoaded", "ms", "", "", parsed...)
	b.report("the same, to interactive", "ms", "1000", "400", ready...)
	b.report("the same, to the charts being shown", "ms", "1000", "400", shown...)
	return director.stop()
}

// loaded are the times of a page since its navigation began, in ms.
type loaded struct {
	Parsed, Ready, Shown float64
	Charts               int
}

// loadOnce loads the page in a tab of its own, with nothing in the cache.
func loadOnce(browser context.Context, url string) (at loaded, err error) {
	tab, done := chromedp.NewContext(browser)
	defer done()
	tab, cancel := context.WithTimeout(tab, time.Minute)
	defer cancel()
	err = chromedp.Run(tab,
		network.Enable(), network.ClearBrowserCache(), network.SetCacheDisabled(true), chromedp.EmulateViewport(1440, 900),
		chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := page.AddScriptToEvaluateOnNewDocument(whenReady).Do(ctx)
			return err
		}),
		chromedp.Navigate(url+"/"),
		chromedp.Poll(`at.shown > 0`, nil),
		chromedp.Evaluate(`({...at, parsed: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd})`, &at),
	)
	if err == nil && at.Charts == 0 {
		err = fmt.Errorf("%s shows no chart", url)
	}
	return at, err
}
