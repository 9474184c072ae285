package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

// An endpoint that normally takes 100 requests a second of 500 customers
// succeeds with 15 % of them for 105 minutes and fails the others quickly.
func TestOutage(t *testing.T) {
	const (
		rate    = 100 // requests a second to x, in all
		sources = 500
		spacing = time.Second / rate
	)
	w := newWorld(t, schedule.Options{})
	down := false
	var sent []time.Time
	submitted := map[centrifuge.ID]time.Time{}
	var slowest time.Duration // of the other destination's jobs
	w.sent = func(q centrifuge.QueueKey, job centrifuge.ID) {
		if q.Destination == "x" {
			sent = append(sent, w.now)
			return
		}
		slowest = max(slowest, w.now.Sub(submitted[job]))
		delete(submitted, job)
	}
	delivered := 0
	w.gone = func(q centrifuge.QueueKey) {
		if q.Destination == "x" {
			delivered++
		}
	}
	w.endpoint = func(q centrifuge.QueueKey) (schedule.Feedback, bool) {
		if q.Destination == "x" && down && w.random.Float64() > 0.15 {
			return answer(schedule.Failed, 5*time.Millisecond)
		}
		return answer(schedule.Healthy, 50*time.Millisecond)
	}
	x := 0
	normal := func(d time.Duration) {
		for end := w.now.Add(d); w.now.Before(end); {
			w.submit(key(fmt.Sprint("s", x%sources), "x"), 1)
			if x++; x%10 == 0 {
				w.submit(key(fmt.Sprint("s", x%70), "y"), 1)
				submitted[id(w.made)] = w.now
			}
			w.run(spacing)
		}
	}
	normal(10 * time.Minute)
	before := len(sent)
	down = true
	outage := w.now
	normal(105 * time.Minute)
	during := len(sent) - before
	t.Logf("during the outage: %d requests, %.1f a second, delivered %d of %d", during, float64(during)/(105*60), delivered, x)
	if most := mostIn(sent, outage, time.Minute); most > rate*60 {
		t.Errorf("%d requests in one minute of the outage, want at most %d", most, rate*60)
	}
	down = false
	backlog, since := x-delivered, w.now
	for w.now.Sub(since) < time.Hour && x-delivered > 2*rate {
		normal(time.Second)
	}
	t.Logf("backlog of %d gone after %v", backlog, w.now.Sub(since))
	if x-delivered > 2*rate {
		t.Errorf("%d jobs undelivered an hour after the outage", x-delivered)
	}
	if slowest > 0 {
		t.Errorf("a job of the other destination waited %v, want none to wait", slowest)
	}
}

// mostIn is the largest number of moments in any window of the length that
// begins at or after from.
func mostIn(moments []time.Time, from time.Time, window time.Duration) (most int) {
	first := 0
	for i, at := range moments {
		if at.Before(from) {
			first = i + 1
			continue
		}
		for at.Sub(moments[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
