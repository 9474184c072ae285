package delivery

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge"
)

// inBubble runs a test in virtual time against an endpoint over in-memory pipes.
func inBubble(t *testing.T, respond func(net.Conn), test func(*testing.T, *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		c := newClient(t, Options{DialContext: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			wg.Go(func() {
				defer theirs.Close()
				respond(theirs)
			})
			return ours, nil
		}})
		test(t, c)
		c.Close()
		wg.Wait()
	})
}

func TestDefaultTimeoutInVirtualTime(t *testing.T) {
	inBubble(t, untilClosed, func(t *testing.T, c *Client) {
		r := c.Deliver(t.Context(), post("http://example.com"), 1)
		retry(centrifuge.ErrorTimedOut, true).check(t, r)
		if r.Duration != centrifuge.DefaultTimeout {
			t.Errorf("took %v, want exactly %v", r.Duration, centrifuge.DefaultTimeout)
		}
	})
}

// A handshake goes on when its attempt was interrupted, but not for ever.
func TestHandshakeEndsWithItsAttempt(t *testing.T) {
	var closed time.Time
	hang := func(conn net.Conn) {
		untilClosed(conn)
		closed = time.Now()
	}
	inBubble(t, hang, func(t *testing.T, c *Client) {
		begin := time.Now()
		job := post("https://example.com")
		job.Settings.Timeout = 3 * time.Minute
		r := c.Deliver(t.Context(), job, 1)
		retry(centrifuge.ErrorTimedOut, false).check(t, r)
		if r.Duration != 3*time.Minute {
			t.Errorf("took %v, want exactly 3m", r.Duration)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if d := closed.Sub(begin); d != 3*time.Minute {
			t.Errorf("the connection was closed after %v, want exactly 3m", d)
		}
	})
}

func TestSlowDripInVirtualTime(t *testing.T) {
	drip := func(conn net.Conn) {
		if readRequest(conn) != nil {
			return
		}
		_, err := io.WriteString(conn, "HTTP/1.1 503 Slow\r\nRetry-After: Sat, 01 Jan 2000 00:10:00 GMT\r\n\r\n")
		for err == nil {
			time.Sleep(1100 * time.Millisecond)
			_, err = io.WriteString(conn, "x")
		}
	}
	inBubble(t, drip, func(t *testing.T, c *Client) {
		r := c.Deliver(t.Context(), post("http://example.com"), 1)
		status(centrifuge.OutcomeRetry, 503).check(t, r)
		if r.Duration != centrifuge.DefaultTimeout {
			t.Errorf("took %v, want exactly %v", r.Duration, centrifuge.DefaultTimeout)
		}
		if r.Error != "xxxxxxxxx" {
			t.Errorf("kept %q, want the 9 bytes that came in time", r.Error)
		}
		if r.RetryAfter != 10*time.Minute {
			t.Errorf("RetryAfter %v, want the 10 minutes from the bubble's midnight", r.RetryAfter)
		}
	})
}

// Only what can be read at once is worth reading to keep a connection.
func TestNoWaitForWorthlessBodies(t *testing.T) {
	for name, response := range map[string]string{
		"long body":           "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx",
		"switching protocols": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			answer := func(conn net.Conn) {
				if readRequest(conn) == nil {
					_, _ = io.WriteString(conn, response)
					untilClosed(conn)
				}
			}
			inBubble(t, answer, func(t *testing.T, c *Client) {
				r := c.Deliver(t.Context(), post("http://example.com"), 1)
				if r.StatusCode == 0 || r.Duration != 0 {
					t.Errorf("status %d after %v, want one at once", r.StatusCode, r.Duration)
				}
			})
		})
	}
}

// A long request may be refused before it is read.
func TestLongRequestIsRefusedEarly(t *testing.T) {
	refuse := func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1))
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
		untilClosed(conn) // which takes the rest
	}
	inBubble(t, refuse, func(t *testing.T, c *Client) {
		job := post("http://example.com")
		job.Payload = make([]byte, 100<<10)
		r := c.Deliver(t.Context(), job, 1)
		if r.StatusCode != 413 || r.Duration != 0 {
			t.Errorf("status %d %s after %v, want 413 at once", r.StatusCode, r.ErrorCode, r.Duration)
		}
	})
}

func TestEndlessBodyIsNotDrained(t *testing.T) {
	const enough = 10 << 20
	sent := 0
	endless := func(conn net.Conn) {
		if readRequest(conn) != nil {
			return
		}
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		for n := 0; err == nil && sent < enough; sent += n {
			n, err = conn.Write(make([]byte, 1000))
		}
	}
	inBubble(t, endless, func(t *testing.T, c *Client) {
		c.Deliver(t.Context(), post("http://example.com"), 1)
		synctest.Wait()
		if sent > 2*maxDrainedBody {
			t.Errorf("read %d bytes of an endless body, want little more than %d", sent, maxDrainedBody)
		}
	})
}

// A connection lives on after the deadline of the attempt that it was dialled
// for, until it has been idle for too long.
func TestConnectionOutlivesItsAttempt(t *testing.T) {
	conns := 0
	answer := func(conn net.Conn) {
		conns++
		for readRequest(conn) == nil {
			if _, err := io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n"); err != nil {
				return
			}
		}
	}
	inBubble(t, answer, func(t *testing.T, c *Client) {
		for range 4 {
			status(centrifuge.OutcomeSucceeded, 204).check(t, deliverInTime(t, c))
			time.Sleep(20 * time.Second)
		}
		if conns != 1 {
			t.Errorf("%d connections, want 1", conns)
		}
		time.Sleep(15 * time.Second)
		status(centrifuge.OutcomeSucceeded, 204).check(t, deliverInTime(t, c))
		if conns != 2 {
			t.Errorf("%d connections after 35 s of silence, want 2", conns)
		}
	})
}

// deliverInTime delivers, and fills in the duration that virtual time does not
// have.
func deliverInTime(t *testing.T, c *Client) Result {
	r := c.Deliver(t.Context(), post("http://example.com"), 1)
	r.Duration = max(r.Duration, 1)
	return r
}

// A dialler that hangs ends with its attempt, or the bubble would not; net/http's
// goes on until the attempt would have ended.
func TestDialEndsWithItsAttempt(t *testing.T) {
	for endpoint, want := range map[string]time.Duration{
		"http://example.com":  time.Second,
		"https://example.com": centrifuge.DefaultTimeout,
	} {
		synctest.Test(t, func(t *testing.T) {
			var ended time.Time
			c := newClient(t, Options{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				ended = time.Now()
				return nil, ctx.Err()
			}})
			begin := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			retry(centrifuge.ErrorInterrupted, false).check(t, c.Deliver(ctx, post(endpoint), 1))
			time.Sleep(time.Minute)
			synctest.Wait()
			if d := ended.Sub(begin); d != want {
				t.Errorf("%s: the dialler ended after %v, want %v", endpoint, d, want)
			}
		})
	}
}
