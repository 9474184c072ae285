package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"
)

// forget is how long Consul keeps an instance on its list that has died, for
// people to see.
const forget = 10 * time.Minute

// Service is an instance of something that others look for.
type Service struct {
	Name    string // of what it is an instance
	ID      string // its own, among all that the agent knows
	Address string // where it listens, as host:port
	Meta    map[string]string
}

// Registration keeps an instance on the list of those that live, until Close.
type Registration struct {
	client  *Client
	service *api.AgentServiceRegistration
	every   time.Duration
	stop    context.CancelFunc
	kept    chan struct{}
}

// Register puts s on the list of those that live. If the process dies, or cannot
// reach the agent, s leaves the list after ttl. It outlives ctx, and an agent that
// forgot it.
func (c *Client) Register(ctx context.Context, s Service, ttl time.Duration) (*Registration, error) {
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", s.ID, err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("register %s: port of %s: %w", s.ID, s.Address, err)
	}
	r := &Registration{
		client: c,
		service: &api.AgentServiceRegistration{
			ID: s.ID, Name: s.Name, Address: host, Port: int(number), Meta: s.Meta,
			Check: &api.AgentServiceCheck{
				CheckID: checkID(s.ID), TTL: ttl.String(), Status: api.HealthPassing,
				DeregisterCriticalServiceAfter: forget.String(),
			},
		},
		every: ttl / 3,
		kept:  make(chan struct{}),
	}
	if err := r.register(ctx); err != nil {
		return nil, fmt.Errorf("register %s: %w", s.ID, err)
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	go r.keep(ctx)
	return r, nil
}

func checkID(service string) string { return "alive:" + service }

func (r *Registration) register(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.client.patience())
	defer cancel()
	return r.client.api.Agent().ServiceRegisterOpts(r.service,
		api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx))
}

// keep tells the agent that we live.
func (r *Registration) keep(ctx context.Context) {
	defer close(r.kept)
	failing := false
	for pause(ctx, r.every) {
		err := r.beat(ctx)
		if status := (api.StatusError{}); errors.As(err, &status) { // it does not know us
			err = r.register(ctx)
		}
		if err != nil && !failing && ctx.Err() == nil {
			r.client.logger.Warn("cannot tell Consul that we live; trying on", "service", r.service.ID, "error", err)
		}
		failing = err != nil
	}
}

func (r *Registration) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.every)
	defer cancel()
	return r.client.api.Agent().UpdateTTLOpts(checkID(r.service.ID), "", api.HealthPassing,
		(&api.QueryOptions{}).WithContext(ctx))
}

// Close takes the instance off the list. It is called once.
func (r *Registration) Close(ctx context.Context) error {
	r.stop()
	<-r.kept
	ctx, cancel := context.WithTimeout(ctx, r.client.patience())
	defer cancel()
	if err := r.client.api.Agent().ServiceDeregisterOpts(r.service.ID, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("deregister %s: %w", r.service.ID, err)
	}
	return nil
}

// Services returns the instances of name that live, as far as the agent's server
// knows: also when Consul has no leader.
func (c *Client) Services(ctx context.Context, name string) ([]Service, error) {
	ctx, cancel := context.WithTimeout(ctx, c.patience())
	defer cancel()
	services, _, err := c.services(ctx, name, 0)
	return services, err
}

// Watch calls changed with the instances of name that live, at once and whenever
// something about them has changed, until ctx ends; it returns the error of ctx,
// or one that waiting does not cure. While Consul does not answer, what was known
// last stays.
func (c *Client) Watch(ctx context.Context, name string, changed func([]Service)) error {
	var seen uint64
	failing := false
	for {
		waiting, cancel := context.WithTimeout(ctx, maxWait*5/4)
		services, index, err := c.services(waiting, name, seen)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			if index != seen {
				changed(services)
			}
			seen, failing = index, false
		case hopeless(err):
			return err
		default:
			if !failing {
				c.logger.Warn("cannot watch a service; trying on", "name", name, "error", err)
			}
			failing = true
			if !pause(ctx, retryEvery) {
				return ctx.Err()
			}
		}
	}
}

func (c *Client) services(ctx context.Context, name string, seen uint64) ([]Service, uint64, error) {
	options := &api.QueryOptions{AllowStale: true, WaitIndex: seen, WaitTime: maxWait}
	entries, meta, err := c.api.Health().Service(name, "", true, options.WithContext(ctx))
	if err != nil {
		return nil, 0, fmt.Errorf("find %s: %w", name, err)
	}
	services := make([]Service, len(entries))
	for i, entry := range entries {
		services[i] = Service{
			Name: entry.Service.Service, ID: entry.Service.ID, Meta: entry.Service.Meta,
			Address: net.JoinHostPort(cmp.Or(entry.Service.Address, entry.Node.Address), strconv.Itoa(entry.Service.Port)),
		}
	}
	if meta.LastIndex < seen { // Consul was restored from a backup: start over
		return services, 0, nil
	}
	return services, meta.LastIndex, nil
}
