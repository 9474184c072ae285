package sink

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Reply is what becomes of one request: an HTTP status of 0 to 999, or one of
// the misbehaviours below. Statuses below 200 are written as they stand, which
// no well-behaved server does.
type Reply int

// The misbehaviours.
const (
	Hang          Reply = -1 - iota // never answers; ends when the client leaves
	Close                           // closes the connection before any response
	Reset                           // resets the connection before any response
	Malformed                       // sends a status line that is not HTTP: "HTTP/1.1 1"
	Drip                            // answers 200 with a body of a byte every 200 ms, for ten minutes
	EndlessBody                     // answers 200 with a body that never ends, as fast as it is read
	EndlessHeader                   // answers 200 with a header that never ends, as fast as it is read

	// clientLeft counts the requests whose client left before the reply was due.
	clientLeft
)

var replyNames = [...]string{"hang", "close", "reset", "malformed", "drip", "endless", "endless-header", "client-left"}

// String is the reply's name in a route's spec and in the counts: the status in
// digits, or the misbehaviour's name.
func (r Reply) String() string {
	if i := -1 - int(r); i >= 0 && i < len(replyNames) {
		return replyNames[i]
	}
	return strconv.Itoa(int(r))
}

func (r Reply) valid() bool { return r >= EndlessHeader && r <= 999 }

// success reports whether the client gets a whole response with a 2xx status.
func (r Reply) success() bool { return r >= 200 && r <= 299 }

// decision is what was decided about one request.
type decision struct {
	reply      Reply
	latency    time.Duration
	form       RetryAfterForm
	retryAfter time.Duration // 0: none
}

const (
	dripEvery = 200 * time.Millisecond
	dripBytes = 3000
)

// answer carries the decision out. It returns when the response is complete or
// the client has left. Misbehaviours end by aborting the handler: the server
// then drops the connection without completing a response, on HTTP/2 the stream.
func (d decision) answer(w http.ResponseWriter, req *http.Request) {
	switch d.reply {
	case Hang:
		<-req.Context().Done()
		panic(http.ErrAbortHandler)
	case Close:
		panic(http.ErrAbortHandler)
	case Reset:
		conn := hijack(w)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // fails only on a connection that is gone
		}
		conn.Close()
	case Malformed:
		sendRaw(w, "HTTP/1.1 1\r\n\r\n")
	case Drip:
		drip(w, req)
	case EndlessBody:
		for chunk := filler('.'); ; {
			if _, err := w.Write(chunk); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
	case EndlessHeader:
		endlessHeader(w)
	default:
		d.status(w)
	}
}

func (d decision) status(w http.ResponseWriter) {
	if d.reply < 200 {
		sendRaw(w, fmt.Sprintf("HTTP/1.1 %03d Odd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", int(d.reply)))
		return
	}
	if d.retryAfter > 0 {
		after := d.retryAfter.Round(time.Second)
		if after < d.retryAfter {
			after += time.Second
		}
		switch d.form {
		case RetryAfterSeconds:
			w.Header().Set("Retry-After", strconv.Itoa(int(after/time.Second)))
		case RetryAfterDate:
			w.Header().Set("Retry-After", time.Now().Add(after).UTC().Format(http.TimeFormat))
		case RetryAfterNone:
		}
	}
	// Without a header and a body, a 200 needs no call at all.
	if d.reply != http.StatusOK {
		w.WriteHeader(int(d.reply))
	}
}

func drip(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Length", strconv.Itoa(dripBytes))
	rc := http.NewResponseController(w)
	for range dripBytes {
		if _, err := w.Write([]byte{'.'}); err != nil {
			panic(http.ErrAbortHandler)
		}
		if err := rc.Flush(); err != nil || !sleep(req.Context(), dripEvery) {
			panic(http.ErrAbortHandler)
		}
	}
}

func endlessHeader(w http.ResponseWriter) {
	conn := hijack(w)
	defer conn.Close()
	if _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\n")); err != nil {
		return
	}
	line := append([]byte("Filler: "), filler('x')...)
	line = append(line, "\r\n"...)
	for {
		if _, err := conn.Write(line); err != nil {
			return
		}
	}
}

func filler(b byte) []byte { return bytes.Repeat([]byte{b}, 4096) }

// sendRaw writes text as the whole response and closes the connection.
func sendRaw(w http.ResponseWriter, text string) {
	conn := hijack(w)
	defer conn.Close()
	// A client that left before its broken answer has lost nothing.
	_, _ = conn.Write([]byte(text))
}

// hijack takes the connection from the server. Where that is impossible, which
// is HTTP/2, it aborts the handler: the client sees its stream reset.
func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return conn
}
