package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"centrifuge/access/audit"
	"centrifuge/manager"
	"centrifuge/rpc"
)

func newManager() *cobra.Command {
	var o roleOptions
	cmd := &cobra.Command{
		Use:   "manager",
		Short: "Manage the JobDBs of a fleet",
		Long: `Keeps spare JobDBs ready for the Directors of a fleet, has a Director go over to one
when its JobDB is large or old, moves the unfinished jobs of what was left, or of a
Director that died, to one that lives, and drops what is empty.

Several may run: one manages, by a lease in Consul, and the others take over when it
is gone. What the fleet shares is told under "centrifuge director --help".`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.fill(cmd.Flags()); err != nil {
				return err
			}
			if err := o.manageOptions.check(); err != nil {
				return err
			}
			return runManager(cmd.Context(), &o, newLogger(cmd.ErrOrStderr(), o.logFormat, o.logLevel))
		},
	}
	o.addManagerTo(cmd.Flags())
	o.sharedOptions.addTo(cmd.Flags())
	return cmd
}

// runManager runs until ctx ends.
func runManager(ctx context.Context, o *roleOptions, logger *slog.Logger) (err error) {
	tracer, end, err := begin(ctx, &o.serveOptions)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	listener, err := listen(ctx, o.listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // which the server has done, if there was one
	s, err := o.open(listener, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	store, err := openArchive(ctx, &o.serveOptions, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	peers, err := newPeers(s.consul, o)
	if err != nil {
		return err
	}
	m, err := s.newManager(&o.serveOptions, peers, store)
	if err != nil {
		return err
	}
	var log *audit.Log
	if o.dataDir != "" {
		if log, err = audit.Open(audit.Options{Dir: filepath.Join(o.dataDir, "audit")}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, log.Close()) }()
	}
	server, err := newManagerServer(&o.serveOptions, m, log, tracer, logger)
	if err != nil {
		return err
	}
	logger.Info("listening", "address", listener.Addr().String(), "tls", o.tlsCert != "",
		"tokens", o.tokenFile != "", "version", versionName(), "name", o.name)
	err = beside(ctx, s.managing(m), server, listener, logger)
	logger.Info("stopped", "clean", err == nil)
	return err
}

func newManagerServer(o *serveOptions, m *manager.Manager, log *audit.Log, tracer *tracer, logger *slog.Logger) (*rpc.Server, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		m.Collector(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	options := rpc.Options{
		Backends:       rpc.Backends{Fleet: m, Ledger: &fleetLedger{m: m}},
		Ready:          func() error { return nil },
		Registry:       registry,
		Version:        versionName(),
		OpenMetrics:    o.openMetrics,
		Profiles:       o.pprof,
		CertFile:       o.tlsCert,
		KeyFile:        o.tlsKey,
		MaxConnections: o.maxConnections,
		Tracer:         tracer.provider(),
		Logger:         logger,
	}
	entrance, err := openEntrance(&o.access, o.tokenFile, log, logger)
	if err != nil {
		return nil, err
	}
	entrance.admit(&options)
	return rpc.NewServer(options)
}
