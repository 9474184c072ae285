package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"centrifuge/archive"
	"centrifuge/jobdb/mysql"
	"centrifuge/lease/consul"
	"centrifuge/manager"
	"centrifuge/manager/consulstore"
)

const (
	// urlKey is where a registration has the URL of its Director.
	urlKey = "url"
	// nameKey is where it has the Director's name.
	nameKey = "name"
	// aliveFor is how long a Director that died stays on the list of those that live.
	aliveFor = 10 * time.Second
)

// shared is a fleet of many processes: JobDBs on MySQL, leases and the catalog in
// Consul.
type shared struct {
	*fleet
	consul  *consul.Client
	service string // what its Directors are called in Consul
	pool    *mysql.Pool
}

func openShared(o *sharedOptions, logger *slog.Logger) (*shared, error) {
	servers := make([]mysql.Server, len(o.mysql))
	for i, address := range o.mysql {
		servers[i] = mysql.Server{Address: address, User: o.mysqlUser, PasswordFile: o.mysqlPasswordFile}
		if o.mysqlTLS {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, usagef("--mysql-tls: %w", err)
			}
			servers[i].TLS = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
		}
	}
	pool, err := mysql.NewPool(mysql.PoolOptions{Servers: servers, Prefix: o.mysqlPrefix, Logger: logger})
	if err != nil {
		return nil, err
	}
	client, err := o.newClient(logger)
	if err != nil {
		return nil, err
	}
	f := newFleet(o.name, consulstore.NewCatalog(client, o.consulPrefix+"/catalog/"), consulstore.NewLeases(client), pool, logger)
	f.links = &consulNotes{client, o.consulPrefix + "/links/"}
	return &shared{fleet: f, consul: client, service: o.service(), pool: pool}, nil
}

func (s *shared) close() error {
	s.consul.Close()
	return s.pool.Close()
}

// register has Consul list the Director from the first time that it serves until
// it is to end: before its jobs stop being accepted, so that clients go elsewhere.
func (s *shared) register(advertise string) (served func(), run func(context.Context)) {
	ready := make(chan struct{})
	var once sync.Once
	return func() { once.Do(func() { close(ready) }) }, func(ctx context.Context) {
		select {
		case <-ready:
		case <-ctx.Done():
			return
		}
		select {
		case <-s.all.Learned(): // nothing is sent that a policy forbids
		case <-ctx.Done():
			return
		}
		address, err := hostOf(advertise)
		if err != nil { // which check has excluded
			s.logger.ErrorContext(ctx, "cannot register", "error", err)
			return
		}
		service := consul.Service{Name: s.service, ID: s.service + ":" + s.owner.Name, Address: address, Meta: map[string]string{
			urlKey: advertise, nameKey: s.owner.Name,
		}}
		for {
			registration, err := s.consul.Register(ctx, service, aliveFor)
			if err == nil {
				<-ctx.Done()
				if err := registration.Close(context.WithoutCancel(ctx)); err != nil {
					s.logger.WarnContext(ctx, "cannot deregister; it happens by itself", "error", err)
				}
				return
			}
			s.logger.WarnContext(ctx, "cannot register with Consul; trying on", "error", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
		}
	}
}

// managerLease is that of the process that manages.
const managerLease = "manager"

// managing runs the Manager whenever this process has the lease for it.
func (s *shared) managing(m *manager.Manager) func(context.Context) error {
	return func(ctx context.Context) error {
		return s.whileHeld(ctx, managerLease, func(ctx context.Context, epoch uint64) {
			s.logger.InfoContext(ctx, "managing the fleet", "epoch", epoch)
			m.Run(ctx)
		})
	}
}

// whileHeld runs something whenever this process has the lease of a name, until ctx
// ends. Of all processes of the fleet one has.
func (s *shared) whileHeld(ctx context.Context, name string, run func(ctx context.Context, epoch uint64)) error {
	for ctx.Err() == nil {
		held, err := s.consul.Acquire(ctx, name)
		if err != nil {
			return err
		}
		running, stop := context.WithCancel(ctx)
		lost := make(chan struct{})
		go func() {
			defer close(lost)
			select {
			case <-held.Done():
				stop()
			case <-running.Done():
			}
		}()
		run(running, held.Epoch())
		stop()
		<-lost
		if err := held.Close(context.WithoutCancel(ctx)); err != nil {
			s.logger.WarnContext(ctx, "cannot give up a lease; it ends by itself", "lease", name, "error", err)
		}
	}
	return nil
}

// errUnheld means that no process of the fleet has a lease at the moment.
var errUnheld = errors.New("nobody has the lease")

// holder is where the process listens that has a lease.
func (s *shared) holder(ctx context.Context, name string) (address string, err error) {
	holders, err := s.consul.Holders(ctx)
	if err != nil {
		return "", err
	}
	for _, h := range holders {
		if h.Name == name && h.Held {
			return h.Address, nil
		}
	}
	return "", fmt.Errorf("lease %s: %w", name, errUnheld)
}

// newManager makes the Manager of the fleet.
func (s *shared) newManager(o *serveOptions, p *peers, store archive.Bucket) (*manager.Manager, error) {
	return s.manage(&o.manageOptions, p, store, p.target)
}
