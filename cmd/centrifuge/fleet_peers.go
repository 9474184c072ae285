package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"centrifuge/client"
	"centrifuge/director"
	"centrifuge/lease/consul"
	"centrifuge/manager"
	"centrifuge/rpc"
)

// statusPatience is how long a Director may take to say how it is.
const statusPatience = 3 * time.Second

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
			directors[i].Name, directors[i].Address = s.Meta[nameKey], s.Meta[urlKey]
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
		if s.Meta[nameKey] == name {
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
	c, err := p.client(url)
	if err != nil {
		return nil, err
	}
	return rpc.NewPeer(c.Director), nil
}

// client reaches a process of the fleet.
func (p *peers) client(url string) (*client.Client, error) {
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
	return c, nil
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
