package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"centrifuge/lease/consul"
	"centrifuge/lease/consul/consultest"
)

func TestDirectorsAreFoundInConsul(t *testing.T) {
	agent := consultest.Start(t)
	server := "consul://" + agent.Address()
	if r := call(t, "", "ledger", "--server", server); r.err == nil || !strings.Contains(r.err.Error(), "no living centrifuge-director") {
		t.Errorf("without Directors: %v", r.err)
	}
	c, err := consul.New(consul.Options{Address: agent.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s := startServe(t, t.TempDir())
	registration, err := c.Register(t.Context(), consul.Service{
		Name: "centrifuge-director", ID: "one", Address: s.address, Meta: map[string]string{urlKey: "http://" + s.address},
	}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := registration.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Log(err)
		}
	})

	_, receiver := startSink(t)
	must(t, "", "submit", "--server", server, "--source", "shop", "--endpoint", receiver+"/")
	if out := must(t, "", "ledger", "--server", server, "--json"); !strings.Contains(out, `"accepted":"1"`) && !strings.Contains(out, `"accepted":1`) {
		t.Errorf("the ledger of a Director that was found: %s", out)
	}
	for _, wrong := range []string{"consul://", "consul://h:1/a/b", "consul://h:1?x=y"} {
		if r := call(t, "", "ledger", "--server", wrong); r.code() != exitUsage {
			t.Errorf("--server %s: exit code %d, %v", wrong, r.code(), r.err)
		}
	}
}
