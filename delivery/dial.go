package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
)

// dialer opens the connections of a client. net/http goes on dialling when the
// attempt that wanted the connection has given up, in case the next one can use
// it; the dialer sees to it that this ends with the attempt's deadline, and that
// so does what follows: the handshakes with a proxy and of TLS.
type dialer struct {
	guard   *guard // nil if a proxy is dialled, which the operator has named
	network net.Dialer
	instead func(ctx context.Context, network, addr string) (net.Conn, error) // nil: the network
}

func newDialer(o Options, g *guard) *dialer {
	d := &dialer{guard: g, network: net.Dialer{Resolver: o.Resolver}, instead: o.DialContext}
	if o.Proxy != nil {
		d.guard = nil
	}
	d.network.ControlContext = d.control
	return d
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	a, err := attemptOf(ctx)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	ctx, cancel := context.WithDeadline(ctx, a.deadline)
	defer cancel()
	c, err := d.connect(ctx, a, network, addr)
	if err != nil {
		return nil, err
	}
	wrapped, err := newConn(c, a.deadline)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return wrapped, nil
}

func (d *dialer) connect(ctx context.Context, a *attempt, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	literal, err := netip.ParseAddr(host)
	isName := err != nil
	if d.instead != nil {
		if d.guard != nil && !isName {
			if err := d.guard.check(literal); err != nil {
				return nil, err
			}
		}
		return d.instead(ctx, network, addr)
	}
	a.resolving.Store(isName)
	c, err := d.network.DialContext(ctx, network, addr)
	if forbidden := (*forbiddenError)(nil); errors.As(err, &forbidden) && a.permitted.Load() {
		// One address of several was refused by us, the others failed by
		// themselves and may work later.
		return nil, fmt.Errorf("dial %s: no allowed address answered", addr)
	}
	return c, err
}

// control runs on each address of a host when its socket is made, after all
// resolving: nothing can change the address any more.
func (d *dialer) control(ctx context.Context, _, addr string, _ syscall.RawConn) error {
	a, err := attemptOf(ctx)
	if err != nil {
		return fmt.Errorf("check address %s: %w", addr, err)
	}
	a.resolving.Store(false)
	if d.guard == nil {
		return nil
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("check address %s: %w", addr, err)
	}
	if err := d.guard.check(ap.Addr()); err != nil {
		return err
	}
	a.permitted.Store(true)
	return nil
}

// proxyError is a proxy's refusal to open a tunnel.
type proxyError struct{ status string }

func (e *proxyError) Error() string { return "the proxy answered " + e.status }

func checkProxyResponse(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return &proxyError{status: resp.Status}
	}
	return nil
}
