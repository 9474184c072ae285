package web

import (
	"fmt"
	"html"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"centrifuge"
	"centrifuge/schedule"
	"centrifuge/visibility"
)

var tags = regexp.MustCompile(`<[^>]*>`)

func TestFigures(t *testing.T) {
	plain := func(v any) string { return html.UnescapeString(tags.ReplaceAllString(fmt.Sprint(v), " ")) }
	for _, test := range []struct{ got, want string }{
		{count(0), "0"},
		{count(999), "999"},
		{count(-1234567), "-1,234,567"},
		{count(int64(1000)), "1,000"},
		{plain(rate(0)), "0 /s "},
		{plain(rate(0.004)), "<0.01 /s "},
		{plain(rate(12.34)), "12.3 /s "},
		{plain(rate(1234.5)), "1,235 /s "},
		{plain(percent(0)), "0 % "},
		{plain(percent(0.0001)), "<0.1 % "},
		{plain(percent(0.99996)), ">99.9 % "},
		{plain(percent(0.5)), "50.0 % "},
		{plain(percent(1)), "100 % "},
		{plain(duration(0)), "0 ms "},
		{plain(duration(340 * time.Microsecond)), "0.34 ms "},
		{plain(duration(1530 * time.Millisecond)), "1.53 s "},
		{plain(duration(90 * time.Second)), "1 min 30 s"},
		{long(26 * time.Hour), "1 d 2 h"},
		{long(time.Hour), "1 h"},
		{plain(size(0)), "0 B "},
		{plain(size(1536)), "1.54 KB "},
		{plain(size(int64(5e12))), "5 TB "},
		{plural(1, "job"), "1 job"},
		{plural(2000, "query"), "2,000 queries"},
		{since(noon.Add(time.Hour), noon), "0 s"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

func TestHealthAndDrain(t *testing.T) {
	open := &schedule.Gate{Breaker: schedule.Open}
	for _, test := range []struct {
		name   string
		live   live
		counts visibility.Counts
		health string
		drain  string
	}{
		{"nothing", live{}, visibility.Counts{}, "Idle", ""},
		{"all is well", live{Queues: 1, Pending: 60}, visibility.Counts{Accepted: 600, Succeeded: 600, FirstAttempt: 600}, "Healthy", "1 min"},
		{"catching up", live{Queues: 1, Pending: 600}, visibility.Counts{Accepted: 600, Succeeded: 1200, FirstAttempt: 1200}, "Healthy", "10 min"},
		{"falling behind", live{Queues: 1, Pending: 600}, visibility.Counts{Accepted: 1200, Succeeded: 600, FirstAttempt: 600}, "Healthy", "growing"},
		{"some retries", live{Queues: 1}, visibility.Counts{Succeeded: 90, Retried: 10, FirstAttempt: 80}, "Degraded", ""},
		{"mostly failing", live{Queues: 1}, visibility.Counts{Succeeded: 10, Retried: 90, FirstAttempt: 10}, "Failing", ""},
		{"an open breaker", live{Queues: 1, Pending: 5, Gate: open}, visibility.Counts{Succeeded: 10, FirstAttempt: 10}, "Held back", "held"},
		{"its destination's", live{Queues: 1, Pending: 5, Gate: &schedule.Gate{}, Above: open}, visibility.Counts{}, "Held back", "held"},
		{"all queues held", live{Queues: 2, Open: 2, Pending: 5}, visibility.Counts{}, "Held back", "held"},
		{"one queue held", live{Queues: 2, Open: 1, Pending: 5}, visibility.Counts{}, "Degraded", ""},
		{"paused", live{Queues: 1, Paused: 1, Pending: 5, Gate: open}, visibility.Counts{}, "Paused", "paused"},
	} {
		if got := healthOf(&test.live, &test.counts).Word; got != test.health {
			t.Errorf("%s: the health is %s, want %s", test.name, got, test.health)
		}
		d := drainOf(&test.live, &test.counts)
		got := d.Kind
		if got == "drains" {
			got = long(d.In)
		}
		if got != test.drain {
			t.Errorf("%s: the drain is %q, want %q", test.name, got, test.drain)
		}
	}
}

// A shell takes the words of the command as they were given.
func TestCurlIsQuoted(t *testing.T) {
	for _, text := range []string{"", "plain", "O'Hara", `$(touch /tmp/x) ` + "`id`" + ` "$HOME" \ ! * '' ' \'`, "line\nbreak\t;&|<>", "@/etc/passwd", "üñ🙂"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quoted(text)).Output()
		if err != nil || string(out) != text {
			t.Errorf("%q became %q (%v)", text, out, err)
		}
	}
	job := &centrifuge.Job{Endpoint: "http://e.example/[a]", Payload: []byte("@/etc/passwd")}
	if got := curl(job, false); !strings.Contains(got, "--data-raw '@/etc/passwd'") || !strings.Contains(got, "-X 'POST'") || !strings.Contains(got, " -g ") {
		t.Errorf("got %s", got)
	}
}

func TestPreview(t *testing.T) {
	for name, test := range map[string]struct {
		payload     []byte
		cut, binary bool
	}{
		"none":            {nil, false, false},
		"text":            {[]byte("hello"), false, false},
		"bytes":           {[]byte{0xff, 0xfe, 1}, false, true},
		"a zero byte":     {[]byte("a\x00b"), false, true},
		"long":            {[]byte(strings.Repeat("a", shownPayload+1)), true, false},
		"cut in a letter": {[]byte(strings.Repeat("a", shownPayload-1) + "üüü"), true, false},
		"cut in an emoji": {[]byte(strings.Repeat("a", shownPayload-2) + "🙂🙂"), true, false},
		"long bytes":      {[]byte(strings.Repeat("\xff", 2*shownPayload)), true, true},
	} {
		text, cut, binary := preview(test.payload)
		if cut != test.cut || binary != test.binary || !utf8.ValidString(text) || len(text) > shownPayload {
			t.Errorf("%s: got %d bytes, cut %v, binary %v", name, len(text), cut, binary)
		}
	}
}

func TestStepsOfAJob(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	steps := stepsOf([]centrifuge.Transition{
		{State: centrifuge.StateAwaitingScheduling, Time: at(0)},
		{State: centrifuge.StateExecuting, Attempt: 1, Time: at(1)},
		{State: centrifuge.StateAwaitingRetry, Attempt: 1, Time: at(2), StatusCode: 503, Error: "busy", Duration: time.Second, RetryAt: at(7)},
		{State: centrifuge.StateExecuting, Attempt: 2, Time: at(7)},
		{State: centrifuge.StateDiscarded, Attempt: 2, Time: at(8), ErrorCode: centrifuge.ErrorForbiddenAddress},
	})
	var got []string
	for _, s := range steps {
		line := s.Class + ":" + s.Title
		if s.Code != nil {
			line += ":" + s.Code.Text
		}
		got = append(got, line)
	}
	want := ":Accepted warn:Attempt 1 failed for now:503 bad:Attempt 2 was refused for good:EFORBIDDEN"
	if strings.Join(got, " ") != want || steps[1].Body != "busy" || steps[1].Wait != 5*time.Second {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDrawingsHoldAnyNumbers(t *testing.T) {
	for _, values := range [][]int64{nil, {0}, {5}, {0, 0, 0}, {1, 1 << 60, 3}} {
		if got := string(spark(values)); strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
			t.Errorf("%v: %s", values, got)
		}
	}
	for _, got := range []string{string(mix("mix", []share{{"a", "b", 0}})), string(bar("x", 5, 0))} {
		if strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
			t.Error(got)
		}
	}
}
