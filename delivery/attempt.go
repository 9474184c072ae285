package delivery

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// attempt is the context of one attempt's request. It carries its deadline to
// the dialer, which net/http runs detached from the request, and learns how far
// the attempt got.
type attempt struct {
	context.Context //nolint:containedctx // it is a context: the caller's

	deadline time.Time

	conn      atomic.Pointer[conn] // the connection it got, if any
	resolving atomic.Bool          // waiting for a name server
	permitted atomic.Bool          // dialled at least one address that the guard let through
}

type attemptKey struct{}

// newAttempt begins an attempt that ends, at the latest, after timeout.
func newAttempt(ctx context.Context, timeout time.Duration) *attempt {
	return &attempt{Context: ctx, deadline: time.Now().Add(timeout)}
}

// timed is the attempt's context for those who heed nothing but a context.
func (a *attempt) timed() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithDeadline(a, a.deadline)
	trace := httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { a.sending(info.Conn) }}
	return httptrace.WithClientTrace(ctx, &trace), cancel
}

// sending is told of the connection that the request goes out on.
func (a *attempt) sending(nc net.Conn) {
	c := underneath(nc)
	c.ready()
	a.conn.Store(c)
}

// over reports whether the attempt was interrupted or its time is up.
func (a *attempt) over() bool { return a.Err() != nil || !time.Now().Before(a.deadline) }

// sent reports whether bytes may have left for the endpoint.
func (a *attempt) sent() bool { return a.conn.Load() != nil }

// cut reports whether the connection ended while it was still being read.
func (a *attempt) cut() bool {
	c := a.conn.Load()
	return c != nil && c.ended.Load()
}

// Value implements [context.Context].
func (a *attempt) Value(key any) any {
	if key == (attemptKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// attemptOf finds the attempt that a connection is dialled for.
func attemptOf(ctx context.Context) (*attempt, error) {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		return nil, errors.New("dialled outside an attempt")
	}
	return a, nil
}
