package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"golang.org/x/net/netutil"
)

// Server serves a Director on a listener.
type Server struct {
	options Options
	handler http.Handler
	tls     *tls.Config // nil: none
}

// NewServer checks the options, reads the certificate if there is one, and
// registers the server's metrics.
func NewServer(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("make the server: %w", err)
	}
	s := &Server{options: o}
	if s.handler, err = newHandler(&o); err != nil {
		return nil, fmt.Errorf("make the server: %w", err)
	}
	if o.CertFile != "" {
		if s.tls, err = openTLS(o.CertFile, o.KeyFile, o.Logger); err != nil {
			return nil, fmt.Errorf("make the server: %w", err)
		}
	}
	return s, nil
}

// Handler is what the server serves, for use under another listener; the limits
// of connections and headers are then that listener's to keep.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve serves HTTP/1.1 and HTTP/2 on the listener, over TLS if there is a
// certificate and without it otherwise, until ctx ends. Then it accepts nothing
// more, waits for the calls under way and returns nil; those that outlast
// ShutdownGrace are cut off, and the error says so. It closes the listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	// Calls outlive ctx by the grace that they are given.
	calls, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()

	server := s.httpServer()
	server.BaseContext = func(net.Listener) context.Context { return calls }
	listener = netutil.LimitListener(listener, s.options.MaxConnections)
	ended := make(chan error, 1)
	go func() {
		if s.tls != nil {
			ended <- server.ServeTLS(listener, "", "")
		} else {
			ended <- server.Serve(listener)
		}
	}()

	select {
	case err := <-ended:
		_ = server.Close() // the listener is what failed, and that is told
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	// In this order: the listener closes, so that clients turn elsewhere; idle
	// connections close; calls under way end; only then is what is left cut off.
	grace, cancel := context.WithTimeout(calls, s.options.ShutdownGrace)
	defer cancel()
	err := server.Shutdown(grace)
	if err != nil {
		_ = server.Close() // the listener was closed by Shutdown
	}
	<-ended
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("shut down: calls were still under way after %s and were cut off", s.options.ShutdownGrace)
	}
	if err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

func (s *Server) httpServer() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           s.handler,
		TLSConfig:         s.tls.Clone(),
		Protocols:         protocols,
		MaxHeaderBytes:    s.options.MaxHeaderBytes,
		ReadHeaderTimeout: s.options.HeaderTimeout,
		ReadTimeout:       s.options.ReadTimeout,
		IdleTimeout:       s.options.IdleTimeout,
		// WriteTimeout is set for each call, which knows its own deadline.
		ErrorLog: slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelWarn),
	}
}
