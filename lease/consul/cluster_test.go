package consul_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"centrifuge/lease"
	"centrifuge/lease/consul/consultest"
)

// withLeader starts three servers, and returns the leader and the others.
func withLeader(t *testing.T) (leader *consultest.Server, others []*consultest.Server) {
	t.Helper()
	servers := consultest.StartCluster(t, 3)
	leader = consultest.Leader(t, servers)
	return leader, slices.DeleteFunc(servers, func(s *consultest.Server) bool { return s == leader })
}

func TestLeaseSurvivesTheLeader(t *testing.T) {
	t.Parallel()
	leader, others := withLeader(t)
	l := acquire(t, connect(t, others[0].URL(), long), "db")
	before := l.Epoch()
	leader.Kill()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for { // until the others have elected one
		_, err := l.Advance(t.Context())
		if err == nil {
			break
		}
		if errors.Is(err, lease.ErrLost) {
			t.Fatal(err)
		}
		<-tick.C
	}
	if !l.Held() || l.Epoch() <= before {
		t.Errorf("held: %v, epoch %d after %d", l.Held(), l.Epoch(), before)
	}
	release(t, l)
	if next := acquire(t, connect(t, others[1].URL(), long), "db"); next.Epoch() <= l.Epoch() {
		t.Errorf("epoch %d after %d", next.Epoch(), l.Epoch())
	}
}

// With a TTL of the same order as an election, both ends are right: what counts
// is that there is one holder.
func TestOneHolderWhenTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	leader, others := withLeader(t)
	first := acquire(t, connect(t, others[0].URL(), short), "db")
	leader.Kill()
	elected := make(chan struct{})
	c := connect(t, others[1].URL(), long)
	go func() {
		defer close(elected)
		l, err := c.Acquire(t.Context(), "another")
		if err != nil {
			t.Error(err)
			return
		}
		release(t, l)
	}()
	select {
	case <-first.Done():
		t.Log("the lease was lost")
	case <-elected:
		t.Log("the lease survived the election")
	}
	err := first.Close(t.Context()) // without a leader it fails, and the lease has to run out
	t.Logf("release: %v", err)
	second := acquire(t, c, "db")
	over(t, first)
	if second.Epoch() <= first.Epoch() {
		t.Errorf("epoch %d after %d", second.Epoch(), first.Epoch())
	}
	<-elected
}
