package delivery

import (
	"net/http"
	"testing"

	"centrifuge"
)

// Whoever observes is told of every attempt's end: answered, not answered, and
// refused before anything was sent.
func TestObserve(t *testing.T) {
	type seen struct {
		job    *centrifuge.Job
		number uint32
		result Result
		header http.Header
	}
	var last *seen
	c := newClient(t, Options{AllowNetworks: loopback(), Observe: func(job *centrifuge.Job, number uint32, r Result, h http.Header) {
		last = &seen{job, number, r, h}
	}})
	answering := post(serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Why", "teapot")
		w.WriteHeader(http.StatusTeapot)
	}))
	for _, tt := range []struct {
		name   string
		job    *centrifuge.Job
		header string
	}{
		{"answered", answering, "teapot"},
		{"not answered", post("http://127.0.0.1:1/"), ""},
		{"refused", post("ftp://127.0.0.1/"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			last = nil
			got := c.Deliver(t.Context(), tt.job, 3)
			if last == nil || last.job != tt.job || last.number != 3 || last.result != got {
				t.Fatalf("observed %+v of %+v", last, got)
			}
			if h := last.header.Get("X-Why"); h != tt.header {
				t.Errorf("header %q, want %q", h, tt.header)
			}
		})
	}
}
