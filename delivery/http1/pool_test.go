package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	var open atomic.Int64
	serve := func(c net.Conn) {
		open.Add(1)
		defer open.Add(-1)
		for r := bufio.NewReader(c); readRequest(r); {
			_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	}
	inBubble(t, serve, func(t *testing.T, tr *Transport) {
		text(t, tr, get("a:80", "/"))
		time.Sleep(30 * time.Second)
		text(t, tr, get("b:80", "/"))
		for _, step := range []struct {
			wait time.Duration
			open int64
		}{{29 * time.Second, 2}, {2 * time.Second, 1}, {27 * time.Second, 1}, {4 * time.Second, 0}} {
			time.Sleep(step.wait)
			synctest.Wait()
			if n := open.Load(); n != step.open {
				t.Errorf("%d connections, want %d", n, step.open)
			}
		}
		text(t, tr, get("a:80", "/")) // the reaper is at work again
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if n := open.Load(); n != 0 {
			t.Errorf("%d connections, want none", n)
		}
	})
}

// No more connections are kept than there is room for, of one host and altogether.
func TestIdleConnectionsAreBounded(t *testing.T) {
	var open atomic.Int64
	serve := func(c net.Conn) {
		open.Add(1)
		defer open.Add(-1)
		for r := bufio.NewReader(c); readRequest(r); {
			time.Sleep(time.Second)
			_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	}
	inBubble(t, serve, func(t *testing.T, tr *Transport) {
		for _, round := range []struct{ hosts, want int64 }{{1, 4}, {2, 8}, {3, 10}, {3, 10}, {1, 4}} {
			hosts, want := round.hosts, round.want
			var wg sync.WaitGroup
			for host := range hosts {
				for range 6 {
					wg.Go(func() { text(t, tr, get(fmt.Sprintf("host-%d:80", host), "/")) })
				}
			}
			wg.Wait()
			synctest.Wait()
			if n := open.Load(); n != want {
				t.Errorf("%d connections kept of %d hosts, want %d", n, hosts, want)
			}
			time.Sleep(2 * time.Minute) // they are closed, and there is room again
		}
	})
}

func TestClosedTransportKeepsNothing(t *testing.T) {
	closed := make(chan struct{})
	address := peer(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for readRequest(r) {
			_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}
		close(closed)
	})
	tr := newTransport(t)
	tr.Close()
	text(t, tr, get(address, "/"))
	<-closed
}
