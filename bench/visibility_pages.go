package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// shown are the pages that are measured. Two that follow each other have nothing in
// common that the dashboard keeps.
var shown = [...]struct{ name, path, atLeast, aim string }{
	{"overview of the last hour", "/", "300", "100"},
	{"destinations of 30 days", "/destinations?range=30d", "300", "100"},
	{"overview of 30 days", "/?range=30d", "300", "100"},
	{"destinations of a day", "/destinations?range=24h", "300", "100"},
}

const (
	firstAsks = 3           // of a process each, for each page
	rounds    = 30          // in which each page is asked for
	keptFor   = time.Second // how long the dashboard serves again what it put together
)

// overview measures what the server takes to answer with a page, body included, when
// its record holds a month of 10,000 queues: a process that was just started, and
// one that has been asked before.
func overview(ctx context.Context, b *bench) error {
	m, err := b.filledMonth(ctx)
	if err != nil {
		return err
	}
	b.report("disk for a month of 10,000 queues that never rest", "GB", "", "", m.diskGB())
	b.report("of this for hours and days", "GB", "", "", monthDays*m.dayBytes/1e9)
	for _, p := range shown {
		var first []float64
		for range firstAsks {
			took, err := b.firstPage(ctx, m.data, p.path)
			if err != nil {
				return err
			}
			first = append(first, took)
		}
		b.report(p.name+", first page of a process", "ms", "", "", first...)
	}
	director, err := b.startServe(ctx, m.data)
	if err != nil {
		return err
	}
	if err := b.askInTurn(ctx, director); err != nil {
		return err
	}
	return director.stop()
}

// firstPage is how long a process takes for a page, in ms, that has shown none.
func (b *bench) firstPage(ctx context.Context, data, path string) (float64, error) {
	director, err := b.startServe(ctx, data)
	if err != nil {
		return 0, err
	}
	took, err := timePage(ctx, director.url+path)
	if err != nil {
		return 0, err
	}
	return took, director.stop()
}

// askInTurn asks for each page once in each round, so far apart that nothing is served
// that was put together before, and once more right after, for what is kept.
func (b *bench) askInTurn(ctx context.Context, director *process) error {
	var anew, kept, used [len(shown)][]float64
	for n := range rounds * len(shown) {
		i := n % len(shown)
		before, err := director.cpuSeconds()
		if err != nil {
			return err
		}
		for _, took := range [...]*[]float64{&anew[i], &kept[i]} {
			ms, err := timePage(ctx, director.url+shown[i].path)
			if err != nil {
				return err
			}
			*took = append(*took, ms)
		}
		after, err := director.cpuSeconds()
		if err != nil {
			return err
		}
		used[i] = append(used[i], (after-before)*1e3)
		if i%2 == 0 {
			continue // the next has nothing in common with this one
		}
		select {
		case <-time.After(keptFor + 50*time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for i, p := range shown {
		b.report(p.name+", p50", "ms", "", "", quantile(anew[i], 0.50))
		b.report(p.name+", p95", "ms", p.atLeast, p.aim, quantile(anew[i], 0.95))
		b.report(p.name+", processor time, mean", "ms", "", "", mean(used[i]))
		b.report(p.name+", asked for again at once, p95", "ms", "", "", quantile(kept[i], 0.95))
	}
	return nil
}

// timePage is how long a page takes, in ms.
func timePage(ctx context.Context, url string) (float64, error) {
	began := time.Now()
	resp, err := get(ctx, url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	return milliseconds(time.Since(began)), nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

// quantile is the value that the share q of the others does not exceed.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
