package consul

import (
	"testing"
	"time"
)

// A renewal may have been done in time and be answered when others already act on
// its failure.
func TestALateAnswerDoesNotBringALeaseBack(t *testing.T) {
	l := &Lease{client: &Client{ttl: DefaultTTL}, done: make(chan struct{})}
	l.mu.until = time.Now()
	if l.extend(time.Now()) || l.Held() {
		t.Error("the lease was over, and is held again")
	}
	select {
	case <-l.Done():
	default:
		t.Error("whoever found out did not say so")
	}
}

func TestHolderGivesUpBeforeConsulDoes(t *testing.T) {
	for _, ttl := range []time.Duration{MinTTL, DefaultTTL, MaxTTL} {
		c := &Client{ttl: ttl}
		if c.tenure() >= c.sessionTTL() || 2*c.sessionTTL() > ttl {
			t.Errorf("TTL %s: Consul may end the session after %s and does after %s, the holder gives up after %s",
				ttl, c.sessionTTL(), 2*c.sessionTTL(), c.tenure())
		}
		if attempts := c.tenure() / c.renewEvery(); attempts < 2 {
			t.Errorf("TTL %s: %d attempts to renew", ttl, attempts)
		}
	}
}
