package delivery

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"centrifuge"
)

func TestOddResponses(t *testing.T) {
	const (
		succeeded = centrifuge.OutcomeSucceeded
		again     = centrifuge.OutcomeRetry
		discarded = centrifuge.OutcomeDiscarded
	)
	malformed := discard(centrifuge.ErrorBadResponse, true)
	reset := retry(centrifuge.ErrorConnReset, true)
	for name, test := range map[string]struct {
		response string
		want     want
	}{
		"status of one digit":     {"HTTP/1.1 1\r\n\r\n", status(discarded, 1)},
		"status and reason":       {"HTTP/1.1 42 Odd\r\n\r\n", status(discarded, 42)},
		"status of four digits":   {"HTTP/1.1 2000 OK\r\n\r\n", status(discarded, 2000)},
		"status with a zero":      {"HTTP/1.1 0200 OK\r\n\r\n", malformed},
		"status of words":         {"HTTP/1.1 fine\r\n\r\n", malformed},
		"status beyond counting":  {"HTTP/1.1 99999999999999999999\r\n\r\n", malformed},
		"status 999":              {"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n", status(discarded, 999)},
		"no status":               {"HTTP/1.1\r\n\r\n", malformed},
		"wrong version":           {"HTTP/banana 200 OK\r\n\r\n", malformed},
		"not HTTP":                {"SSH-2.0-OpenSSH_9.2\r\n", malformed},
		"broken header":           {"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", malformed},
		"broken content length":   {"HTTP/1.1 200 OK\r\nContent-Length: lots\r\n\r\n", malformed},
		"two content lengths":     {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", malformed},
		"odd transfer encoding":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\n", malformed},
		"closed at once":          {"", reset},
		"closed in status line":   {"HTTP/1.1 20", reset},
		"closed in header":        {"HTTP/1.1 200 OK\r\nContent-Le", reset},
		"closed in 2xx body":      {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", status(succeeded, 200)},
		"closed in 5xx body":      {"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nabc", status(again, 503)},
		"broken chunk":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", status(succeeded, 200)},
		"body until close":        {"HTTP/1.0 200 OK\r\n\r\nall of it", status(succeeded, 200)},
		"continue first":          {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", status(succeeded, 204)},
		"early hints first":       {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", status(discarded, 400)},
		"informational and close": {"HTTP/1.1 100 Continue\r\n\r\n", reset},
		"switching protocols":     {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", status(discarded, 101)},
		"no reason":               {"HTTP/1.1 204\r\n\r\n", status(succeeded, 204)},
	} {
		t.Run(name, func(t *testing.T) {
			test.want.check(t, local(t).Deliver(t.Context(), post(serveText(t, test.response)), 1))
		})
	}
}

func TestEndlessHeader(t *testing.T) {
	endpoint := serveWire(t, func(conn net.Conn) {
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for i := 0; err == nil; i++ {
			_, err = fmt.Fprintf(conn, "X-%d: %s\r\n", i, strings.Repeat("y", 1000))
		}
	})
	discard(centrifuge.ErrorBadResponse, true).check(t, local(t).Deliver(t.Context(), post(endpoint), 1))
}

func TestEndlessHeaderLine(t *testing.T) {
	endpoint := serveWire(t, func(conn net.Conn) {
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: ")
		for err == nil {
			_, err = io.WriteString(conn, strings.Repeat("y", 1000))
		}
	})
	discard(centrifuge.ErrorBadResponse, true).check(t, local(t).Deliver(t.Context(), post(endpoint), 1))
}

func TestEndlessInformational(t *testing.T) {
	endpoint := serveWire(t, func(conn net.Conn) {
		for err := error(nil); err == nil; {
			_, err = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
	})
	discard(centrifuge.ErrorBadResponse, true).check(t, local(t).Deliver(t.Context(), post(endpoint), 1))
}

func TestEndlessBody(t *testing.T) {
	for _, code := range []int{200, 500} {
		endpoint := serveWire(t, func(conn net.Conn) {
			_, err := fmt.Fprintf(conn, "HTTP/1.1 %d X\r\n\r\n", code)
			for err == nil {
				_, err = io.WriteString(conn, strings.Repeat("z", 1000))
			}
		})
		r := local(t).Deliver(t.Context(), post(endpoint), 1)
		status(centrifuge.ClassifyStatus(code), code).check(t, r)
		if wantKept := (code == 500); wantKept != (r.Error == strings.Repeat("z", 1024)) {
			t.Errorf("status %d: kept %d bytes of body", code, len(r.Error))
		}
	}
}

func TestStuckBody(t *testing.T) {
	for _, code := range []int{200, 404, 503} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			t.Parallel()
			endpoint := serveWire(t, func(conn net.Conn) {
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d X\r\nContent-Length: 50\r\n\r\na", code)
				untilClosed(conn)
			})
			status(centrifuge.ClassifyStatus(code), code).check(t, local(t).Deliver(t.Context(), impatient(endpoint), 1))
		})
	}
}

func TestSilence(t *testing.T) {
	for name, endpoint := range map[string]string{
		"no response":    serveWire(t, untilClosed),
		"no TLS":         strings.Replace(serveConn(t, untilClosed), "http:", "https:", 1),
		"half a header":  serveWire(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"); untilClosed(c) }),
		"continue alone": serveWire(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 100 X\r\n\r\n"); untilClosed(c) }),
	} {
		t.Run(name, func(t *testing.T) {
			r := local(t).Deliver(t.Context(), hopeless(endpoint), 1)
			retry(centrifuge.ErrorTimedOut, r.Sent).check(t, r) // whether it was sent is up to the machine's speed
		})
	}
}

func TestReset(t *testing.T) {
	endpoint := serveWire(t, func(conn net.Conn) {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	})
	retry(centrifuge.ErrorConnReset, true).check(t, local(t).Deliver(t.Context(), post(endpoint), 1))
}

func TestKeptBodyIsText(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"plain":              {"no such user", "no such user"},
		"lines":              {"{\n\t\"a\": 1\r\n}\n", "{\n\t\"a\": 1 \n}"},
		"invalid UTF-8":      {"caf\xe9 \xff\xfe!", "caf? ?!"},
		"terminal sequences": {"\x1b[31mred\x07\x00", "[31mred"},
		"reversed text":      {"a\u202egnp.exe", "a gnp.exe"},
		"cut character":      {strings.Repeat("x", 1023) + "é", strings.Repeat("x", 1023)},
		"exactly full":       {strings.Repeat("x", 1022) + "é", strings.Repeat("x", 1022) + "é"},
		"too long":           {strings.Repeat("é", 600), strings.Repeat("é", 512)},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, test.body)
			})
			r := local(t).Deliver(t.Context(), post(endpoint), 1)
			if r.Error != test.want {
				t.Errorf("got %q, want %q", r.Error, test.want)
			}
		})
	}
}

func TestMessageIsBounded(t *testing.T) {
	r := local(t).Deliver(t.Context(), post(serveText(t, strings.Repeat("\xff\x1b", 20_000)+"\r\n")), 1)
	discard(centrifuge.ErrorBadResponse, true).check(t, r)
	if len(r.Error) > maxKeptBody || !utf8.ValidString(r.Error) {
		t.Errorf("message of %d bytes, valid %v", len(r.Error), utf8.ValidString(r.Error))
	}
}
