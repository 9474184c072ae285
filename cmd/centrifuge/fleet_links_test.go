package main

import (
	"testing"

	"centrifuge/access/links/linkstest"
	"centrifuge/lease/consul"
	"centrifuge/lease/consul/consultest"
)

func TestLinksInConsul(t *testing.T) {
	server := consultest.Start(t)
	notes := func() *consulNotes {
		c, err := consul.New(consul.Options{Address: server.URL()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return &consulNotes{c, "test/links/"}
	}
	linkstest.Notes(t, notes(), notes())
}
