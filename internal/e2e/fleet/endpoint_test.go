package fleet

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// latency is how long the endpoint takes for an answer, so that who makes at most
// so many attempts at once makes at most so many a second.
const latency = 100 * time.Millisecond

// endpoint takes what is delivered and remembers how often. Under /refused it
// takes nothing.
type endpoint struct {
	url string

	mu struct {
		sync.Mutex
		delivered map[string]int // by job
		repeated  int            // deliveries of jobs that had been delivered
		last      time.Time      // an attempt came
	}
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{url: "http://" + listener.Addr().String()}
	e.mu.delivered = make(map[string]int)
	server := &http.Server{Handler: e} //nolint:gosec // no stranger comes here
	served := make(chan struct{})
	go func() {
		_ = server.Serve(listener) // until Close
		close(served)
	}()
	t.Cleanup(func() {
		_ = server.Close() // drops what hangs
		<-served
	})
	return e
}

// ServeHTTP implements [http.Handler]. What it has taken counts, whether the
// sender still hears so or not.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	e.mu.Lock()
	e.mu.last = time.Now()
	e.mu.Unlock()
	timer := time.NewTimer(latency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-req.Context().Done(): // nobody waits, and nothing was taken
		return
	}
	if strings.HasPrefix(req.URL.Path, "/refused") {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	id := req.Header.Get("Idempotency-Key")
	if e.mu.delivered[id]++; e.mu.delivered[id] > 1 {
		e.mu.repeated++
	}
}

// counts are the jobs that were delivered, and the deliveries that were one too many.
func (e *endpoint) counts() (jobs, repeated int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.mu.delivered), e.mu.repeated
}

func (e *endpoint) has(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mu.delivered[id] > 0
}

// lastAttempt is when an attempt came last.
func (e *endpoint) lastAttempt() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mu.last
}
