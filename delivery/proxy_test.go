package delivery

import (
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"centrifuge"
)

// serveProxy is an HTTP proxy that connects everything to target.
func serveProxy(t *testing.T, target string) *url.URL {
	t.Helper()
	endpoint := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			_, _ = io.WriteString(w, "proxied "+r.RequestURI)
			return
		}
		upstream, err := net.Dial("tcp", target)
		if err != nil {
			t.Error(err)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(upstream, conn); _ = upstream.Close() }()
		_, _ = io.Copy(conn, upstream)
		_ = conn.Close()
	})
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestProxy(t *testing.T) {
	var arrived atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	// No network is allowed: the proxy is on this machine nevertheless.
	c := newClient(t, Options{Proxy: serveProxy(t, srv.Listener.Addr().String()), RootCAs: roots})

	for range 3 {
		status(centrifuge.OutcomeSucceeded, 200).check(t, c.Deliver(t.Context(), post("http://example.com/a"), 1))
		status(centrifuge.OutcomeSucceeded, 200).check(t, c.Deliver(t.Context(), post("https://example.com/a"), 1))
	}
	if arrived.Load() != 3 {
		t.Errorf("%d requests came through the tunnel, want 3", arrived.Load())
	}
	retry(centrifuge.ErrorTLS, false).check(t, c.Deliver(t.Context(), post("https://wrong.test/"), 1))
	for _, endpoint := range []string{
		"http://127.0.0.1/", "https://10.0.0.1/", "http://[::ffff:169.254.169.254]/", "http://localhost/", "http://a.LocalHost./",
	} {
		discard(centrifuge.ErrorForbiddenAddress, false).check(t, c.Deliver(t.Context(), post(endpoint), 1))
	}
}

// serveSocks is a SOCKS5 proxy that connects everything to target and tells
// which name was asked for.
func serveSocks(t *testing.T, target string, asked chan<- string) *url.URL {
	t.Helper()
	endpoint := serveConn(t, func(conn net.Conn) {
		greeting, request := make([]byte, 3), make([]byte, 5)
		if _, err := io.ReadFull(conn, greeting); err != nil {
			return
		}
		_, _ = conn.Write([]byte{5, 0})
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		name := make([]byte, request[4]+2) // and the port
		if _, err := io.ReadFull(conn, name); err != nil {
			return
		}
		asked <- string(name[:request[4]])
		_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		upstream, err := net.Dial("tcp", target)
		if err != nil {
			t.Error(err)
			return
		}
		go func() { _, _ = io.Copy(upstream, conn); _ = upstream.Close() }()
		_, _ = io.Copy(conn, upstream)
	})
	u, err := url.Parse(strings.Replace(endpoint, "http:", "socks5:", 1))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestSocksProxy(t *testing.T) {
	asked := make(chan string, 1)
	target := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := newClient(t, Options{Proxy: serveSocks(t, strings.TrimPrefix(target, "http://"), asked)})
	status(centrifuge.OutcomeSucceeded, 200).check(t, c.Deliver(t.Context(), post("http://example.com/"), 1))
	if name := <-asked; name != "example.com" {
		t.Errorf("the proxy was asked for %q, want the name unresolved", name)
	}
}

func TestProxyRefuses(t *testing.T) {
	for name, code := range map[string]int{"credentials": http.StatusProxyAuthRequired, "policy": http.StatusForbidden} {
		t.Run(name, func(t *testing.T) {
			u, _ := url.Parse(serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
			c := newClient(t, Options{Proxy: u})
			retry(centrifuge.ErrorNetwork, false).check(t, c.Deliver(t.Context(), post("https://example.com"), 1))
			if code == http.StatusProxyAuthRequired {
				retry(centrifuge.ErrorNetwork, false).check(t, c.Deliver(t.Context(), post("http://example.com"), 1))
			}
		})
	}
}

func TestProxyIsSilent(t *testing.T) {
	u, _ := url.Parse(serveConn(t, untilClosed))
	for _, scheme := range []string{"http", "https", "socks5"} {
		proxy := *u
		proxy.Scheme = scheme
		c := newClient(t, Options{Proxy: &proxy})
		retry(centrifuge.ErrorTimedOut, false).check(t, c.Deliver(t.Context(), hopeless("https://example.com"), 1))
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"proxy scheme": {Proxy: &url.URL{Scheme: "gopher", Host: "example.com"}},
		"proxy host":   {Proxy: &url.URL{Scheme: "http"}},
		"user agent":   {UserAgent: "a\nb"},
		"negative":     {MaxIdle: -1},
	} {
		if _, err := New(o); err == nil || !strings.HasPrefix(err.Error(), "make delivery client: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
