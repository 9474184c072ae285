package main

import (
	"strings"
	"testing"
	"time"
)

// small is the incident at a scale that takes seconds.
func small() scenario {
	s := incident()
	s.Directors, s.Rate, s.Others, s.Queues = 1, 40, 60, 2000
	s.Before, s.Outage, s.After = 2*time.Minute, 15*time.Minute, time.Hour
	return s
}

// The endpoint gets no more than its normal rate, nothing is lost, the drain takes
// little more than it must, and the others do not notice.
func TestOutage(t *testing.T) {
	s := small()
	results := simulate(s)
	calm := &results[0]
	for i := range results {
		r := &results[i]
		t.Run(r.name, func(t *testing.T) {
			for whose, tally := range map[string]tally{"the endpoint": r.endings, "the others": r.rest} {
				if tally.Submitted == 0 || tally.Delivered != tally.Submitted || tally.Archived != 0 || tally.Twice != 0 {
					t.Errorf("jobs of %s: %+v, want all delivered, once", whose, tally)
				}
			}
			if got, most := r.others.quantile(0.999), calm.others.quantile(0.999)+50*time.Millisecond; got > most {
				t.Errorf("p99.9 of the others' waits is %v, want at most %v", got, most)
			}
			if r.kind == none {
				return
			}
			if during := r.over(s.Before, s.recovered()); during.peak > 1 || during.sent == 0 {
				t.Errorf("requests during the outage: %.3f of the normal rate, %.3f in the worst minute, want some and at most 1", during.sent, during.peak)
			}
			if r.backlog < int(r.rate*s.Outage.Seconds()/2) {
				t.Errorf("only %d jobs waited when the outage was over", r.backlog)
			}
			if most := r.bound()*5/4 + time.Minute; r.drained == 0 || r.drained > most {
				t.Errorf("the backlog of %d was delivered after %v, want at most %v", r.backlog, r.drained, most)
			}
			if after := r.over(s.recovered(), s.recovered()+s.After); after.peak > 1.2*r.capacity {
				t.Errorf("%.2f of the normal rate in the worst minute of the drain, want little more than the %.2f that the endpoint takes", after.peak, r.capacity)
			}
		})
	}
}

// What is printed for the documentation shows every run and the course of the outage.
func TestPage(t *testing.T) {
	var page strings.Builder
	if err := run([]string{"-directors", "8000", "-others", "40000", "-queues", "500", "-outage", "5m"}, &page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| no outage | 15 % at random | overload |", "1/8000 of each rate", "< the outage begins", "< it is over", "| jobs lost | 0 | **0** | **0** | **0** | **0** |",
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, &page)
		}
	}
	if strings.Contains(page.String(), "%!") {
		t.Errorf("a line is formatted wrongly:\n%s", &page)
	}
	if err := run([]string{"-no-such-flag"}, &page); err == nil {
		t.Error("an unknown flag is accepted")
	}
}

func TestQuantiles(t *testing.T) {
	var w waits
	for i := range 10_000 {
		w.add(time.Duration(i+1) * 100 * time.Microsecond) // 0.1 ms to 1 s
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := w.quantile(q); got < want || got > want*107/100 {
			t.Errorf("quantile %v: got %v, want %v or up to 7 %% more", q, got, want)
		}
	}
	var none waits
	none.add(0)
	if got := none.quantile(0.5); got != 0 {
		t.Errorf("quantile of no wait at all: got %v, want 0", got)
	}
}
