package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"centrifuge/access/audit"
	"centrifuge/access/links"
	"centrifuge/archive"
	"centrifuge/cmd/centrifuge/config"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/rpc"
	"centrifuge/schedule"
)

func newServe() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Accept and deliver jobs",
		Long: `Runs every role in one process: it accepts jobs over RPC, keeps them in a SQLite
JobDB in the data folder, delivers them, and archives what expires.

Each flag is also an environment variable (--data-dir is CENTRIFUGE_DATA_DIR) and a
key of the YAML file that --config names (data-dir). The command line goes before
the environment, and that before the file.

SIGTERM or an interrupt ends it in order; a second one at once. Nothing that was
accepted is lost either way.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := config.Fill(cmd.Flags(), os.LookupEnv); err != nil {
				return &usageError{err}
			}
			if err := errors.Join(o.check(), o.manageOptions.check()); err != nil {
				return err
			}
			return serve(cmd.Context(), &o, newLogger(cmd.ErrOrStderr(), o.logFormat, o.logLevel))
		},
	}
	o.addTo(cmd.Flags())
	return cmd
}

// serve runs every role until ctx ends. The folder is let go of last: whoever takes
// it over finds nobody else writing.
func serve(ctx context.Context, o *serveOptions, logger *slog.Logger) (err error) {
	tracer, end, err := begin(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	f, letGo, err := openLocalFleet(ctx, o.dataDir, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, letGo()) }()
	listener, err := listen(ctx, o.listen)
	if err != nil {
		return err
	}
	return serveDirector(ctx, o, f, listener, tracer, logger)
}

// begin is what every role begins with; end is called when it has ended.
func begin(ctx context.Context, o *serveOptions) (_ *tracer, end func() error, err error) {
	if err := rpc.CheckExposure(o.listen, o.tokenFile != "" || o.access.issuer != ""); err != nil {
		return nil, nil, err
	}
	if o.memoryLimit > 0 {
		debug.SetMemoryLimit(int64(o.memoryLimit))
	}
	tracer, err := newTracer(ctx, o.otlpEndpoint)
	if err != nil {
		return nil, nil, err
	}
	untune := tuneCollector()
	return tracer, func() error {
		untune()
		return tracer.close(ctx)
	}, nil
}

// serveDirector runs a Director of the fleet behind the listener until ctx ends;
// with a Manager, if it is all of the fleet.
func serveDirector(
	ctx context.Context, o *serveOptions, f *fleet, listener net.Listener, tracer *tracer, logger *slog.Logger,
) (err error) {
	defer func() { _ = listener.Close() }() // which the server has done, if it came to that
	store, err := openArchive(ctx, o, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	// Both outlast the Director, whose last transitions and actions they take in.
	past := openHistory(ctx, &historyOptions{url: o.history, dataDir: o.dataDir, writer: f.owner.Name, retention: o.retention}, logger)
	defer func() { err = errors.Join(err, past.close()) }()
	f.observe = past.observer()
	log, err := audit.Open(audit.Options{Dir: filepath.Join(o.dataDir, "audit")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	deliverer, err := newDeliverer(o, past)
	if err != nil {
		return err
	}
	defer deliverer.Close()

	d, err := director.New(director.Options{
		Name:      f.owner.Name,
		Acquire:   f.acquire,
		Released:  f.released,
		Serving:   f.serve,
		Past:      f.findPast,
		Deliverer: tracer.deliverer(deliverer),
		Archive:   archive.New(store),
		Schedule: schedule.Options{
			MaxInFlight:       o.maxInFlight,
			MaxPerDestination: o.maxPerDestination,
			MaxPerQueue:       o.maxPerQueue,
		},
		CommitInterval: o.commitInterval,
		CacheBytes:     int64(o.cacheSize),
		MaxPending:     o.maxPending,
		FreeDisk:       f.freeDisk,
		MinFreeDisk:    uint64(o.minFreeDisk),
		ShutdownGrace:  o.shutdownGrace,
		Observe:        f.observe,
		Logger:         logger,
	})
	if err != nil {
		return err
	}
	f.together(d)
	backends := rpc.Backends{
		Jobs: d, Queues: f.all, Archive: d, Search: f.all, Director: d, Name: f.owner.Name,
	}
	if err := f.join(ctx, o, d, store, listener.Addr().String(), &backends); err != nil {
		return err
	}
	watch, err := f.watch(o.alertRules, d, backends.Ledger, past, log)
	if err != nil {
		return err
	}
	defer runWatch(ctx, watch)()
	f.tell(&backends, d, past, watch)
	server, err := newServer(o, d, f, backends, past, log, tracer, logger)
	if err != nil {
		return err
	}
	logger.Info("listening", "address", listener.Addr().String(), "tls", o.tlsCert != "",
		"tokens", o.tokenFile != "", "data_dir", o.dataDir, "version", versionName(), "name", f.owner.Name)
	err = beside(ctx, f.work(d), server, listener, logger)
	logger.Info("stopped", "clean", err == nil)
	return err
}

// beside runs what a process is for beside the server, until ctx ends or one of
// them fails.
//
// The server comes first and goes last, so that /readyz can say what the
// Director is about. When ctx ends: the Director stops being ready and refuses
// Submits; attempts under way end, or are cut off after the grace; what was
// logged is flushed and the JobDB closed; all that the Director does. Only then
// the listener closes, and calls under way get the answers that are due to them.
func beside(ctx context.Context, work func(context.Context) error, server *rpc.Server, listener net.Listener, logger *slog.Logger) error {
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	working, stopWorking := context.WithCancel(ctx)
	defer stopWorking()
	stopped := context.AfterFunc(working, func() { logger.Info("shutting down") })
	defer stopped()

	served, worked := make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(serving, listener) }()
	go func() { worked <- work(working) }()
	select {
	case err := <-worked:
		stopServing()
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = nil // it was asked to end before it had begun to serve
		}
		return errors.Join(err, <-served)
	case err := <-served:
		stopWorking()
		return errors.Join(err, <-worked)
	}
}

func newDeliverer(o *serveOptions, past *history) (*delivery.Client, error) {
	options := delivery.Options{
		AllowNetworks:  o.allowNetworks,
		UserAgent:      "Centrifuge/" + versionName(),
		MaxIdlePerHost: o.maxPerDestination,
		MaxIdle:        max(o.maxInFlight, 4096),
	}
	if past != nil {
		options.Observe = past.recorder.Sample
	}
	var err error
	if options.Proxy, err = parseProxy(o.proxy); err != nil {
		return nil, err
	}
	if o.caFile != "" {
		if options.RootCAs, err = readCAs(o.caFile); err != nil {
			return nil, err
		}
	}
	return delivery.New(options)
}

func newServer(
	o *serveOptions, d *director.Director, f *fleet, backends rpc.Backends, past *history, log *audit.Log, tracer *tracer, logger *slog.Logger,
) (*rpc.Server, error) {
	entrance, err := openEntrance(&o.access, o.tokenFile, log, logger)
	if err != nil {
		return nil, err
	}
	entrance.links = links.New(f.links, nil)
	if err := entrance.openKeys(&o.access, o.dataDir, logger); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	for _, c := range append([]prometheus.Collector{
		d.Collector(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}, f.collectors...) {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	door, err := entrance.door(logger)
	if err != nil {
		return nil, err
	}
	pages, err := newDashboard(backends, entrance.customerLinks(door), past, log, entrance.signOutPath(), logger)
	if err != nil {
		return nil, err
	}
	options := rpc.Options{
		Backends:       backends,
		Ready:          f.ready(d),
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
	entrance.give(&options, door, pages)
	return rpc.NewServer(options)
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w; choose another with --listen", err)
	}
	return listener, err
}
