package delivery

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"centrifuge"
)

func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// newClient makes a client that is closed with the test.
func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// local makes a client that may deliver to this machine.
func local(t testing.TB) *Client { return newClient(t, Options{AllowNetworks: loopback()}) }

func post(endpoint string) *centrifuge.Job {
	return &centrifuge.Job{
		ID:       centrifuge.ID{1, 2, 3},
		Endpoint: endpoint,
		Method:   http.MethodPost,
		Payload:  []byte("hello"),
	}
}

// impatient is post with the least time in which an answer that is sure to come
// does come on a busy machine.
func impatient(endpoint string) *centrifuge.Job {
	job := post(endpoint)
	job.Settings.Timeout = time.Second
	return job
}

// hopeless is post for endpoints that never answer.
func hopeless(endpoint string) *centrifuge.Job {
	job := post(endpoint)
	job.Settings.Timeout = 20 * time.Millisecond
	return job
}

func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv.URL
}

// serveConn listens and hands every connection to respond, which need not close
// it.
func serveConn(t testing.TB, respond func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex
		conns []net.Conn
		wg    sync.WaitGroup
	)
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				respond(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, conn := range conns {
			_ = conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return "http://" + l.Addr().String()
}

// serveWire answers one request of each connection with whatever write writes.
func serveWire(t testing.TB, write func(net.Conn)) string {
	t.Helper()
	return serveConn(t, func(conn net.Conn) {
		if readRequest(conn) == nil {
			write(conn)
		}
	})
}

// serveText answers with the given bytes and closes.
func serveText(t testing.TB, response string) string {
	t.Helper()
	return serveWire(t, func(conn net.Conn) { _, _ = io.WriteString(conn, response) })
}

func readRequest(r io.Reader) error {
	req, err := http.ReadRequest(bufio.NewReader(r))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err
}

// untilClosed waits for the peer to close the connection.
func untilClosed(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// want compares what a result says, leaving out its message and its duration.
type want struct {
	outcome centrifuge.Outcome
	status  int
	code    centrifuge.ErrorCode
	sent    bool
}

func (w want) check(t *testing.T, r Result) {
	t.Helper()
	got := want{r.Outcome, r.StatusCode, r.ErrorCode, r.Sent}
	if got != w {
		t.Errorf("got %+v, want %+v (message %q)", got, w, r.Error)
	}
	if r.Duration <= 0 {
		t.Errorf("duration %v, want more than 0", r.Duration)
	}
	if r.Outcome != centrifuge.OutcomeSucceeded && r.StatusCode == 0 && r.Error == "" {
		t.Error("a failure without a status has no message")
	}
}

func retry(code centrifuge.ErrorCode, sent bool) want {
	return want{outcome: centrifuge.OutcomeRetry, code: code, sent: sent}
}

func discard(code centrifuge.ErrorCode, sent bool) want {
	return want{outcome: centrifuge.OutcomeDiscarded, code: code, sent: sent}
}

func status(outcome centrifuge.Outcome, code int) want {
	return want{outcome: outcome, status: code, sent: true}
}
