package e2e

import (
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"centrifuge/sink"
)

// receiver is a sink that serves on loopback until the test ends.
type receiver struct {
	*sink.Sink
	url   string
	conns atomic.Int64 // open connections

	// answered, if set, hears of each answer when it is written whole; the answers
	// of such a receiver have no bodies. It must be set before the first request.
	answered func(req *http.Request, status int)
}

func newReceiver(t *testing.T, seed uint64, routes ...string) *receiver {
	t.Helper()
	o := sink.Options{Seed: seed}
	for _, spec := range routes {
		route, err := sink.ParseRoute(spec)
		if err != nil {
			t.Fatal(err)
		}
		o.Routes = append(o.Routes, route)
	}
	s, err := sink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{Sink: s}
	r.serve(t, r)
	return r
}

// newReceiverOf is a receiver that answers as the handler does, and counts nothing.
func newReceiverOf(t *testing.T, h http.Handler) *receiver {
	t.Helper()
	r := &receiver{}
	r.serve(t, h)
	return r
}

func (r *receiver) serve(t *testing.T, h http.Handler) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + listener.Addr().String()
	server := &http.Server{Handler: h, ConnState: r.count} //nolint:gosec // no stranger comes here
	served := make(chan struct{})
	go func() {
		_ = server.Serve(listener) // until Close
		close(served)
	}()
	t.Cleanup(func() {
		_ = server.Close() // drops what hangs
		<-served
	})
}

func (r *receiver) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		r.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		r.conns.Add(-1)
	default:
	}
}

// ServeHTTP implements [http.Handler].
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.answered == nil {
		r.Sink.ServeHTTP(w, req)
		return
	}
	w.Header().Set("Content-Length", "0")
	watched := &watchedWriter{ResponseWriter: w, status: http.StatusOK}
	r.Sink.ServeHTTP(watched, req)
	if err := http.NewResponseController(w).Flush(); err == nil {
		r.answered(req, watched.status)
	}
}

// watchedWriter remembers the status that is written.
type watchedWriter struct {
	http.ResponseWriter
	status int
}

func (w *watchedWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// awaitQuiet waits until every request of a Director that is dead has ended, so
// that the counts are final. Connections that were made and not accepted yet are
// accepted before its own.
func (r *receiver) awaitQuiet(s *scene) {
	s.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, r.url+"/_sink/stats", nil)
	if err != nil {
		s.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		s.Fatal(err)
	}
	resp.Body.Close()
	for r.conns.Load() > 0 {
		s.pause()
	}
}
