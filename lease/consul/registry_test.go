package consul_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"centrifuge/lease/consul"
	"centrifuge/lease/consul/consultest"
)

// watch returns what Watch tells of "director", by their IDs, until the test ends.
func watch(t *testing.T, c *consul.Client) <-chan []string {
	t.Helper()
	changes, watched := make(chan []string), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(watched)
		err := c.Watch(ctx, "director", func(services []consul.Service) {
			ids := make([]string, len(services))
			for i, s := range services {
				ids[i] = s.ID
			}
			slices.Sort(ids)
			select {
			case changes <- ids:
			case <-ctx.Done():
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("watched until %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-watched
	})
	return changes
}

// await reads changes until they are as wanted. Whatever is not wanted may come
// in between: Consul tells of more than we ask for.
func await(t *testing.T, changes <-chan []string, want ...string) {
	t.Helper()
	for ids := range changes {
		if slices.Equal(ids, want) {
			return
		}
	}
}

func register(t *testing.T, c *consul.Client, id string, ttl time.Duration) *consul.Registration {
	t.Helper()
	r, err := c.Register(t.Context(), consul.Service{
		Name: "director", ID: id, Address: "127.0.0.1:7000", Meta: map[string]string{"jobdb": id + "-db"},
	}, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRegisteredUntilClosed(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	c := connect(t, server.URL(), long)
	changes := watch(t, c)
	await(t, changes)
	one, two := register(t, c, "one", long), register(t, c, "two", long)
	await(t, changes, "one", "two")
	services, err := c.Services(t.Context(), "director")
	if err != nil || len(services) != 2 {
		t.Fatalf("services %v, %v", services, err)
	}
	for _, s := range services {
		if s.Name != "director" || s.Address != "127.0.0.1:7000" || s.Meta["jobdb"] != s.ID+"-db" {
			t.Errorf("found %+v", s)
		}
	}
	if err := one.Close(t.Context()); err != nil {
		t.Error(err)
	}
	await(t, changes, "two")
	if err := two.Close(t.Context()); err != nil {
		t.Error(err)
	}
	await(t, changes)
}

func TestServiceThatIsCutOff(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	proxy := consultest.NewProxy(t, server.Address())
	changes := watch(t, connect(t, server.URL(), long))
	await(t, changes)
	r := register(t, connect(t, proxy.URL(), long), "one", 3*time.Second)
	await(t, changes, "one")
	proxy.Cut()
	await(t, changes) // the TTL has run out
	proxy.Heal()
	await(t, changes, "one")
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServiceThatTheAgentForgot(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	c := connect(t, server.URL(), long)
	changes := watch(t, c)
	await(t, changes)
	r := register(t, c, "one", 3*time.Second)
	await(t, changes, "one")
	if err := operator(t, server).Agent().ServiceDeregister("one"); err != nil {
		t.Fatal(err)
	}
	await(t, changes)
	await(t, changes, "one")
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWatchGoesOnWhenConsulIsBack(t *testing.T) {
	t.Parallel()
	server := consultest.StartCluster(t, 1)[0]
	c := connect(t, server.URL(), long)
	changes := watch(t, c)
	await(t, changes)
	server.Kill()
	server.Restart(t)
	r := register(t, c, "one", long)
	await(t, changes, "one")
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServiceWithoutAnAddress(t *testing.T) {
	t.Parallel()
	c := connect(t, "http://127.0.0.1:1", long)
	for _, address := range []string{"", "host", "host:name", "host:70000"} {
		if _, err := c.Register(t.Context(), consul.Service{Name: "director", ID: "one", Address: address}, long); err == nil {
			t.Errorf("registered at %q", address)
		}
	}
}
