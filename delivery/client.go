package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"centrifuge"
	"centrifuge/delivery/http1"
)

// Bounds of what is read from an endpoint.
const (
	maxResponseHeader = 64 << 10 // bytes, status line and informational responses included
	maxKeptBody       = 1 << 10  // bytes of a response that was not 2xx
	maxDrainedBody    = 64 << 10 // bytes read to save a connection; past this a new one is cheaper
)

// Options are how a [Client] is made. The zero value delivers to the public
// internet.
type Options struct {
	// AllowNetworks lists the networks that are delivered to although they are
	// not public. Loopback, private, shared (CGNAT), link-local, multicast,
	// unspecified, documentation and reserved addresses, the metadata services
	// of clouds, and the IPv6 forms of all of these (IPv4-mapped, 6to4, NAT64)
	// are refused otherwise. What counts is the address that is dialled, not the
	// one a name resolved to earlier.
	AllowNetworks []netip.Prefix

	// Proxy, if set, makes every request through this http, https, socks5 or
	// socks5h proxy. The proxy itself may be anywhere. Names are then resolved
	// by the proxy, out of reach of our guard: it still refuses endpoints that
	// are addresses, and localhost, but keeping names away from private
	// networks is up to the proxy.
	Proxy *url.URL

	// RootCAs are the authorities that TLS certificates are verified against,
	// nil for those of the system.
	RootCAs *x509.CertPool

	// UserAgent is sent with every request, "Centrifuge" if empty.
	UserAgent string

	MaxIdlePerHost int           // idle connections kept to one host, 256 if 0
	MaxIdle        int           // idle connections kept altogether, 4096 if 0
	IdleTimeout    time.Duration // how long an idle connection is kept, 30 s if 0

	// DialContext, if set, is used instead of the network. The guard then sees
	// nothing but addr: it refuses endpoints that are addresses, while names are
	// whatever this function makes of them. It must honour ctx.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// Resolver resolves names, nil for [net.DefaultResolver].
	Resolver *net.Resolver

	// Observe, if set, is told of every attempt when it is over, in the goroutine
	// that made it. The header is the response's, nil if there was none. It must not
	// block, change what it is given, or keep the header.
	Observe func(job *centrifuge.Job, number uint32, result Result, header http.Header)
}

func (o Options) withDefaults() Options {
	if o.UserAgent == "" {
		o.UserAgent = "Centrifuge"
	}
	if o.MaxIdlePerHost == 0 {
		o.MaxIdlePerHost = 256
	}
	if o.MaxIdle == 0 {
		o.MaxIdle = 4096
	}
	if o.IdleTimeout == 0 {
		// Below the keep-alive timeout of most servers (60 s and more), so that
		// few connections turn out to be dead when they are needed.
		o.IdleTimeout = 30 * time.Second
	}
	return o
}

func (o Options) check() error {
	if o.MaxIdlePerHost < 0 || o.MaxIdle < 0 || o.IdleTimeout < 0 {
		return errors.New("idle connection limits must not be negative")
	}
	if !validHeaderValue(o.UserAgent) {
		return errors.New("user agent is not a valid header value")
	}
	if o.Proxy == nil {
		return nil
	}
	switch o.Proxy.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return fmt.Errorf("proxy scheme %q: want http, https, socks5 or socks5h", o.Proxy.Scheme)
	}
	if o.Proxy.Hostname() == "" {
		return errors.New("proxy has no host")
	}
	return nil
}

// Client makes attempts. It is safe for concurrent use; its connections are
// kept alive and shared between the attempts to a host.
type Client struct {
	http1     *http1.Transport
	transport *http.Transport // for HTTP/2, proxies and long requests
	proxy     *url.URL
	guard     *guard
	userAgent []string // shared by all requests, never changed
	observe   func(*centrifuge.Job, uint32, Result, http.Header)

	targets  *targets
	gzips    sync.Pool // of *gzip.Writer
	zstd     *zstd.Encoder
	requests sync.Pool // of *[]byte
	buffers  sync.Pool // of *[readSize]byte
}

// New makes a client; it fails only if the options make no sense.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("make delivery client: %w", err)
	}
	guard, err := newGuard(o.AllowNetworks)
	if err != nil {
		return nil, fmt.Errorf("make delivery client: %w", err)
	}
	encoder, err := newZstdEncoder()
	if err != nil {
		return nil, fmt.Errorf("make delivery client: %w", err)
	}
	c := &Client{
		proxy:     o.Proxy,
		guard:     guard,
		userAgent: []string{o.UserAgent},
		observe:   o.Observe,
		targets:   &targets{seed: maphash.MakeSeed()},
		zstd:      encoder,
	}
	c.gzips.New = newGzipWriter
	c.requests.New = func() any { return new([]byte) }
	c.buffers.New = func() any { return new([readSize]byte) }
	dialer := newDialer(o, guard)
	c.transport = newTransport(o, dialer)
	c.http1 = &http1.Transport{
		Dial:           dialer.dial,
		TLS:            c.transport.TLSClientConfig.Clone(), // net/http changes its own
		MaxHeader:      maxResponseHeader,
		MaxIdle:        o.MaxIdle,
		MaxIdlePerHost: o.MaxIdlePerHost,
		IdleTimeout:    o.IdleTimeout,
	}
	return c, nil
}

func newTransport(o Options, d *dialer) *http.Transport {
	t := &http.Transport{
		DialContext: d.dial,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            o.RootCAs,
			ClientSessionCache: tls.NewLRUClientSessionCache(o.MaxIdle),
		},
		DisableCompression:     true,
		MaxIdleConns:           o.MaxIdle,
		MaxIdleConnsPerHost:    o.MaxIdlePerHost,
		IdleConnTimeout:        o.IdleTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		WriteBufferSize:        8 << 10, // a typical request in one write
		ForceAttemptHTTP2:      true,
		// Many attempts share one HTTP/2 connection: notice when it is dead.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
	if o.Proxy != nil {
		t.Proxy = http.ProxyURL(o.Proxy)
		t.OnProxyConnectResponse = checkProxyResponse
	}
	return t
}

// Close closes the idle connections. Attempts under way are not interrupted
// (that is what their context is for), and none may be begun afterwards.
func (c *Client) Close() {
	c.http1.Close()
	c.transport.CloseIdleConnections()
}
