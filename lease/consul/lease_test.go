package consul_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"centrifuge/lease"
	"centrifuge/lease/consul"
	"centrifuge/lease/consul/consultest"
)

const (
	// short is the TTL where leases must run out, long where they must not, however
	// busy the machine.
	short = consul.MinTTL
	long  = time.Hour
)

func connect(t *testing.T, url string, ttl time.Duration) *consul.Client {
	t.Helper()
	c, err := consul.New(consul.Options{
		Address: url, TTL: ttl, Owner: t.Name(), OwnerAddress: "here:1",
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func acquire(t *testing.T, c *consul.Client, names ...string) *consul.Lease {
	t.Helper()
	l, err := c.AcquireAny(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	// One that is to be left behind is cleaned up all the same, where that works.
	t.Cleanup(func() { _ = l.Close(context.WithoutCancel(t.Context())) })
	return l
}

func release(t *testing.T, l *consul.Lease) {
	t.Helper()
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// operator is Consul's own client, for what is done behind our back.
func operator(t *testing.T, s *consultest.Server) *api.Client {
	t.Helper()
	config := api.DefaultConfig()
	config.Address = s.URL()
	client, err := api.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(config.Transport.CloseIdleConnections)
	return client
}

func TestOneHolderAmongManyContenders(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	var holders atomic.Int32
	var mu sync.Mutex
	var epochs []uint64
	var running sync.WaitGroup
	for range 12 {
		c := connect(t, server.URL(), long)
		running.Go(func() {
			for range 3 {
				l, err := c.Acquire(t.Context(), "db")
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold the lease", n)
				}
				epoch, err := l.Advance(t.Context()) // which takes a while
				if err != nil || !l.Held() {
					t.Errorf("acquired, and not held: %v", err)
				}
				mu.Lock()
				epochs = append(epochs, epoch)
				mu.Unlock()
				holders.Add(-1)
				if err := l.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if l.Held() {
					t.Error("held after Close")
				}
				<-l.Done()
			}
		})
	}
	running.Wait()
	if len(epochs) != 36 {
		t.Fatalf("%d take-overs, want 36", len(epochs))
	}
	strictlyIncreasing(t, epochs)
}

func strictlyIncreasing(t *testing.T, epochs []uint64) {
	t.Helper()
	for i, epoch := range epochs {
		if epoch == 0 || i > 0 && epoch <= epochs[i-1] {
			t.Fatalf("epochs do not increase: %v", epochs)
		}
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	c := connect(t, server.URL(), long)
	l := acquire(t, c, "db")
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error)
	go func() {
		_, err := c.Acquire(ctx, "db")
		waited <- err
	}()
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("waited until %v", err)
	}
	if !l.Held() {
		t.Error("one that waited in vain took the lease away")
	}
}

func TestAcquireAnyOfSeveral(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	names := []string{"a", "b", "c"}
	var got []string
	var leases []*consul.Lease
	for range names {
		l := acquire(t, connect(t, server.URL(), long), names...)
		leases = append(leases, l)
		got = append(got, l.Name())
	}
	slices.Sort(got)
	if !slices.Equal(got, names) {
		t.Fatalf("three acquired %v", got)
	}

	fourth := make(chan *consul.Lease)
	c := connect(t, server.URL(), long)
	go func() {
		l, err := c.AcquireAny(t.Context(), names)
		if err != nil {
			t.Error(err)
		}
		fourth <- l
	}()
	freed := leases[1]
	release(t, freed)
	l := <-fourth
	if l == nil || l.Name() != freed.Name() || l.Epoch() <= freed.Epoch() {
		t.Fatalf("the fourth has %v, while %s is free", l, freed.Name())
	}
	release(t, l)
}

func TestAdvance(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	c := connect(t, server.URL(), long)
	l := acquire(t, c, "db")
	epochs := []uint64{l.Epoch()}
	for range 5 {
		epoch, err := l.Advance(t.Context())
		if err != nil || epoch != l.Epoch() {
			t.Fatalf("advanced to %d, %v; the epoch is %d", epoch, err, l.Epoch())
		}
		epochs = append(epochs, epoch)
	}
	var concurrent [8]uint64
	var running sync.WaitGroup
	for i := range concurrent {
		running.Go(func() {
			var err error
			if concurrent[i], err = l.Advance(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	slices.Sort(concurrent[:])
	if l.Epoch() != concurrent[len(concurrent)-1] {
		t.Errorf("epoch %d after the advances to %v", l.Epoch(), concurrent)
	}
	epochs = append(epochs, concurrent[:]...)
	release(t, l)
	if epoch, err := l.Advance(t.Context()); !errors.Is(err, lease.ErrLost) {
		t.Errorf("a closed lease advanced to %d, %v", epoch, err)
	}
	strictlyIncreasing(t, append(epochs, acquire(t, c, "db").Epoch()))
}

func TestHolders(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	c := connect(t, server.URL(), long)
	release(t, acquire(t, c, "a"))
	l := acquire(t, c, "b")
	holders, err := c.Holders(t.Context())
	if err != nil || len(holders) != 2 {
		t.Fatalf("holders %v, %v", holders, err)
	}
	if a := holders[0]; a.Name != "a" || a.Held {
		t.Errorf("the lease that was released: %+v", a)
	}
	b := holders[1]
	if b.Name != "b" || !b.Held || b.Epoch != l.Epoch() || b.Owner != t.Name() || b.Address != "here:1" ||
		b.PID == 0 || b.Host == "" || b.Since.IsZero() {
		t.Errorf("the lease that is held: %+v", b)
	}
}

// Health checks would end a session before its TTL, and a lock delay keeps out
// those who come next.
func TestSessionIsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	acquire(t, connect(t, server.URL(), long), "db")
	sessions, _, err := operator(t, server).Session().List(nil)
	if err != nil || len(sessions) != 1 {
		t.Fatalf("sessions %v, %v", sessions, err)
	}
	s := sessions[0]
	if s.LockDelay != 0 || len(s.NodeChecks)+len(s.ServiceChecks)+len(s.Checks) != 0 ||
		s.Behavior != api.SessionBehaviorRelease || s.TTL != (long/2).String() {
		t.Errorf("session %+v", s)
	}
}

func TestReleaseLeavesAloneWhatAnotherOwns(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	c := connect(t, server.URL(), long)
	first := acquire(t, c, "db")
	kv := operator(t, server).KV()
	if _, err := kv.Delete("centrifuge/lease/db", nil); err != nil { // the first does not know yet
		t.Fatal(err)
	}
	second := acquire(t, c, "db")
	if second.Epoch() <= first.Epoch() {
		t.Errorf("epoch %d after %d: a deleted key starts over", second.Epoch(), first.Epoch())
	}
	if epoch, err := first.Advance(t.Context()); !errors.Is(err, lease.ErrLost) {
		t.Errorf("the one that lost its key advanced to %d, %v", epoch, err)
	}
	<-first.Done() // the failed Advance has told it
	release(t, first)
	if _, err := second.Advance(t.Context()); err != nil {
		t.Errorf("the release of the first took it from the second: %v", err)
	}
}

func TestDamagedKeyIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	c := connect(t, server.URL(), long)
	kv := operator(t, server).KV()
	const key, text = "centrifuge/lease/db", "not JSON"
	if _, err := kv.Put(&api.KVPair{Key: key, Value: []byte(text)}, nil); err != nil {
		t.Fatal(err)
	}
	if l, err := c.Acquire(t.Context(), "db"); err == nil {
		t.Fatalf("acquired under epoch %d", l.Epoch())
	}
	if pair, _, err := kv.Get(key, nil); err != nil || string(pair.Value) != text {
		t.Errorf("the key became %v, %v", pair, err)
	}
}

// A key that was exported from one cluster and imported by another keeps its
// epoch, which the new cluster's log knows nothing of.
func TestEpochOfAnImportedKey(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	kv := operator(t, server).KV()
	if _, err := kv.Put(&api.KVPair{Key: "centrifuge/lease/db", Value: []byte(`{"epoch":900000}`)}, nil); err != nil {
		t.Fatal(err)
	}
	if l := acquire(t, connect(t, server.URL(), long), "db"); l.Epoch() <= 900000 {
		t.Errorf("epoch %d after an imported 900000", l.Epoch())
	}
}

func TestWhatWaitingDoesNotCure(t *testing.T) {
	t.Parallel()
	if _, err := consul.New(consul.Options{TTL: time.Second}); err == nil {
		t.Error("a TTL that is too short is accepted")
	}
	c := connect(t, "http://127.0.0.1:1", long)
	for _, names := range [][]string{nil, {""}, {"a", ""}} {
		if _, err := c.AcquireAny(t.Context(), names); err == nil {
			t.Errorf("acquired %q", names)
		}
	}
}
