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
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"centrifuge/archive"
	"centrifuge/cmd/centrifuge/config"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlite"
	"centrifuge/lease"
	"centrifuge/lease/local"
	"centrifuge/rpc"
	"centrifuge/schedule"
)

// What lies in the data folder beside the lease and, by default, the archive.
const jobdbName = "jobdb-000001.db"

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
			if err := o.check(); err != nil {
				return err
			}
			return serve(cmd.Context(), &o, newLogger(cmd.ErrOrStderr(), o.logFormat, o.logLevel))
		},
	}
	o.addTo(cmd.Flags())
	return cmd
}

// serve runs until ctx ends.
func serve(ctx context.Context, o *serveOptions, logger *slog.Logger) (err error) {
	if err := rpc.CheckExposure(o.listen, o.tokenFile != ""); err != nil {
		return err
	}
	if o.memoryLimit > 0 {
		debug.SetMemoryLimit(int64(o.memoryLimit))
	}
	tracer, err := newTracer(ctx, o.otlpEndpoint)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tracer.close(ctx)) }()
	owned, err := acquire(ctx, o.dataDir)
	if errors.Is(err, lease.ErrHeld) {
		err = fmt.Errorf("%w; one process serves a folder (--data-dir)", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, owned.Close(context.WithoutCancel(ctx))) }()
	store, err := openArchive(ctx, o, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	deliverer, err := newDeliverer(o)
	if err != nil {
		return err
	}
	defer deliverer.Close()

	var given atomic.Bool
	d, err := director.New(director.Options{
		Acquire: func(context.Context) (director.Holding, error) {
			if given.Swap(true) {
				return director.Holding{}, errors.New("the data folder holds no other JobDB")
			}
			return director.Holding{
				Name:  jobdb.Name(1),
				Lease: owned,
				Open: func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
					return sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(o.dataDir, jobdbName), Epoch: epoch, Logger: logger})
				},
			}, nil
		},
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
		FreeDisk:       func() (uint64, error) { return freeDisk(o.dataDir) },
		MinFreeDisk:    uint64(o.minFreeDisk),
		ShutdownGrace:  o.shutdownGrace,
		Logger:         logger,
	})
	if err != nil {
		return err
	}
	server, err := newServer(o, d, tracer, logger)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, o.listen)
	if err != nil {
		return err
	}
	logger.Info("listening", "address", listener.Addr().String(), "tls", o.tlsCert != "",
		"tokens", o.tokenFile != "", "data_dir", o.dataDir, "version", versionName(), "epoch", owned.Epoch())
	err = direct(ctx, d, server, listener, logger)
	logger.Info("stopped", "clean", err == nil)
	return err
}

// direct runs the Director behind the server until ctx ends or one of them
// fails.
//
// The server comes first and goes last, so that /readyz can say what the
// Director is about. When ctx ends: the Director stops being ready and refuses
// Submits; attempts under way end, or are cut off after the grace; what was
// logged is flushed and the JobDB closed; all that the Director does. Only then
// the listener closes, and calls under way get the answers that are due to them.
// The archive and the lease, which serve let go of after that, are last:
// whoever takes the lease over finds nobody else writing.
func direct(ctx context.Context, d *director.Director, server *rpc.Server, listener net.Listener, logger *slog.Logger) error {
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	directing, stopDirecting := context.WithCancel(ctx)
	defer stopDirecting()
	stopped := context.AfterFunc(directing, func() { logger.Info("shutting down") })
	defer stopped()

	served, directed := make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(serving, listener) }()
	go func() { directed <- d.Run(directing) }()
	select {
	case err := <-directed:
		stopServing()
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = nil // it was asked to end before it had begun to serve
		}
		return errors.Join(err, <-served)
	case err := <-served:
		stopDirecting()
		return errors.Join(err, <-directed)
	}
}

// leasePatience is how long a folder's last holder may take to be gone: a process
// that was killed holds its lock until the kernel has buried it.
const leasePatience = 2 * time.Second

func acquire(ctx context.Context, dir string) (*local.Lease, error) {
	patience := time.NewTimer(leasePatience)
	defer patience.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		owned, err := local.Acquire(dir)
		if !errors.Is(err, lease.ErrHeld) {
			return owned, err
		}
		select {
		case <-tick.C:
		case <-patience.C:
			return nil, err
		case <-ctx.Done():
			return nil, err
		}
	}
}

func newDeliverer(o *serveOptions) (*delivery.Client, error) {
	options := delivery.Options{
		AllowNetworks:  o.allowNetworks,
		UserAgent:      "Centrifuge/" + versionName(),
		MaxIdlePerHost: o.maxPerDestination,
		MaxIdle:        max(o.maxInFlight, 4096),
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

func newServer(o *serveOptions, d *director.Director, tracer *tracer, logger *slog.Logger) (*rpc.Server, error) {
	var tokens *rpc.Tokens
	if o.tokenFile != "" {
		var err error
		if tokens, err = rpc.OpenTokens(o.tokenFile, logger); err != nil {
			return nil, err
		}
	}
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		d.Collector(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return rpc.NewServer(rpc.Options{
		Backends:       rpc.Backends{Jobs: d, Queues: d, Archive: d, Ledger: d},
		Ready:          d.Ready,
		Registry:       registry,
		Version:        versionName(),
		Tokens:         tokens,
		OpenMetrics:    o.openMetrics,
		Profiles:       o.pprof,
		CertFile:       o.tlsCert,
		KeyFile:        o.tlsKey,
		MaxConnections: o.maxConnections,
		Tracer:         tracer.provider(),
		Logger:         logger,
	})
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w; choose another with --listen", err)
	}
	return listener, err
}

// freeDisk is what the file system has left for us, in bytes.
func freeDisk(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}
