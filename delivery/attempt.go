package delivery

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// attempt is the context of one attempt's request. It carries its deadline to
// the dialer, which net/http runs detached from the request, and learns how far
// the attempt got.
type attempt struct {
	context.Context //nolint:containedctx // it is a context

	trace    httptrace.ClientTrace
	deadline time.Time

	connected atomic.Bool // got a connection; from here on bytes may have left
	resolving atomic.Bool // waiting for a name server
	permitted atomic.Bool // dialled at least one address that the guard let through
}

type attemptKey struct{}

// newAttempt begins an attempt that ends, at the latest, after timeout.
func newAttempt(ctx context.Context, timeout time.Duration) (*attempt, context.CancelFunc) {
	a := &attempt{deadline: time.Now().Add(timeout)}
	ctx, cancel := context.WithDeadline(ctx, a.deadline)
	a.trace.GotConn = a.gotConn
	a.Context = httptrace.WithClientTrace(ctx, &a.trace)
	return a, cancel
}

// gotConn lifts the deadline under which the connection was set up: from now on
// it outlives the attempt that it was dialled for.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	a.connected.Store(true)
	_ = info.Conn.SetDeadline(time.Time{}) // fails on a closed connection, which the request will notice
}

// Value implements [context.Context].
func (a *attempt) Value(key any) any {
	if key == (attemptKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// attemptOf finds the attempt that a connection is dialled for.
func attemptOf(ctx context.Context) *attempt {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		panic("delivery: dialled outside an attempt")
	}
	return a
}
