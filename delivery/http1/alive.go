package http1

import (
	"errors"
	"net"
	"syscall"
)

// alive reports whether the other side has neither closed the idle connection nor
// sent something unasked, as far as that is known already. It does not block.
func (c *conn) alive() bool {
	nc := c.Conn
	for {
		below, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		nc = below.NetConn()
	}
	socket, ok := nc.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	// Not Read: the deadline of the last exchange may have passed.
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = errors.Is(err, syscall.EAGAIN)
	})
	return err == nil && alive
}
