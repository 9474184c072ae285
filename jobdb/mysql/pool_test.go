package mysql

import (
	"strings"
	"testing"

	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
	"centrifuge/jobdb/mysql/mysqltest"
)

// newPool is a pool of the servers at the addresses, whose schemas no other pool
// of the test has.
func newPool(t *testing.T, server *mysqltest.Server, addresses ...string) *Pool {
	t.Helper()
	var servers []Server
	for _, address := range addresses {
		servers = append(servers, Server{Address: address, User: mysqltest.User, Password: mysqltest.Password})
	}
	pool, err := NewPool(PoolOptions{Servers: servers, Prefix: server.Schema() + "_"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return pool
}

func TestPool(t *testing.T) {
	server := mysqltest.Start(t)
	jobdbtest.RunPool(t, func(t *testing.T) jobdb.Pool { return newPool(t, server, server.Address) })
}

// A prefix is not a pattern, and what is of no pool is not listed.
func TestPoolAmongOtherSchemas(t *testing.T) {
	server := mysqltest.Start(t)
	pool := newPool(t, server, server.Address)
	for _, schema := range []string{
		pool.prefix + "other", pool.prefix + "jobdb-1",
		strings.ReplaceAll(pool.prefix, "_", "x") + jobdb.Name(1), "y" + pool.prefix + jobdb.Name(2),
	} {
		if _, err := server.Root().ExecContext(t.Context(), "CREATE DATABASE `"+schema+"`"); err != nil {
			t.Fatal(err)
		}
	}
	servers, err := pool.Servers(t.Context())
	if err != nil || servers[0].Err != nil || len(servers[0].Files) != 0 {
		t.Errorf("got %v, %v, want nothing", servers, err)
	}
}

func TestPoolServerDown(t *testing.T) {
	up, down := mysqltest.Start(t), mysqltest.Start(t)
	pool := newPool(t, up, down.Address, up.Address)
	for _, address := range []string{up.Address, down.Address} {
		if err := pool.Create(t.Context(), address, jobdb.Name(1)); err != nil && address == up.Address {
			t.Fatal(err)
		}
	}
	down.Kill()
	servers, err := pool.Servers(t.Context())
	if err != nil || len(servers) != 2 {
		t.Fatalf("got %v, %v", servers, err)
	}
	if servers[0].Name != down.Address || servers[0].Err == nil || servers[0].Files != nil {
		t.Errorf("the server that is down: %+v", servers[0])
	}
	if servers[1].Err != nil || len(servers[1].Files) != 1 {
		t.Errorf("the server that is up: %+v", servers[1])
	}
	if err := pool.Drop(t.Context(), down.Address, jobdb.Name(1)); err == nil {
		t.Error("dropped on a server that is down")
	}
	if err := pool.Drop(t.Context(), up.Address, jobdb.Name(1)); err != nil {
		t.Error(err)
	}
}

func TestPoolOptions(t *testing.T) {
	for name, o := range map[string]PoolOptions{
		"no server":   {},
		"twice":       {Servers: []Server{{Address: "a:1", User: "u"}, {Address: "a:1", User: "v"}}},
		"hostile":     {Servers: []Server{{Address: "a:1", User: "u"}}, Prefix: "a`; DROP DATABASE mysql; --"},
		"long prefix": {Servers: []Server{{Address: "a:1", User: "u"}}, Prefix: strings.Repeat("p", 60)},
	} {
		if _, err := NewPool(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
