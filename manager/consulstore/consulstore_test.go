package consulstore_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"centrifuge/lease/consul"
	"centrifuge/lease/consul/consultest"
	"centrifuge/manager"
	"centrifuge/manager/consulstore"
	"centrifuge/manager/managertest"
)

func client(t *testing.T, server *consultest.Server, prefix string) *consul.Client {
	t.Helper()
	c, err := consul.New(consul.Options{Address: server.URL(), TTL: 4 * time.Second, Prefix: prefix + "lease/"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCatalog(t *testing.T) {
	server := consultest.Start(t)
	managertest.RunCatalog(t, func(t *testing.T) managertest.OpenCatalog {
		prefix := rand.Text() + "/"
		return func() manager.Catalog { return consulstore.NewCatalog(client(t, server, prefix), prefix) }
	})
}

func TestLeases(t *testing.T) {
	server := consultest.Start(t)
	managertest.RunLeases(t, func(t *testing.T) manager.Leases {
		return consulstore.NewLeases(client(t, server, rand.Text()+"/"))
	})
}

// What others wrote under our keys is not taken for a record.
func TestForeignKeys(t *testing.T) {
	server := consultest.Start(t)
	for key, value := range map[string]string{
		"a/jobdb-000001": "not JSON", "b/jobdb-000001": `{"name": "jobdb-000002"}`, "c/": "",
	} {
		c := client(t, server, "")
		if _, err := c.PutPair(t.Context(), consul.Pair{Key: key, Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
		_, _, err := consulstore.NewCatalog(c, key[:2]).List(t.Context(), 0)
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
