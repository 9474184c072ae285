// Package http1 is a client of HTTP/1.1 that makes each exchange in the goroutine of
// its caller: it writes the request, then reads the response, over a connection that
// is kept alive in between. It follows no redirect and knows no proxy; requests are
// short enough to be written before the response is read.
//
// net/http gives each connection two goroutines of its own, so that a response may
// come while a long request is still being written, and hands every request from one
// to the next. That is half of what a delivery costs.
package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// MaxRequest is how long a request may be, head and body, in bytes: what the buffers
// of a connection take even if the other side does not read.
const MaxRequest = 32 << 10

// Host is where connections go to, and what they are shared by.
type Host struct {
	Address string // host:port
	TLS     string // the name that its certificate must bear; empty: no TLS
}

// Transport makes exchanges. It is safe for concurrent use once its fields are set.
type Transport struct {
	// Dial opens a connection. It must honour ctx.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is used for hosts that want it, with their name in it.
	TLS *tls.Config

	MaxHeader      int           // bytes of a response before its body, informational responses included
	MaxIdle        int           // connections that are kept idle altogether
	MaxIdlePerHost int           // and for one host
	IdleTimeout    time.Duration // how long an idle connection is kept

	idle pool
}

// Exchange is one request to be made.
type Exchange struct {
	Host     Host
	Method   string
	Request  []byte    // head and body; must not be longer than [MaxRequest]
	Deadline time.Time // by which all must be over, the response's body included

	// Sending, if set, is told of a connection before anything is written to it.
	Sending func(net.Conn)
}

// RoundTrip sends the request and reads the response's head. The response's body
// must be closed; if it was read to its end, its connection is kept. It is an error
// if ctx ends, which also ends the reading of the body.
//
// If a connection that was kept turns out to have been closed by the other side,
// before anything came back, the request is sent again on another. So only requests
// that may arrive twice can be made.
func (t *Transport) RoundTrip(ctx context.Context, x Exchange) (*http.Response, error) {
	for {
		c, err := t.connect(ctx, &x)
		if err != nil {
			return nil, err
		}
		if x.Sending != nil {
			x.Sending(c.Conn)
		}
		resp, err := c.exchange(ctx, &x)
		if err == nil {
			return resp, nil
		}
		_ = c.Close()
		if !c.kept || c.heard || ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
	}
}

// connect finds a connection that was kept or makes one.
func (t *Transport) connect(ctx context.Context, x *Exchange) (*conn, error) {
	for c := t.idle.take(x.Host); c != nil; c = t.idle.take(x.Host) {
		if c.alive() {
			c.kept, c.heard = true, false
			return c, nil
		}
		_ = c.Close()
	}
	ctx, cancel := context.WithDeadline(ctx, x.Deadline)
	defer cancel()
	nc, err := t.Dial(ctx, "tcp", x.Host.Address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if x.Host.TLS != "" {
		if nc, err = t.handshake(ctx, nc, x.Host.TLS); err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
	}
	return newConn(nc, t), nil
}

func (t *Transport) handshake(ctx context.Context, nc net.Conn, name string) (net.Conn, error) {
	config := t.TLS.Clone()
	config.ServerName, config.NextProtos = name, []string{"http/1.1"}
	secured := tls.Client(nc, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return secured, nil
}

// Close closes the idle connections, and those in use when they are done with.
func (t *Transport) Close() { t.idle.close() }

// body is the body of a response. It gives the connection back.
type body struct {
	io.Reader
	conn  *conn
	ended bool // it was read to its end
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

// Close never reads on: whoever wants the connection kept reads the body first.
func (b *body) Close() error {
	c := b.conn
	if c == nil {
		return nil
	}
	b.conn = nil
	c.release(b.ended)
	return nil
}
