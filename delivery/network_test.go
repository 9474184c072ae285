package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"centrifuge"
)

func TestRefusedPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := "http://" + l.Addr().String()
	_ = l.Close()
	retry(centrifuge.ErrorConnRefused, false).check(t, local(t).Deliver(t.Context(), post(endpoint), 1))
}

// Errors that a test cannot provoke on one machine are put into the dialler.
func TestDialErrors(t *testing.T) {
	errno := func(e syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", e)}
	}
	for name, test := range map[string]struct {
		err  error
		code centrifuge.ErrorCode
	}{
		"no such host":     {&net.DNSError{Err: "no such host", IsNotFound: true}, centrifuge.ErrorNotFound},
		"name server busy": {&net.DNSError{Err: "server misbehaving", IsTemporary: true}, centrifuge.ErrorTryAgain},
		"name server slow": {&net.DNSError{Err: "i/o timeout", IsTimeout: true}, centrifuge.ErrorTryAgain},
		"refused":          {errno(syscall.ECONNREFUSED), centrifuge.ErrorConnRefused},
		"reset":            {errno(syscall.ECONNRESET), centrifuge.ErrorConnReset},
		"broken pipe":      {errno(syscall.EPIPE), centrifuge.ErrorConnReset},
		"aborted":          {errno(syscall.ECONNABORTED), centrifuge.ErrorConnAborted},
		"no route to host": {errno(syscall.EHOSTUNREACH), centrifuge.ErrorHostUnreachable},
		"no network":       {errno(syscall.ENETUNREACH), centrifuge.ErrorNetUnreachable},
		"kernel timeout":   {errno(syscall.ETIMEDOUT), centrifuge.ErrorTimedOut},
		"dial timeout":     {&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, centrifuge.ErrorTimedOut},
		"out of ports":     {errno(syscall.EADDRNOTAVAIL), centrifuge.ErrorNetwork},
		"out of files":     {errno(syscall.EMFILE), centrifuge.ErrorNetwork},
		"anything else":    {errors.New("the moon is in the wrong house"), centrifuge.ErrorNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, Options{DialContext: func(context.Context, string, string) (net.Conn, error) {
				return nil, fmt.Errorf("wrapped: %w", test.err)
			}})
			retry(test.code, false).check(t, c.Deliver(t.Context(), post("http://example.com"), 1))
		})
	}
}

// serveNames is a name server that answers every question with respond, or not
// at all if that returns nothing.
func serveNames(t *testing.T, respond func(dnsmessage.Question, *dnsmessage.Message)) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || respond == nil {
				continue
			}
			m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
			respond(m.Questions[0], &m)
			if packed, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(packed, from)
			}
		}
	}()
	t.Cleanup(func() { _ = pc.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// addresses answers questions for IPv4 addresses.
func addresses(ips ...string) func(dnsmessage.Question, *dnsmessage.Message) {
	return func(q dnsmessage.Question, m *dnsmessage.Message) {
		for _, ip := range ips {
			if q.Type == dnsmessage.TypeA {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(ip).As4()},
				})
			}
		}
	}
}

func rcode(code dnsmessage.RCode) func(dnsmessage.Question, *dnsmessage.Message) {
	return func(_ dnsmessage.Question, m *dnsmessage.Message) { m.RCode = code }
}

func TestNames(t *testing.T) {
	endpoint := serve(t, func(http.ResponseWriter, *http.Request) {})
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	named := "http://hooks.example.test.:" + u.Port()
	only := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	for name, test := range map[string]struct {
		respond func(dnsmessage.Question, *dnsmessage.Message)
		allow   []netip.Prefix
		want    want
	}{
		"not found":              {rcode(dnsmessage.RCodeNameError), nil, retry(centrifuge.ErrorNotFound, false)},
		"no addresses":           {addresses(), nil, retry(centrifuge.ErrorNotFound, false)},
		"server failed":          {rcode(dnsmessage.RCodeServerFailure), nil, retry(centrifuge.ErrorTryAgain, false)},
		"resolves to loopback":   {addresses("127.0.0.1"), nil, discard(centrifuge.ErrorForbiddenAddress, false)},
		"resolves to metadata":   {addresses("169.254.169.254"), nil, discard(centrifuge.ErrorForbiddenAddress, false)},
		"resolves to an allowed": {addresses("127.0.0.1"), only, status(centrifuge.OutcomeSucceeded, 200)},
		"one of two allowed":     {addresses("10.0.0.1", "127.0.0.1"), only, status(centrifuge.OutcomeSucceeded, 200)},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, Options{AllowNetworks: test.allow, Resolver: serveNames(t, test.respond)})
			test.want.check(t, c.Deliver(t.Context(), post(named), 1))
		})
	}
}

func TestNameServerIsSilent(t *testing.T) {
	c := newClient(t, Options{Resolver: serveNames(t, nil)})
	retry(centrifuge.ErrorTryAgain, false).check(t, c.Deliver(t.Context(), hopeless("http://example.test."), 1))
}

// An allowed address that refuses for now must not be mistaken for a job that
// can never be delivered, only because the name has a forbidden address, too.
func TestForbiddenBesideFailing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	c := newClient(t, Options{
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Resolver:      serveNames(t, addresses("127.0.0.2", "127.0.0.1")),
	})
	r := c.Deliver(t.Context(), post("http://example.test.:"+port), 1)
	retry(r.ErrorCode, false).check(t, r)
}

func serveTLS(t *testing.T, change func(*tls.Config)) (endpoint string, roots *x509.CertPool, addr string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.TLS = &tls.Config{MinVersion: tls.VersionTLS10}
	if change != nil {
		change(srv.TLS)
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots = x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return srv.URL, roots, srv.Listener.Addr().String()
}

// net/http finds out that an endpoint speaks no HTTP/2; the requests after are made
// without it, as well guarded.
func TestTLSWithoutHTTP2(t *testing.T) {
	var peers sync.Map
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peers.Store(r.RemoteAddr, true)
		_, _ = io.Copy(w, r.Body)
	}))
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	c := newClient(t, Options{AllowNetworks: loopback(), RootCAs: roots})
	for range 5 {
		status(centrifuge.OutcomeSucceeded, 200).check(t, c.Deliver(t.Context(), post(srv.URL), 1))
	}
	n := 0
	peers.Range(func(any, any) bool { n++; return true })
	if n != 2 {
		t.Errorf("%d connections, want one of net/http and one of our own", n)
	}
	known, err := c.targets.get(srv.URL)
	if err != nil || !known.direct() {
		t.Errorf("it was not noticed, %v", err)
	}
	strict := newClient(t, Options{RootCAs: roots})
	known, err = strict.targets.get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	known.onlyHTTP1.Store(true)
	discard(centrifuge.ErrorForbiddenAddress, false).check(t, strict.Deliver(t.Context(), post(srv.URL), 1))
	untrusting := newClient(t, Options{AllowNetworks: loopback()})
	known, err = untrusting.targets.get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	known.onlyHTTP1.Store(true)
	retry(centrifuge.ErrorTLS, false).check(t, untrusting.Deliver(t.Context(), post(srv.URL), 1))
}

func TestTLS(t *testing.T) {
	failed := retry(centrifuge.ErrorTLS, false)

	t.Run("custom authority", func(t *testing.T) {
		endpoint, roots, _ := serveTLS(t, nil)
		c := newClient(t, Options{AllowNetworks: loopback(), RootCAs: roots})
		status(centrifuge.OutcomeSucceeded, 200).check(t, c.Deliver(t.Context(), post(endpoint), 1))
	})
	t.Run("unknown authority", func(t *testing.T) {
		endpoint, _, _ := serveTLS(t, nil)
		failed.check(t, local(t).Deliver(t.Context(), post(endpoint), 1))
	})
	t.Run("name", func(t *testing.T) {
		_, roots, addr := serveTLS(t, nil)
		c := newClient(t, Options{RootCAs: roots, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		}})
		status(centrifuge.OutcomeSucceeded, 200).check(t, c.Deliver(t.Context(), post("https://example.com"), 1))
		failed.check(t, c.Deliver(t.Context(), post("https://wrong.test"), 1))
	})
	t.Run("old version", func(t *testing.T) {
		endpoint, roots, _ := serveTLS(t, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 })
		c := newClient(t, Options{AllowNetworks: loopback(), RootCAs: roots})
		failed.check(t, c.Deliver(t.Context(), post(endpoint), 1))
	})
	t.Run("client certificate wanted", func(t *testing.T) {
		endpoint, roots, _ := serveTLS(t, func(c *tls.Config) {
			c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
		})
		c := newClient(t, Options{AllowNetworks: loopback(), RootCAs: roots})
		failed.check(t, c.Deliver(t.Context(), post(endpoint), 1))
	})
	t.Run("not TLS", func(t *testing.T) {
		endpoint := serveConn(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); untilClosed(c) })
		failed.check(t, local(t).Deliver(t.Context(), post(strings.Replace(endpoint, "http:", "https:", 1)), 1))
	})
	t.Run("closed in the handshake", func(t *testing.T) {
		endpoint := serveConn(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)); _ = c.(*net.TCPConn).SetLinger(0) })
		r := local(t).Deliver(t.Context(), post(strings.Replace(endpoint, "http:", "https:", 1)), 1)
		retry(centrifuge.ErrorConnReset, false).check(t, r)
	})
}
