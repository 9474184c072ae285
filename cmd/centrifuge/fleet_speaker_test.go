package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"centrifuge/lease/consul"
	"centrifuge/lease/consul/consultest"
)

// Of two one speaks; one that is cut off from Consul does too; when the one that has the
// lease ends, the other takes over.
func TestOneSpeaks(t *testing.T) {
	server := consultest.Start(t)
	proxy := consultest.NewProxy(t, server.Address())
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	begin := func(url string) (s *speaker, stop func()) {
		c, err := consul.New(consul.Options{Address: url, TTL: consul.MinTTL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		s = &speaker{consul: c, again: 20 * time.Millisecond}
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		t.Cleanup(cancel)
		running.Go(func() { s.run(ctx) })
		return s, cancel
	}
	speak := func(what string, all ...*speaker) func(want ...bool) {
		return func(want ...bool) {
			t.Helper()
			eventually(t, what, func() (bool, string) {
				ok := true
				for i, s := range all {
					ok = ok && s.speaks() == want[i]
				}
				return ok, fmt.Sprint(want)
			})
		}
	}
	a, stop := begin(server.URL())
	speak("alone", a)(true)
	eventually(t, "in possession of the lease", func() (bool, string) {
		holders, err := a.consul.Holders(t.Context())
		return len(holders) == 1 && holders[0].Held, fmt.Sprint(holders, err)
	})
	b, _ := begin(proxy.URL())
	both := speak("as they should", a, b)
	both(true, false)
	proxy.Cut()
	both(true, true)
	proxy.Heal()
	both(true, false)
	stop()
	speak("taking over", b)(true)
}
