package visibility_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/visibility"
)

// Of each queue and code the latest few attempts are kept, one in a while, over
// restarts and days; a queue that fails all the time does not crowd out others.
func TestSamplesKept(t *testing.T) { onEach(t, testSamplesKept) }

func testSamplesKept(t *testing.T, at place) {
	b := newBench(t, at, start)
	queue := centrifuge.QueueKey{Source: "s", Destination: "d"}
	attempt := func(status int, body string) {
		b.Sample(&centrifuge.Job{Source: queue.Source, Destination: queue.Destination, Endpoint: "http://e/"}, 1,
			delivery.Result{StatusCode: status, Error: body, Duration: time.Second}, http.Header{"X-A": {"1", "2"}})
	}
	samples := func(code *visibility.Code) (bodies string) {
		t.Helper()
		got, err := b.store.Samples(t.Context(), queue, code)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range got {
			bodies += s.Body + " "
			if i > 0 && s.Time.After(got[i-1].Time) {
				t.Error("they are not in order")
			}
		}
		return strings.TrimSpace(bodies)
	}
	for i := range 8 {
		attempt(500, fmt.Sprint("a", i))
		attempt(500, "too soon")
		b.now = b.now.Add(20 * time.Second)
	}
	attempt(404, "b")
	b.flush()
	five := &visibility.Code{Status: 500}
	if got := samples(five); got != "a7 a6 a5 a4 a3" {
		t.Errorf("got %q", got)
	}
	if got := samples(nil); got != "b a7 a6 a5 a4 a3" {
		t.Errorf("got %q", got)
	}
	if got := samples(&visibility.Code{Status: 404}); got != "b" {
		t.Errorf("got %q", got)
	}
	b.now = b.now.Add(24 * time.Hour)
	attempt(500, "c")
	b.flush()
	b.close()
	b.open()
	if got := samples(five); got != "c a7 a6 a5 a4" {
		t.Errorf("the next day: got %q", got)
	}
	queue.Destination = "unknown"
	if got := samples(nil); got != "" {
		t.Errorf("of a queue that is not there: %q", got)
	}
}

// However much there is to be sampled, memory and disk are bounded, and names like
// secrets are redacted wherever they are.
func TestSamplesAreBounded(t *testing.T) { onEach(t, testSamplesAreBounded) }

func testSamplesAreBounded(t *testing.T, at place) {
	b := newBench(t, at, start)
	for i := range 3000 {
		job := &centrifuge.Job{Source: fmt.Sprint("s", i), Destination: "d", Endpoint: "http://user:hidden@e/?" + strings.Repeat("a=b&", 5000) + "Secret=hidden"}
		for range 100 {
			job.Headers = append(job.Headers, centrifuge.Header{Name: "X-Long", Value: strings.Repeat("x\x1b[31m\xff", 100)})
		}
		b.Sample(job, 1, delivery.Result{StatusCode: 500, Error: strings.Repeat("é", 5000)}, http.Header{"Set-Cookie": {"hidden"}})
	}
	b.flush()
	kept := 0
	for i := range 3000 {
		got, err := b.store.Samples(t.Context(), centrifuge.QueueKey{Source: fmt.Sprint("s", i), Destination: "d"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		kept += len(got)
		for _, s := range got {
			text := fmt.Sprintf("%+v", s)
			if len(text) > 16<<10 || strings.Contains(text, "hidden") || strings.ContainsAny(text, "\x1b") || !strings.Contains(text, "é") {
				t.Fatalf("%d bytes: %.300s", len(text), text)
			}
		}
	}
	if kept == 0 || kept > 1000 {
		t.Errorf("%d samples were kept", kept)
	}
}
