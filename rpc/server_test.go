package rpc

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// serve runs a server on a loopback port until the test ends and returns its
// address.
func serve(t *testing.T, o Options) string {
	t.Helper()
	address, stop := start(t, o)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return address
}

// start runs a server and returns its address and what ends it.
func start(t *testing.T, o Options) (address string, stop func() error) {
	t.Helper()
	if o.Backends == (Backends{}) {
		o.Backends = (&fake{}).backends()
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	server, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	return listener.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

// client is an HTTP client with connections of its own, which end with the test.
func client(t *testing.T) *http.Client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// do sends a request and returns the status, the header and the body.
func do(t *testing.T, c *http.Client, req *http.Request) (int, http.Header, string) {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(content)
}

func newRequest(t *testing.T, method, url string, body io.Reader, headers ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

// post sends JSON as curl would.
func post(t *testing.T, address, procedure, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	headers = append([]string{"Content-Type", "application/json"}, headers...)
	return do(t, client(t), newRequest(t, "POST", "http://"+address+procedure, strings.NewReader(body), headers...))
}

func get(t *testing.T, url string, headers ...string) (int, http.Header, string) {
	t.Helper()
	return do(t, client(t), newRequest(t, "GET", url, nil, headers...))
}

const submitPath = "/centrifuge.v1.JobService/Submit"

func TestNewServerChecksItsOptions(t *testing.T) {
	good := func() Options {
		return Options{
			Backends: (&fake{}).backends(),
			Ready:    func() error { return nil },
			Registry: prometheus.NewRegistry(),
		}
	}
	for name, spoil := range map[string]func(*Options){
		"a backend is missing":      func(o *Options) { o.Backends.Ledger = nil },
		"Ready is missing":          func(o *Options) { o.Ready = nil },
		"Registry is missing":       func(o *Options) { o.Registry = nil },
		"one of them is missing":    func(o *Options) { o.CertFile = "cert.pem" },
		"no such file or directory": func(o *Options) { o.CertFile, o.KeyFile = "nowhere.pem", "nowhere.key" },
	} {
		o := good()
		spoil(&o)
		if _, err := NewServer(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error with %q", err, name)
		}
	}
	o := good()
	if _, err := NewServer(o); err != nil {
		t.Fatal(err)
	}
	if _, err := NewServer(o); err == nil {
		t.Error("two servers registered the same metrics")
	}
}

func TestServeTellsAListenersFailure(t *testing.T) {
	server, err := NewServer(Options{
		Backends: (&fake{}).backends(),
		Ready:    func() error { return nil },
		Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := server.Serve(t.Context(), listener); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want that the listener is closed", err)
	}
}

func TestSlowHeaderIsCutOff(t *testing.T) {
	address := serve(t, Options{HeaderTimeout: 20 * time.Millisecond})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	// Ends only because the server hangs up.
	if answer, err := io.ReadAll(conn); err != nil || strings.Contains(string(answer), "200") {
		t.Errorf("got %q, %v, want the connection closed without a yes", answer, err)
	}
}

func TestSlowBodyIsCutOff(t *testing.T) {
	address := serve(t, Options{ReadTimeout: 20 * time.Millisecond})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST "+submitPath+" HTTP/1.1\r\nHost: localhost\r\n"+
		"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return // hung up at once, which is as good
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		t.Error("half a request was accepted")
	}
}

func TestLargeHeaderIsRefused(t *testing.T) {
	address := serve(t, Options{MaxHeaderBytes: 1000})
	resp, err := client(t).Do(newRequest(t, "GET", "http://"+address+"/healthz", nil, "X-Large", strings.Repeat("x", 10_000)))
	if err != nil {
		return // hung up before the answer was read, which is as good
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got status %d, want 431", resp.StatusCode)
	}
}

// pipes is a listener in memory. Connections wait in it until they are accepted.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.waiting:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func TestConnectionsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, clients = 3, 8
		server, err := NewServer(Options{
			Backends: (&fake{}).backends(), Ready: func() error { return nil }, Registry: prometheus.NewRegistry(),
			MaxConnections: limit,
		})
		if err != nil {
			t.Fatal(err)
		}
		listener := &pipes{waiting: make(chan net.Conn, clients), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(ctx, listener) }()

		var ours []net.Conn
		for range clients {
			near, far := net.Pipe()
			ours = append(ours, near)
			listener.waiting <- far
		}
		for hungUp := range clients - limit {
			synctest.Wait()
			if open := clients - hungUp - len(listener.waiting); open != limit {
				t.Errorf("%d connections are open, want %d", open, limit)
			}
			ours[hungUp].Close()
		}
		for _, conn := range ours {
			conn.Close()
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}
