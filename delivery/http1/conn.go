package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// errHeader ends the reading of a response whose head does not end.
var errHeader = errors.New("server response headers exceeded the limit")

// conn is a connection. It belongs to one exchange at a time, or to the pool.
type conn struct {
	net.Conn
	transport *Transport
	host      Host
	reader    *bufio.Reader
	request   http.Request // as much of it as the response's meaning depends on

	kept  bool // it was in the pool before this exchange
	heard bool // something came back in this exchange
	whole bool // after the body, another exchange may follow

	unread    int // how much of a head may still be read; negative: what is read is a body
	interrupt func() bool
	since     time.Time // when it became idle; owned by the pool
}

func newConn(nc net.Conn, t *Transport) *conn {
	c := &conn{Conn: nc, transport: t}
	c.reader = bufio.NewReader(c)
	return c
}

// Read implements [net.Conn], within the limit of a head.
func (c *conn) Read(p []byte) (int, error) {
	switch {
	case c.unread == 0:
		return 0, errHeader
	case c.unread > 0 && len(p) > c.unread:
		p = p[:c.unread]
	}
	n, err := c.Conn.Read(p)
	c.heard = c.heard || n > 0
	if c.unread > 0 {
		c.unread -= n
	}
	return n, err
}

// exchange sends the request and reads the head of the response. After an error the
// connection is of no use.
func (c *conn) exchange(ctx context.Context, x *Exchange) (*http.Response, error) {
	if err := c.SetDeadline(x.Deadline); err != nil {
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	c.host = x.Host
	c.interrupt = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	// Whoever refuses a request may answer before it has read all of it, and close:
	// the answer counts, and not that writing failed.
	_, unsent := c.Write(x.Request)
	resp, err := c.head(x.Method)
	if err != nil {
		c.interrupt()
		if unsent != nil {
			return nil, fmt.Errorf("write the request: %w", unsent)
		}
		return nil, fmt.Errorf("read the response: %w", err)
	}
	c.whole = unsent == nil && !resp.Close && resp.StatusCode != http.StatusSwitchingProtocols
	if resp.Body == http.NoBody {
		c.release(true)
		return resp, nil
	}
	resp.Body = &body{Reader: resp.Body, conn: c}
	return resp, nil
}

// head reads responses up to the first that is not informational.
func (c *conn) head(method string) (*http.Response, error) {
	c.unread = c.transport.MaxHeader
	c.request.Method = method
	for {
		resp, err := http.ReadResponse(c.reader, &c.request)
		if err != nil && c.unread == 0 {
			return nil, errHeader // and not what half a line looks like
		}
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode < 100 || resp.StatusCode == http.StatusSwitchingProtocols {
			c.unread = -1
			return resp, nil
		}
	}
}

// release ends the exchange: the connection is kept if nothing is left to come.
func (c *conn) release(ended bool) {
	if !c.interrupt() || !ended || !c.whole || c.reader.Buffered() > 0 || !c.transport.keep(c) {
		_ = c.Close()
	}
}
