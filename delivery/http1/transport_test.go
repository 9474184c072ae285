package http1

import (
	"bufio"
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
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func newTransport(t *testing.T) *Transport {
	t.Helper()
	var d net.Dialer
	tr := &Transport{Dial: d.DialContext, MaxHeader: 4 << 10, MaxIdle: 10, MaxIdlePerHost: 4, IdleTimeout: time.Minute}
	t.Cleanup(tr.Close)
	return tr
}

func get(address, path string) Exchange {
	return Exchange{
		Host: Host{Address: address}, Method: http.MethodGet, Deadline: time.Now().Add(time.Minute),
		Request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path),
	}
}

// text makes an exchange and reads the body to its end.
func text(t *testing.T, tr *Transport, x Exchange) (int, string) {
	t.Helper()
	resp, err := tr.RoundTrip(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// peer listens and hands each connection, with its number, to serve, which need not
// close it.
func peer(t *testing.T, serve func(n int, c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		conns []net.Conn
	)
	wg.Go(func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(n, c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

func readRequest(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

// Each answer tells which connection it came on.
func TestConnectionsAreKeptOnlyWhenNothingIsLeftToCome(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		kept   bool
	}{
		"length":            {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", true},
		"chunks":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n%d\r\n0\r\n\r\n", true},
		"chunks, trailer":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n%d\r\n0\r\nA: b\r\n\r\n", true},
		"informational":     {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", true},
		"wants to close":    {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n%d", false},
		"HTTP/1.0":          {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n%d", false},
		"more than it said": {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%dHTTP/1.1 200 OK\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			address := peer(t, func(n int, c net.Conn, r *bufio.Reader) {
				for readRequest(r) {
					_, _ = fmt.Fprintf(c, test.answer, n)
				}
			})
			tr := newTransport(t)
			for i := range 3 {
				want := "1"
				if !test.kept {
					want = fmt.Sprint(i + 1)
				}
				if _, got := text(t, tr, get(address, "/")); got != want {
					t.Errorf("exchange %d: connection %s, want %s", i, got, want)
				}
			}
		})
	}
}

func TestBodyThatIsNotReadCostsTheConnection(t *testing.T) {
	address := peer(t, func(n int, c net.Conn, r *bufio.Reader) {
		for readRequest(r) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nN: %d\r\nContent-Length: 1000000\r\n\r\n", n)
		}
	})
	tr := newTransport(t)
	for i := 1; i <= 3; i++ {
		resp, err := tr.RoundTrip(t.Context(), get(address, "/"))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		_ = resp.Body.Close() // a second time does nothing
		if got := resp.Header.Get("N"); got != fmt.Sprint(i) {
			t.Errorf("connection %s, want %d", got, i)
		}
	}
}

// The peer reads the second request and closes: whether it acted on it is not known.
// Nothing came back, so the request is sent again; on a new connection it is not.
func TestRepeatsOnlyWhatAKeptConnectionSwallowed(t *testing.T) {
	var requests atomic.Int64
	swallow := func(_ int, c net.Conn, r *bufio.Reader) {
		for i := 0; readRequest(r); i++ {
			requests.Add(1)
			if i > 0 {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	}
	tr := newTransport(t)
	address := peer(t, swallow)
	for range 2 {
		if code, _ := text(t, tr, get(address, "/")); code != http.StatusNoContent {
			t.Errorf("status %d, want 204", code)
		}
	}
	if n := requests.Load(); n != 3 {
		t.Errorf("the peer read %d requests, want 3", n)
	}

	requests.Store(0)
	never := peer(t, func(_ int, _ net.Conn, r *bufio.Reader) {
		if readRequest(r) {
			requests.Add(1)
		}
	})
	if _, err := tr.RoundTrip(t.Context(), get(never, "/")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v, want an unexpected end", err)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("the peer read %d requests, want 1", n)
	}
}

// Once something came back, the request has been acted on.
func TestDoesNotRepeatWhatWasBegunToBeAnswered(t *testing.T) {
	var requests atomic.Int64
	address := peer(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for i := 0; readRequest(r); i++ {
			requests.Add(1)
			if i > 0 {
				_, _ = io.WriteString(c, "HTTP/1.1 2")
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	tr := newTransport(t)
	text(t, tr, get(address, "/"))
	if resp, err := tr.RoundTrip(t.Context(), get(address, "/")); err == nil {
		t.Errorf("answered %s, want an error", resp.Status)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("the peer read %d requests, want 2", n)
	}
}

// A connection that the peer has closed meanwhile, or sent something on, is not
// written to.
func TestDeadConnectionsAreNotUsed(t *testing.T) {
	for name, last := range map[string]string{"closed": "", "answered unasked": "HTTP/1.1 408 Request Timeout\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			over, ended := make(chan struct{}), make(chan struct{})
			address := peer(t, func(_ int, c net.Conn, r *bufio.Reader) {
				if readRequest(r) {
					requests.Add(1)
					_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
				}
				<-over
				_, _ = io.WriteString(c, last)
				_ = c.Close()
				ended <- struct{}{}
			})
			var used []net.Conn
			x := get(address, "/")
			x.Sending = func(c net.Conn) { used = append(used, c) }
			tr := newTransport(t)
			for range 2 {
				if code, _ := text(t, tr, x); code != http.StatusNoContent {
					t.Errorf("status %d, want 204", code)
				}
				over <- struct{}{}
				<-ended
			}
			if len(used) != 2 {
				t.Errorf("%d connections were written to, want 2", len(used))
			}
			if n := requests.Load(); n != 2 {
				t.Errorf("the peer read %d requests, want 2", n)
			}
		})
	}
}

// refusing has an answer, and takes no more than half of what is written.
type refusing struct {
	net.Conn
	answer io.Reader
}

func (r refusing) Read(p []byte) (int, error)  { return r.answer.Read(p) }
func (r refusing) Write(p []byte) (int, error) { return len(p) / 2, syscall.EPIPE }

// A peer may refuse a request before it has read it, and close: the answer counts. If
// there is none, what counts is why it could not be written.
func TestAnAnswerBeforeTheRequestIsRead(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n": "413 Too Large",
		"": "write the request: broken pipe",
	} {
		tr := newTransport(t)
		tr.Dial = func(context.Context, string, string) (net.Conn, error) {
			ours, _ := net.Pipe()
			return refusing{ours, strings.NewReader(answer)}, nil
		}
		x, sent := get("test:80", "/"), 0
		x.Sending = func(net.Conn) { sent++ }
		for i := range 2 {
			resp, err := tr.RoundTrip(t.Context(), x)
			got := fmt.Sprint(err)
			if err == nil {
				got = resp.Status
			}
			if got != want || sent != i+1 {
				t.Errorf("%s after %d connections, want %s after %d", got, sent, want, i+1)
			}
		}
	}
}

// inBubble runs a test in virtual time with connections in memory.
func inBubble(t *testing.T, serve func(net.Conn), test func(*testing.T, *Transport)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		tr := newTransport(t)
		tr.Dial = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			wg.Go(func() {
				defer theirs.Close()
				serve(theirs)
			})
			return ours, nil
		}
		test(t, tr)
		tr.Close()
		wg.Wait()
	})
}

// drip answers and then sends a byte of the body each second.
func drip(c net.Conn) {
	if !readRequest(bufio.NewReader(c)) {
		return
	}
	_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	for err == nil {
		_, err = io.WriteString(c, "x")
		time.Sleep(time.Second)
	}
}

func TestDeadlineEndsTheBody(t *testing.T) {
	inBubble(t, drip, func(t *testing.T, tr *Transport) {
		x := get("test:80", "/")
		x.Deadline = time.Now().Add(3500 * time.Millisecond)
		resp, err := tr.RoundTrip(t.Context(), x)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if string(body) != "xxxx" || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %q, %v, want what came in 3.5 s and its deadline", body, err)
		}
		_ = resp.Body.Close()
	})
}

func TestContextEndsTheBody(t *testing.T) {
	inBubble(t, drip, func(t *testing.T, tr *Transport) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1500*time.Millisecond, cancel)
		resp, err := tr.RoundTrip(ctx, get("test:80", "/"))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "xx" || err == nil {
			t.Errorf("read %q, %v, want what came in 1.5 s and an error", body, err)
		}
		_ = resp.Body.Close()
	})
}

func TestContextEndsTheWaitForAnAnswer(t *testing.T) {
	inBubble(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, func(t *testing.T, tr *Transport) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		time.AfterFunc(time.Second, cancel)
		if _, err := tr.RoundTrip(ctx, get("test:80", "/")); err == nil || time.Since(began) != time.Second {
			t.Errorf("error %v after %v, want one after 1s", err, time.Since(began))
		}
	})
}

func TestTLS(t *testing.T) {
	var peers sync.Map
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peers.Store(r.RemoteAddr, true)
		_, _ = io.WriteString(w, r.TLS.ServerName+" "+r.Proto)
	}))
	srv.EnableHTTP2 = true // which is not asked for
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	tr := newTransport(t)
	tr.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}
	x := get(srv.Listener.Addr().String(), "/")
	x.Host.TLS = "example.com"
	if _, err := tr.RoundTrip(t.Context(), x); err == nil {
		t.Fatal("an unknown authority was trusted")
	}
	tr.TLS.RootCAs.AddCert(srv.Certificate())
	for range 3 {
		if _, got := text(t, tr, x); got != "example.com HTTP/1.1" {
			t.Errorf("the server saw %q", got)
		}
	}
	n := 0
	peers.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	x.Host.TLS = "wrong.test"
	if _, err := tr.RoundTrip(t.Context(), x); err == nil {
		t.Error("a certificate of another name was trusted")
	}
}

// Answers never get mixed up, whatever ends early.
func TestConcurrentExchanges(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	t.Cleanup(srv.Close)
	tr := newTransport(t)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 100 {
				path := fmt.Sprintf("/%d/%d", worker, i)
				ctx, cancel := context.WithCancel(t.Context())
				resp, err := tr.RoundTrip(ctx, get(srv.Listener.Addr().String(), path))
				if err != nil {
					t.Error(err)
					cancel()
					return
				}
				if i%3 == 0 {
					cancel() // before, while or after the body is read
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				cancel()
				if err == nil && string(body) != path {
					t.Errorf("%s was answered %q", path, body)
				}
			}
		})
	}
	wg.Wait()
}
