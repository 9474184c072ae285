package rpc

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"centrifuge/access/audit"
	"centrifuge/director"
)

// Options are what a server is made of. Backends, Ready and Registry are
// required; other zero fields mean the defaults.
type Options struct {
	// Backends answer the calls.
	Backends Backends

	// Ready tells why the Director does not serve, nil when it does.
	Ready func() error

	// Registry is what /metrics shows. The server registers its own metrics in it.
	Registry *prometheus.Registry

	// Version is shown on the front page.
	Version string

	// Pages, if given, answers under every path that is not the API's, / among them.
	// The request's context names the principal of its token, of the open server, or
	// nobody; signing in is the pages' own affair.
	Pages http.Handler

	// Tokens and Identity tell whom a call acts for. Without either the server is
	// open to whoever can reach it, as an admin. Only /, /healthz and /readyz never
	// need a token.
	Tokens   *Tokens
	Identity Identity

	// Login tells command lines how people sign in; nil if they do not.
	Login *Login

	// Links makes and revokes customers' links; nil if there is no dashboard to link to.
	Links *CustomerLinks

	// Audit keeps the log of every action; nil keeps none.
	Audit *audit.Log

	// OpenMetrics serves /metrics without a token.
	OpenMetrics bool

	// Profiles serves /debug/pprof/.
	Profiles bool

	// CertFile and KeyFile (PEM) turn on TLS, 1.2 at least. They are read again
	// when they change.
	CertFile, KeyFile string

	// MaxConnections is how many connections are open at once; others wait to be
	// accepted. Default 4,096.
	MaxConnections int

	// MaxHeaderBytes bounds a request's header. Default 64 KiB.
	MaxHeaderBytes int

	// MaxMessageBytes bounds a request's body, before and after decompression.
	// The default is twice what a Submit's payloads may be, since they grow by a
	// third in JSON and names and URLs come with them; a Submit between the two is
	// refused by the Director, which can say what is too large in it.
	MaxMessageBytes int64

	// HeaderTimeout and ReadTimeout are how long a request's header, and all of
	// it, may take to arrive. Defaults 10 s and 1 min.
	HeaderTimeout time.Duration
	ReadTimeout   time.Duration

	// WriteTimeout is how long an answer may take to leave. Default 1 min.
	WriteTimeout time.Duration

	// IdleTimeout is how long a connection is kept for a next request. Default 2 min.
	IdleTimeout time.Duration

	// CallTimeout is how long a call may take; ArchiveService.Replay and
	// LedgerService.Get may take 15 min. Default 30 s.
	CallTimeout time.Duration

	// ShutdownGrace is how long calls under way may take to end at shutdown.
	// Default 15 s.
	ShutdownGrace time.Duration

	// Tracer makes a span of each call, if it is given.
	Tracer trace.TracerProvider

	// Logger is told of every call at debug level, and of what goes wrong here.
	// It sees neither payloads nor tokens. Default: none.
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	b := o.Backends
	switch {
	case b.Fleet == nil && (b.Jobs == nil || b.Queues == nil || b.Archive == nil || b.Ledger == nil):
		return o, errors.New("a backend is missing")
	case o.Ready == nil:
		return o, errors.New("the option Ready is missing")
	case o.Registry == nil:
		return o, errors.New("the option Registry is missing")
	case (o.CertFile == "") != (o.KeyFile == ""):
		return o, errors.New("TLS needs a certificate and its key, and one of them is missing")
	}
	o.Version = cmp.Or(o.Version, "unknown")
	o.MaxConnections = cmp.Or(o.MaxConnections, 4096)
	o.MaxHeaderBytes = cmp.Or(o.MaxHeaderBytes, 64<<10)
	o.MaxMessageBytes = cmp.Or(o.MaxMessageBytes, 2*director.MaxSubmitBytes)
	o.HeaderTimeout = cmp.Or(o.HeaderTimeout, 10*time.Second)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, time.Minute)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, time.Minute)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 2*time.Minute)
	o.CallTimeout = cmp.Or(o.CallTimeout, 30*time.Second)
	o.ShutdownGrace = cmp.Or(o.ShutdownGrace, 15*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}
