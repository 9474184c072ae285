package delivery

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"centrifuge"
)

func TestHTTP2(t *testing.T) {
	var peers sync.Map
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peers.Store(r.RemoteAddr, true)
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.ProtoMajor != 2:
			http.Error(w, r.Proto, http.StatusHTTPVersionNotSupported)
		case r.URL.Path == "/abort":
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/endless":
			w.WriteHeader(500)
			for _, err := w.Write([]byte("x")); err == nil; {
				_, err = w.Write(bytes.Repeat([]byte("x"), 1000))
			}
		default:
			w.WriteHeader(418)
			_, _ = w.Write(body)
		}
	}))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	c := newClient(t, Options{AllowNetworks: loopback(), RootCAs: roots})

	for range 5 {
		r := c.Deliver(t.Context(), post(srv.URL), 1)
		status(centrifuge.OutcomeDiscarded, 418).check(t, r)
		if r.Error != "hello" {
			t.Errorf("kept %q, want the body", r.Error)
		}
	}
	retry(centrifuge.ErrorConnReset, true).check(t, c.Deliver(t.Context(), post(srv.URL+"/abort"), 1))
	r := c.Deliver(t.Context(), post(srv.URL+"/endless"), 1)
	status(centrifuge.OutcomeRetry, 500).check(t, r)
	if len(r.Error) != maxKeptBody {
		t.Errorf("kept %d bytes", len(r.Error))
	}
	status(centrifuge.OutcomeDiscarded, 418).check(t, c.Deliver(t.Context(), post(srv.URL), 1))
	n := 0
	peers.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d connections, want 1 for all streams", n)
	}
}

// serveFrames speaks HTTP/2 by hand: after the first request it writes what
// respond writes for the stream.
func serveFrames(t *testing.T, respond func(*http2.Framer, uint32)) (endpoint string, roots *x509.CertPool) {
	t.Helper()
	// A server lends its certificate.
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	roots = x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	config := &tls.Config{Certificates: srv.TLS.Certificates, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
	endpoint = serveConn(t, func(raw net.Conn) {
		conn := tls.Server(raw, config)
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		framer := http2.NewFramer(conn, conn)
		_ = framer.WriteSettings()
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
				respond(framer, data.StreamID)
				_ = conn.CloseWrite()
				untilClosed(raw)
				return
			}
		}
	})
	return strings.Replace(endpoint, "http:", "https:", 1), roots
}

func TestHTTP2Failures(t *testing.T) {
	headers := func(pairs ...string) func(*http2.Framer, uint32) {
		return func(f *http2.Framer, stream uint32) {
			var block bytes.Buffer
			e := hpack.NewEncoder(&block)
			for i := 0; i < len(pairs); i += 2 {
				_ = e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
			}
			_ = f.WriteHeaders(http2.HeadersFrameParam{
				StreamID: stream, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true,
			})
		}
	}
	reset := retry(centrifuge.ErrorConnReset, true)
	malformed := discard(centrifuge.ErrorBadResponse, true)
	for name, test := range map[string]struct {
		respond func(*http2.Framer, uint32)
		want    want
	}{
		"going away": {func(f *http2.Framer, id uint32) { _ = f.WriteGoAway(id, http2.ErrCodeInternal, nil) }, reset},
		"stream reset": {func(f *http2.Framer, id uint32) {
			_ = f.WriteRSTStream(id, http2.ErrCodeInternal)
		}, reset},
		"closed":            {func(*http2.Framer, uint32) {}, reset},
		"status":            {headers(":status", "204"), status(centrifuge.OutcomeSucceeded, 204)},
		"odd status":        {headers(":status", "1"), status(centrifuge.OutcomeDiscarded, 1)},
		"status of words":   {headers(":status", "fine"), malformed},
		"no status":         {headers("a", "b"), malformed},
		"upper case header": {headers(":status", "200", "X-UPPER", "b"), malformed},
		"endless header":    {headers(":status", "200", "a", strings.Repeat("\xff", maxResponseHeader)), malformed},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint, roots := serveFrames(t, test.respond)
			c := newClient(t, Options{AllowNetworks: loopback(), RootCAs: roots})
			test.want.check(t, c.Deliver(t.Context(), post(endpoint), 1))
		})
	}
}
