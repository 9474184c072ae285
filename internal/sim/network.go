package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"centrifuge"
)

// network is an HTTP server for each endpoint, over in-memory connections.
type network struct {
	world     *world
	listeners map[string]*listener
	servers   []*http.Server
	serving   sync.WaitGroup
	closed    chan struct{}
}

func newNetwork(w *world) *network {
	n := &network{world: w, listeners: make(map[string]*listener), closed: make(chan struct{})}
	for host := range w.endpoints {
		l := &listener{host: host, conns: make(chan net.Conn), closed: make(chan struct{})}
		s := &http.Server{
			Handler:  http.HandlerFunc(n.serve),
			ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		}
		n.listeners[host] = l
		n.servers = append(n.servers, s)
		n.serving.Go(func() { _ = s.Serve(l) }) // ends with an error, always
	}
	return n
}

// close ends the servers and all that they are about.
func (n *network) close() {
	close(n.closed)
	for _, s := range n.servers {
		_ = s.Close() // the listeners never fail
	}
	n.serving.Wait()
}

func (n *network) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	l := n.listeners[host]
	if l == nil || n.world.refuses(host) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("%s: %w", addr, syscall.ECONNREFUSED)}
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
	case <-l.closed:
		err = net.ErrClosed
	}
	return nil, errors.Join(err, ctx.Err(), ours.Close(), theirs.Close())
}

// serve is all endpoints.
func (n *network) serve(rw http.ResponseWriter, req *http.Request) {
	w := n.world.run.witness
	id, err := centrifuge.ParseID(req.Header.Get("Centrifuge-Job-Id"))
	if err != nil {
		w.breaks("a request without the id of a job: %v", err)
		return
	}
	attempt, err := strconv.ParseUint(req.Header.Get("Centrifuge-Attempt"), 10, 32)
	if err != nil {
		w.breaks("job %s: a request without its number: %v", id, err)
		return
	}
	if key := req.Header.Get("Idempotency-Key"); key != id.String() {
		w.breaks("job %s: sent with the idempotency key %q", id, key)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the process died, or the attempt ended
	}
	host, _, _ := strings.Cut(req.Host, ":")
	source, ok := w.received(id, body)
	if !ok {
		return
	}
	reply := n.world.answer(host, id, source, uint32(attempt))
	if reply.temper == hanging {
		reply.latency = time.Hour
	}
	timer := time.NewTimer(reply.latency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-req.Context().Done():
		return
	case <-n.closed:
		return
	}
	n.respond(rw, id, reply)
}

func (n *network) respond(rw http.ResponseWriter, id centrifuge.ID, reply reply) {
	switch reply.temper {
	case resetting, refusing, babbling:
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		if reply.temper == babbling {
			_, _ = io.WriteString(conn, "220 ready for mail\r\n\r\n") // the peer may be gone
		}
		_ = conn.Close()
		return
	case well, failing, slow, hanging, limiting, rejecting:
	}
	if reply.retryAfter > 0 {
		value := strconv.Itoa(int(reply.retryAfter / time.Second))
		if reply.retryAfter%(2*time.Second) == 0 {
			value = time.Now().Add(reply.retryAfter).UTC().Format(http.TimeFormat)
		}
		rw.Header().Set("Retry-After", value)
	}
	if reply.status >= 200 && reply.status <= 299 {
		n.world.run.witness.accepts(id)
	}
	rw.WriteHeader(reply.status)
}

// listener hands out what dial makes.
type listener struct {
	host   string
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements [net.Listener].
func (l *listener) Addr() net.Addr { return address(l.host) }

type address string

func (address) Network() string  { return "memory" }
func (a address) String() string { return string(a) }
