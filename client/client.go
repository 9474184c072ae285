// Package client talks to a Director over RPC, and repeats a Submit whose
// outcome it could not learn until it knows it.
package client

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"connectrpc.com/connect"

	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
)

// Defaults of [Options].
const (
	DefaultURL      = "http://127.0.0.1:7800"
	DefaultTimeout  = 30 * time.Second
	DefaultRetryFor = time.Minute
)

// Options says how to reach a Director. The zero value reaches one that runs
// with its own defaults on the same machine.
type Options struct {
	// URL is where the Director listens, http or https. Default [DefaultURL].
	URL string
	// Token is sent as the bearer token, if it is not empty.
	Token string
	// RootCAs verify the Director's certificate; nil means the system's.
	RootCAs *x509.CertPool
	// Timeout bounds one call. Default [DefaultTimeout].
	Timeout time.Duration
	// RetryFor is how long after its first call a Submit may be begun once more.
	// Default [DefaultRetryFor]; negative means never.
	RetryFor time.Duration
	// OnRetry, if not nil, is told of each failed call of a Submit that is
	// repeated, before the wait. It may be called concurrently.
	OnRetry func(err error, wait time.Duration)
	// Transport carries the calls. Default: connections of the client's own,
	// with RootCAs.
	Transport http.RoundTripper
}

// Client is a connection to one Director. It is safe for concurrent use.
//
// Its services make one call each, and fail if it fails; Submit is the method
// that goes on.
type Client struct {
	Jobs       centrifugev1connect.JobServiceClient
	Queues     centrifugev1connect.QueueServiceClient
	Archive    centrifugev1connect.ArchiveServiceClient
	Ledger     centrifugev1connect.LedgerServiceClient
	Audit      centrifugev1connect.AuditServiceClient
	Access     centrifugev1connect.AccessServiceClient
	Visibility centrifugev1connect.VisibilityServiceClient
	Fleet      centrifugev1connect.FleetServiceClient
	Director   centrifugev1connect.DirectorServiceClient

	http     *http.Client
	retryFor time.Duration
	onRetry  func(error, time.Duration)
}

// New makes a Client. It connects when it is first used. It fails if the URL is
// not an absolute http or https one.
func New(o Options) (*Client, error) {
	if o.URL == "" {
		o.URL = DefaultURL
	}
	if err := checkURL(o.URL); err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.RetryFor == 0 {
		o.RetryFor = DefaultRetryFor
	}
	if o.Transport == nil {
		o.Transport = newTransport(o.RootCAs)
	}
	c := &Client{http: &http.Client{Transport: o.Transport}, retryFor: o.RetryFor, onRetry: o.OnRetry}
	calls := connect.WithInterceptors(call{timeout: o.Timeout, token: o.Token}.interceptor())
	c.Jobs = centrifugev1connect.NewJobServiceClient(c.http, o.URL, calls)
	c.Queues = centrifugev1connect.NewQueueServiceClient(c.http, o.URL, calls)
	c.Archive = centrifugev1connect.NewArchiveServiceClient(c.http, o.URL, calls)
	c.Ledger = centrifugev1connect.NewLedgerServiceClient(c.http, o.URL, calls)
	c.Audit = centrifugev1connect.NewAuditServiceClient(c.http, o.URL, calls)
	c.Access = centrifugev1connect.NewAccessServiceClient(c.http, o.URL, calls)
	c.Visibility = centrifugev1connect.NewVisibilityServiceClient(c.http, o.URL, calls)
	c.Fleet = centrifugev1connect.NewFleetServiceClient(c.http, o.URL, calls)
	c.Director = centrifugev1connect.NewDirectorServiceClient(c.http, o.URL, calls)
	return c, nil
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("the Director's URL %q: want http://HOST:PORT or https://HOST:PORT", s)
	}
	return nil
}

func newTransport(roots *x509.CertPool) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	t.MaxIdleConnsPerHost = 64 // of one host are all of them
	return t
}
