package fleet

import (
	"testing"
	"time"

	"centrifuge/lease/consul/consultest"
)

// Of three Consul servers the leader is killed, which is not noticed. Then all are
// down for longer than the leases last: Directors stop before these are over, and go
// on when Consul is back.
func TestConsul(t *testing.T) {
	t.Parallel()
	servers := consultest.StartCluster(t, 3)
	leader := consultest.Leader(t, servers)
	var follower *consultest.Server
	for _, s := range servers {
		if s != leader {
			follower = s
		}
	}
	f := newFleet(t, ground{consul: follower.URL()})
	f.manager("manager")
	a, b := f.director("a"), f.director("b")

	l := f.startLoad()
	l.flow()
	leader.Kill()
	l.flow()
	a.awaitReady()
	b.awaitReady()
	l.flow()
	leader.Restart(t)
	l.flow()
	l.settle(2) // an election may take longer than leases of some seconds do

	l = f.startLoad()
	l.flow()
	for _, s := range servers {
		s.Kill()
	}
	over := time.Now().Add(leaseTTL)
	for _, m := range []*member{a, b} {
		f.await("aware that its lease is lost", func() (bool, string) {
			ok, said := m.ready()
			return !ok, said
		})
	}
	f.pass(time.Until(over) + leaseTTL/2)
	if last := f.endpoint.lastAttempt(); last.After(over) {
		t.Errorf("an attempt was made %s after the leases were over", last.Sub(over))
	}
	consultest.RestartAll(t, servers)
	a.awaitReady()
	b.awaitReady()
	l.flow()
	f.awaitTidy()
	l.settle(2)
}

// A Director cannot reach Consul any more, and MariaDB still answers it. Its JobDB
// goes to the other one's, and it takes another when it can.
func TestCutOff(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	proxy := consultest.NewProxy(t, server.Address())
	f := newFleet(t, ground{consul: server.URL()})
	f.manager("manager")
	f.director("reachable")
	cut := f.director("cut-off", "--consul", proxy.URL())
	l := f.startLoad()
	l.flow()
	cut.awaitJobs()

	proxy.Cut()
	f.await("rid of the JobDB of the one cut off", f.oneOrphanGone)
	if ok, said := cut.ready(); ok {
		t.Errorf("its JobDB was drained, and yet %s", said)
	}
	l.flow()
	proxy.Heal()
	cut.awaitReady()
	l.flow()
	f.awaitTidy()
	l.settle(1)
}
