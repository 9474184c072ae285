package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"centrifuge/archive"
	"centrifuge/client"
	"centrifuge/director"
	"centrifuge/jobdb/mysql"
	"centrifuge/lease/consul"
	"centrifuge/manager"
	"centrifuge/manager/consulstore"
	"centrifuge/rpc"
)

const (
	// urlKey is where a registration has the URL of its Director.
	urlKey = "url"
	// aliveFor is how long a Director that died stays on the list of those that live.
	aliveFor = 10 * time.Second
	// statusPatience is how long a Director may take to say how it is.
	statusPatience = 3 * time.Second
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
		address, err := hostOf(advertise)
		if err != nil { // which check has excluded
			s.logger.ErrorContext(ctx, "cannot register", "error", err)
			return
		}
		service := consul.Service{Name: s.service, ID: s.service + ":" + s.owner.Name, Address: address, Meta: map[string]string{
			urlKey: advertise, "name": s.owner.Name,
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

// peers are the Directors of a fleet, over RPC. They implement [manager.Directors].
type peers struct {
	consul  *consul.Client
	service string
	token   string
	caFile  string

	mu struct {
		sync.Mutex
		clients map[string]*client.Client // by URL
	}
}

var _ manager.Directors = (*peers)(nil)

func newPeers(c *consul.Client, o *roleOptions) (*peers, error) {
	p := &peers{consul: c, service: o.service(), caFile: o.peerCA}
	p.mu.clients = make(map[string]*client.Client)
	var err error
	p.token, err = (&remote{tokenFile: o.tokenFile}).token()
	return p, err
}

// Status implements [manager.Directors]: it asks all of them at once.
func (p *peers) Status(ctx context.Context) ([]manager.Director, error) {
	services, err := p.consul.Services(ctx, p.service)
	if err != nil {
		return nil, err
	}
	p.forget(services)
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	directors := make([]manager.Director, len(services))
	var asked sync.WaitGroup
	for i, s := range services {
		asked.Go(func() {
			peer, err := p.peer(s.Meta[urlKey])
			if err == nil {
				directors[i], err = peer.Status(ctx)
			}
			if err != nil {
				directors[i] = manager.Director{Err: err}
			}
			directors[i].Name, directors[i].Address = s.Meta["name"], s.Meta[urlKey]
		})
	}
	asked.Wait()
	return directors, nil
}

// Cycle implements [manager.Directors].
func (p *peers) Cycle(ctx context.Context, name string) (before, now string, err error) {
	services, err := p.consul.Services(ctx, p.service)
	if err != nil {
		return "", "", err
	}
	for _, s := range services {
		if s.Meta["name"] == name {
			peer, err := p.peer(s.Meta[urlKey])
			if err != nil {
				return "", "", err
			}
			return peer.Cycle(ctx)
		}
	}
	return "", "", fmt.Errorf("director %q: %w", name, manager.ErrUnknown)
}

// target is where a drain brings jobs.
func (p *peers) target(d manager.Director) (director.Target, error) { return p.peer(d.Address) }

func (p *peers) peer(url string) (*rpc.Peer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.mu.clients[url]
	if c == nil {
		o := client.Options{URL: url, Token: p.token}
		var err error
		if p.caFile != "" {
			if o.RootCAs, err = readCAs(p.caFile); err != nil {
				return nil, err
			}
		}
		if c, err = client.New(o); err != nil {
			return nil, err
		}
		p.mu.clients[url] = c
	}
	return rpc.NewPeer(c.Director), nil
}

// forget lets go of the connections to those that live no more.
func (p *peers) forget(living []consul.Service) {
	p.mu.Lock()
	defer p.mu.Unlock()
	alive := make(map[string]bool, len(living))
	for _, s := range living {
		alive[s.Meta[urlKey]] = true
	}
	for url, c := range p.mu.clients {
		if !alive[url] {
			c.Close()
			delete(p.mu.clients, url)
		}
	}
}

// managing runs the Manager whenever this process has the lease for it.
func (s *shared) managing(m *manager.Manager) func(context.Context) error {
	return func(ctx context.Context) error {
		for ctx.Err() == nil {
			held, err := s.consul.Acquire(ctx, "manager")
			if err != nil {
				return err
			}
			s.logger.InfoContext(ctx, "managing the fleet", "epoch", held.Epoch())
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
			m.Run(running)
			stop()
			<-lost
			if err := held.Close(context.WithoutCancel(ctx)); err != nil {
				s.logger.WarnContext(ctx, "cannot give up the Manager's lease; it ends by itself", "error", err)
			}
		}
		return nil
	}
}

// newManager makes the Manager of the fleet.
func (s *shared) newManager(o *serveOptions, p *peers, store archive.Bucket) (*manager.Manager, error) {
	return s.manage(&o.manageOptions, p, store, p.target)
}
