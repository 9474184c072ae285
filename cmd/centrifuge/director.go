package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"centrifuge/cmd/centrifuge/config"
)

// roleOptions are those of a process of a fleet.
type roleOptions struct {
	serveOptions
	sharedOptions
}

func newDirector() *cobra.Command {
	var o roleOptions
	cmd := &cobra.Command{
		Use:   "director",
		Short: "Accept and deliver jobs as one Director of a fleet",
		Long: `Runs one Director of a fleet: it takes a spare JobDB from MySQL by a lease in
Consul, accepts jobs over RPC and delivers them, goes over to another JobDB when the
Manager says so, and registers in Consul as centrifuge-director for clients to find.
What it shows of queues, and what it is told to do to them, is of all Directors.

All Directors and Managers of a fleet are given the same Consul, MySQL servers,
archive and token file, of which the first token, an admin's, is the one that they
show each other.

Each flag is also an environment variable (--mysql is CENTRIFUGE_MYSQL) and a key of
the YAML file that --config names.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.fill(cmd.Flags()); err != nil {
				return err
			}
			return runDirector(cmd.Context(), &o, newLogger(cmd.ErrOrStderr(), o.logFormat, o.logLevel))
		},
	}
	o.addDirectorTo(cmd.Flags())
	o.sharedOptions.addTo(cmd.Flags())
	return cmd
}

// fill completes the options and checks them.
func (o *roleOptions) fill(fs *pflag.FlagSet) error {
	if err := config.Fill(fs, os.LookupEnv); err != nil {
		return &usageError{err}
	}
	if o.archive == "" {
		return usagef("--archive: name the archive that the fleet shares")
	}
	return errors.Join(o.serveOptions.check(), o.sharedOptions.check())
}

// runDirector runs until ctx ends.
func runDirector(ctx context.Context, o *roleOptions, logger *slog.Logger) (err error) {
	tracer, end, err := begin(ctx, &o.serveOptions)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	listener, err := listen(ctx, o.listen)
	if err != nil {
		return err
	}
	s, err := o.open(listener, logger)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, s.close()) }()
	served, register := s.register(o.advertise)
	s.serving = served
	s.besides = append(s.besides, register)
	if err := s.joinOthers(o); err != nil {
		return err
	}
	return serveDirector(ctx, &o.serveOptions, s.fleet, listener, tracer, logger)
}

// open opens the fleet for the process that listens there.
func (o *roleOptions) open(listener net.Listener, logger *slog.Logger) (*shared, error) {
	if err := o.settle(listener.Addr(), o.tlsCert != ""); err != nil {
		return nil, err
	}
	return openShared(&o.sharedOptions, logger)
}
