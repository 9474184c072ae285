package e2e

import (
	"fmt"
	"testing"
)

// awaitDelivered opens the endpoint and waits until it has had all jobs. Those that
// a loss cut off in the middle of an answer may have come twice.
func (m *member) awaitDelivered(ids []string, mayRepeat int) {
	m.f.Helper()
	m.f.open.Store(true)
	m.await("done with all jobs", func() (bool, string) {
		n, _ := m.f.count()
		return n == len(ids), fmt.Sprintf("%d of %d delivered", n, len(ids))
	})
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	repeated := 0
	for _, id := range ids {
		if m.f.delivered[id] == 0 {
			m.f.Errorf("job %s was never delivered", id)
		}
		repeated += max(m.f.delivered[id], 1) - 1
	}
	if repeated > mayRepeat {
		m.f.Errorf("%d deliveries were repeated", repeated)
	}
}

func (m *member) awaitReady(want bool) {
	m.f.Helper()
	m.await(fmt.Sprintf("ready: %t", want), func() (bool, string) {
		ready, said := m.ready()
		return ready == want, said
	})
}

// Consul is gone for longer than leases last. No process ends; each Director lets go
// of its JobDB, takes one when Consul is back, and all jobs are delivered.
func TestConsulLost(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	manager := f.start("manager", "manager")
	a, b := f.start("director", "a"), f.start("director", "b")
	ids := append(a.submit(100), b.submit(100)...)
	f.consul.Kill()
	a.awaitReady(false)
	b.awaitReady(false)
	f.consul.Restart(t)
	a.awaitReady(true)
	b.awaitReady(true)
	ids = append(ids, a.submit(100)...)
	manager.awaitLive(2)
	manager.awaitDelivered(ids, 0)
	manager.awaitBooks(int64(len(ids)), int64(len(ids)))
}

// The server that all JobDBs lie on is killed and comes back: no process ends, and
// what was acknowledged is delivered.
func TestJobDBServerLost(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	manager := f.start("manager", "manager")
	a, b := f.start("director", "a"), f.start("director", "b")
	ids := append(a.submit(100), b.submit(100)...)
	f.db.Kill()
	a.awaitReady(false)
	b.awaitReady(false)
	f.db.Restart()
	a.awaitReady(true)
	b.awaitReady(true)
	ids = append(ids, b.submit(100)...)
	manager.awaitDelivered(ids, 0)
	manager.awaitBooks(int64(len(ids)), int64(len(ids)))
}
