// Package consul leases by name through a Consul cluster, and lets services find
// each other there.
//
// A lease is a key that a session holds. The session has a TTL, so that it ends
// with a holder that died; the key's value has the epoch, and says to a reader of
// Consul's pages who holds it. Why it is so: docs/adr/0007-consul-lease.md.
package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// The bounds of Options.TTL. Consul refuses less than twice its session_ttl_min,
// which is 10 s unless its servers are told otherwise.
const (
	MinTTL     = 2 * time.Second
	MaxTTL     = 24 * time.Hour
	DefaultTTL = 20 * time.Second
)

// Options say where Consul is and who we are. The zero value is that of
// anonymous holders, on the agent of this machine.
type Options struct {
	// Address is the agent's, as host:port or URL, and Token the ACL token. What is
	// empty is as Consul's own environment variables have it (CONSUL_HTTP_ADDR,
	// CONSUL_HTTP_TOKEN, CONSUL_CACERT …).
	Address string
	Token   string

	// Prefix is what the keys of leases begin with; default "centrifuge/lease/".
	Prefix string

	// TTL is how long a lease outlasts a dead holder. Half of it is how long a
	// holder lives on without Consul. Default DefaultTTL.
	TTL time.Duration

	// Owner and OwnerAddress are shown to whoever asks who holds a lease.
	Owner        string
	OwnerAddress string

	// Logger is told of leases lost and of trouble with Consul; nil for nobody.
	Logger *slog.Logger
}

// Client speaks with one Consul agent. It is safe for concurrent use.
type Client struct {
	api       *api.Client
	transport *http.Transport
	prefix    string
	ttl       time.Duration
	owner     string
	address   string
	logger    *slog.Logger
}

// New returns a client; it does not connect yet.
func New(o Options) (*Client, error) {
	ttl := cmp.Or(o.TTL, DefaultTTL)
	if ttl < MinTTL || ttl > MaxTTL {
		return nil, fmt.Errorf("lease TTL %s is not within %s and %s", ttl, MinTTL, MaxTTL)
	}
	config := api.DefaultConfig()
	config.Address = cmp.Or(o.Address, config.Address)
	config.Token = cmp.Or(o.Token, config.Token)
	client, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("consul client: %w", err)
	}
	return &Client{
		api:       client,
		transport: config.Transport,
		prefix:    cmp.Or(o.Prefix, "centrifuge/lease/"),
		ttl:       ttl,
		owner:     o.Owner,
		address:   o.OwnerAddress,
		logger:    cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
	}, nil
}

// Close lets go of idle connections. Leases and registrations are closed before.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// sessionTTL is the TTL that Consul is told. It promises not to end a session
// before, and ends it after twice that time: what is our TTL.
func (c *Client) sessionTTL() time.Duration { return c.ttl / 2 }

// tenure is how long a holder trusts its lease, from the beginning of a renewal
// that succeeded: less than Consul's promise by a margin in which the holder
// stops what it is doing, and in which clocks may disagree.
func (c *Client) tenure() time.Duration { return c.sessionTTL() * 9 / 10 }

// patience bounds one request, so that one that hangs leaves time for another.
func (c *Client) patience() time.Duration { return min(c.renewEvery(), 5*time.Second) }

// renewEvery leaves a renewal two more attempts within what Consul promised.
func (c *Client) renewEvery() time.Duration { return c.sessionTTL() / 3 }

func reading(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx)
}

func writing(ctx context.Context) *api.WriteOptions {
	return (&api.WriteOptions{}).WithContext(ctx)
}

// hopeless tells the errors that repeating does not cure: Consul understood what
// was asked, and will not have it.
func hopeless(err error) bool {
	var status api.StatusError
	if !errors.As(err, &status) {
		return errors.Is(err, errDamaged) || errors.Is(err, errDenied)
	}
	return status.Code/100 == 4 && status.Code != http.StatusTooManyRequests ||
		strings.Contains(status.Body, "Invalid Session TTL") // for which Consul sends a 500
}

// pause waits, and reports whether ctx lasted.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
