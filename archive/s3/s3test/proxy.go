package s3test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"sync"
	"testing"
)

// Fault is what goes wrong with one request.
type Fault int

// The faults. Of those that are answered with an error nothing reaches the server.
const (
	None           Fault = iota
	Lost                 // the connection ends before the request got to the server
	Kept                 // the server does what it is asked; the connection ends instead of the answer
	SlowDown             // 503 SlowDown
	NotImplemented       // 501 NotImplemented
	NoSuchUpload         // 404 NoSuchUpload
	Truncated            // half of the answer's body, then the connection ends
	Stalled              // no answer until the client gives up
	Late                 // the connection ends, and the request goes on with DeliverLate
)

// Proxy stands before the server, on a free port of loopback. It passes requests
// on as they are, signatures and all.
type Proxy struct {
	address string
	dial    func(ctx context.Context, network, address string) (net.Conn, error)

	mu struct {
		sync.Mutex
		server   *http.Server
		decide   func(*http.Request) Fault
		requests []*http.Request
		late     []func() (status int)
	}
}

func newProxy(t *testing.T, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Proxy {
	t.Helper()
	p := &Proxy{address: "127.0.0.1:0", dial: dial}
	p.listen(t)
	t.Cleanup(p.close)
	return p
}

// URL is the endpoint of the store.
func (p *Proxy) URL() string { return "http://" + p.address }

// Fail has decide say what goes wrong with each request from now on; nil is
// nothing. It must be safe for concurrent use.
func (p *Proxy) Fail(decide func(*http.Request) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.decide = decide
}

// Requests returns those that came in since it was last called, without bodies.
func (p *Proxy) Requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	requests := slices.Clone(p.mu.requests)
	p.mu.requests = nil
	return requests
}

// DeliverLate passes on what was Late, in order, and returns the answers' statuses.
func (p *Proxy) DeliverLate() []int {
	p.mu.Lock()
	late := p.mu.late
	p.mu.late = nil
	p.mu.Unlock()
	statuses := make([]int, len(late))
	for i, deliver := range late {
		statuses[i] = deliver()
	}
	return statuses
}

// listen begins to serve, the second time at the address of the first.
func (p *Proxy) listen(t *testing.T) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	p.address = listener.Addr().String()
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "s3"
			r.Out.Host = r.In.Host // it is signed
		},
		Transport: &http.Transport{DialContext: p.dial, DisableKeepAlives: true},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	server := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, forward) }),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	p.mu.Lock()
	p.mu.server = server
	p.mu.Unlock()
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the proxy ended: %v", err)
		}
	}()
}

// close ends connections and has new ones refused.
func (p *Proxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.mu.server.Close()
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	p.mu.Lock()
	p.mu.requests = append(p.mu.requests, r.Clone(context.WithoutCancel(r.Context())))
	fault := None
	if p.mu.decide != nil {
		fault = p.mu.decide(r)
	}
	p.mu.Unlock()
	switch fault {
	case None:
		forward.ServeHTTP(w, r)
	case Lost:
		panic(http.ErrAbortHandler)
	case Kept:
		forward.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case SlowDown:
		refuse(w, http.StatusServiceUnavailable, "SlowDown")
	case NotImplemented:
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	case NoSuchUpload:
		refuse(w, http.StatusNotFound, "NoSuchUpload")
	case Truncated:
		answer := httptest.NewRecorder()
		forward.ServeHTTP(answer, r)
		body := answer.Body.Bytes()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case Stalled:
		_, _ = io.Copy(io.Discard, r.Body) // only then a client that leaves is noticed
		<-r.Context().Done()
	case Late:
		body, _ := io.ReadAll(r.Body)
		r = r.Clone(context.WithoutCancel(r.Context()))
		r.Body = io.NopCloser(bytes.NewReader(body))
		p.mu.Lock()
		p.mu.late = append(p.mu.late, func() int {
			answer := httptest.NewRecorder()
			forward.ServeHTTP(answer, r)
			return answer.Code
		})
		p.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>`+code+`</Code><Message>As the test says.</Message></Error>`)
}
