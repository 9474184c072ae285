package consul_test

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"centrifuge/lease"
	"centrifuge/lease/consul"
	"centrifuge/lease/consul/consultest"
)

// over fails unless the lease is over by now, as it must be whenever another has
// acquired it.
func over(t *testing.T, l *consul.Lease) {
	t.Helper()
	select {
	case <-l.Done():
	default:
		t.Error("another has acquired the lease, and its holder was not told")
	}
	if l.Held() {
		t.Error("another has acquired the lease, and its holder thinks that it has it")
	}
}

func TestTakeOverFromADeadHolder(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	first := startHolder(t, server)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	second := acquire(t, connect(t, server.URL(), long), "db")
	t.Logf("taken over %s after the kill, with a TTL of %s", time.Since(killed), 2*short)
	if second.Epoch() <= first.epoch {
		t.Errorf("epoch %d after a dead holder with %d", second.Epoch(), first.epoch)
	}
}

func TestEpochsIncreaseOverRestartsOfConsul(t *testing.T) {
	t.Parallel()
	server := consultest.StartCluster(t, 1)[0]
	c := connect(t, server.URL(), long)
	var epochs []uint64
	for i := range 20 {
		l := acquire(t, c, "db")
		epochs = append(epochs, l.Epoch())
		release(t, l)
		if i%7 == 6 {
			server.Kill()
			server.Restart(t)
		}
	}
	strictlyIncreasing(t, epochs)
}

func TestConsulDownForLongerThanTheTTL(t *testing.T) {
	t.Parallel()
	server := consultest.StartCluster(t, 1)[0]
	first := acquire(t, connect(t, server.URL(), short), "db")
	taken := make(chan *consul.Lease)
	c := connect(t, server.URL(), long)
	go func() {
		l, err := c.Acquire(t.Context(), "db") // it waits through all of this
		if err != nil {
			t.Error(err)
		} else {
			over(t, first)
		}
		taken <- l
	}()
	server.Kill()
	<-first.Done()
	if _, err := first.Advance(t.Context()); !errors.Is(err, lease.ErrLost) {
		t.Errorf("a lost lease advanced: %v", err)
	}
	server.Restart(t)
	second := <-taken
	if second == nil || second.Epoch() <= first.Epoch() {
		t.Fatalf("taken over by %v, from epoch %d", second, first.Epoch())
	}
	if !second.Held() {
		t.Error("what was taken over is not held")
	}
	release(t, second)
}

func TestConsulDownForLessThanTheTTL(t *testing.T) {
	t.Parallel()
	server := consultest.StartCluster(t, 1)[0]
	l := acquire(t, connect(t, server.URL(), long), "db")
	server.Kill()
	if _, err := l.Advance(t.Context()); err == nil || errors.Is(err, lease.ErrLost) {
		t.Errorf("advanced without Consul: %v", err)
	}
	server.Restart(t)
	if _, err := l.Advance(t.Context()); err != nil {
		t.Errorf("Consul is back and has the lease: %v", err)
	}
	release(t, l)
}

func TestHolderCutOff(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	proxy := consultest.NewProxy(t, server.Address())
	away := connect(t, proxy.URL(), short)
	first := acquire(t, away, "db")
	proxy.Cut()
	second := acquire(t, connect(t, server.URL(), long), "db")
	over(t, first)
	if second.Epoch() <= first.Epoch() {
		t.Errorf("epoch %d after a holder that was cut off with %d", second.Epoch(), first.Epoch())
	}
	proxy.Heal()
	release(t, first)
	if _, err := second.Advance(t.Context()); err != nil {
		t.Errorf("the release of the first took it from the second: %v", err)
	}
	release(t, second)
	third := acquire(t, away, "db")
	if third.Epoch() <= second.Epoch() {
		t.Errorf("epoch %d after %d", third.Epoch(), second.Epoch())
	}
}

// A renewal finds out what no other means would tell.
func TestSessionEndedByAnOperator(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	l := acquire(t, connect(t, server.URL(), 6*time.Second), "db")
	consulAPI := operator(t, server)
	pair, _, err := consulAPI.KV().Get("centrifuge/lease/db", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := consulAPI.Session().Destroy(pair.Session, nil); err != nil {
		t.Fatal(err)
	}
	<-l.Done()
	next := acquire(t, connect(t, server.URL(), long), "db")
	if next.Epoch() <= l.Epoch() {
		t.Errorf("epoch %d after %d", next.Epoch(), l.Epoch())
	}
}

func TestFrozenHolderKnowsWhenItWakesUp(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	first := startHolder(t, server)
	first.ask(t)
	if said := first.says(t); said != "acted" {
		t.Fatalf("the holder %s", said)
	}
	freeze(t, first)
	second := acquire(t, connect(t, server.URL(), long), "db")
	if second.Epoch() <= first.epoch {
		t.Errorf("epoch %d after a frozen holder with %d", second.Epoch(), first.epoch)
	}
	first.ask(t) // there is something to do the moment that it wakes up
	if err := first.cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if said := first.says(t); said != "lost" {
		t.Errorf("woken up after a take-over, the first holder %s", said)
	}
}

// freeze returns when no thread of the holder runs any more.
func freeze(t *testing.T, h *holder) {
	t.Helper()
	if err := h.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(h.cmd.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the holder did not stop: %v, %v", status, err)
	}
}
