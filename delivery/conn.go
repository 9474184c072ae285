package delivery

import (
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// conn is a connection to an endpoint or a proxy, below TLS if there is any.
type conn struct {
	net.Conn

	settingUp atomic.Bool // under the deadline of the attempt that dialled it
	ended     atomic.Bool // the peer, or the network, has ended it
}

// newConn puts a connection under the deadline by which it must be set up:
// handshakes with a proxy and of TLS are still to come.
func newConn(c net.Conn, deadline time.Time) (*conn, error) {
	if err := c.SetDeadline(deadline); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	wrapped := &conn{Conn: c}
	wrapped.settingUp.Store(true)
	return wrapped, nil
}

// ready lifts that deadline, since the connection outlives the attempt that it
// was dialled for.
func (c *conn) ready() {
	if c.settingUp.CompareAndSwap(true, false) {
		_ = c.SetDeadline(time.Time{}) // fails on a closed connection, which its user will notice
	}
}

// Read implements [net.Conn].
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.ended.Store(true)
	}
	return n, err
}

// NetConn is the connection as it was dialled.
func (c *conn) NetConn() net.Conn { return c.Conn }

// underneath finds the connection that was dialled beneath layers of TLS.
func underneath(nc net.Conn) *conn {
	for {
		switch layer := nc.(type) {
		case *conn:
			return layer
		case interface{ NetConn() net.Conn }:
			nc = layer.NetConn()
		default:
			panic(fmt.Sprintf("delivery: connection of type %T was not dialled by us", nc))
		}
	}
}
