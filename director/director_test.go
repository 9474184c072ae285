package director_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlite"
	"centrifuge/lease/leasetest"
)

// rig is a Director on a real SQLite JobDB and a real folder, in a directory that
// outlives it.
type rig struct {
	*director.Director
	dir   string
	epoch *atomic.Uint64
	stop  func() error
}

func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// start runs a Director in dir until the test ends or stop is called, and waits
// until it is ready.
func start(t *testing.T, dir string, epoch *atomic.Uint64, change ...func(*director.Options)) *rig {
	t.Helper()
	folder, err := archive.OpenFolder(filepath.Join(dir, "archive"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := delivery.New(delivery.Options{AllowNetworks: loopback(), UserAgent: "Centrifuge/test"})
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{}, 1)
	o := director.Options{
		Logger:       slog.New(slog.DiscardHandler),
		Acquire:      acquire(dir, epoch),
		Deliverer:    client,
		Archive:      archive.New(folder),
		ArchiveEvery: time.Millisecond,
		Serving: func() {
			select {
			case ready <- struct{}{}:
			default: // again, after a recovery or a cycle
			}
		},
	}
	for _, f := range change {
		f(&o)
	}
	d, err := director.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	var stopped bool
	r := &rig{Director: d, dir: dir, epoch: epoch, stop: func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		err := <-done
		client.Close()
		return err
	}}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("the Director ended with: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		stopped = true
		t.Fatalf("the Director ended before it served: %v", err)
	}
	return r
}

// acquire acquires the one JobDB in dir.
func acquire(dir string, epoch *atomic.Uint64) func(context.Context) (director.Holding, error) {
	return func(context.Context) (director.Holding, error) {
		return director.Holding{
			Name:  jobdb.Name(1),
			Lease: leasetest.New(0),
			Open: func(ctx context.Context, _ uint64) (jobdb.DB, error) {
				return sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "jobs.db"), Epoch: epoch.Add(1)})
			},
		}, nil
	}
}

// await polls until the condition holds; the test's own deadline is the limit.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("gave up waiting until %s", what)
		}
	}
}

func jobs(n int, endpoint string) []*centrifuge.Job {
	out := make([]*centrifuge.Job, n)
	for i := range out {
		out[i] = &centrifuge.Job{
			Source: fmt.Sprintf("source-%d", i%7), Endpoint: endpoint,
			Payload: fmt.Appendf(nil, `{"n":%d}`, i),
		}
	}
	return out
}

func submit(t *testing.T, r *rig, jobs ...*centrifuge.Job) director.Receipt {
	t.Helper()
	receipt, err := r.Submit(t.Context(), director.Submission{Jobs: jobs})
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func ledger(t *testing.T, r *rig) director.Ledger {
	t.Helper()
	l, err := r.Ledger()
	if err != nil {
		t.Fatal(err)
	}
	if !l.Balanced() {
		t.Fatalf("the ledger does not balance: %+v", l)
	}
	return l
}

func TestDelivery(t *testing.T) {
	var hits atomic.Int64
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		w.WriteHeader(http.StatusOK)
	}))
	defer endpoint.Close()
	r := start(t, t.TempDir(), new(atomic.Uint64))
	receipt := submit(t, r, jobs(500, endpoint.URL)...)
	await(t, "all are delivered", func() bool { return ledger(t, r).Succeeded == 500 })
	if got := hits.Load(); got != 500 {
		t.Errorf("the endpoint saw %d requests, want 500", got)
	}
	trace, err := r.Get(t.Context(), receipt.JobIDs[0])
	if err != nil {
		t.Fatal(err)
	}
	var states []centrifuge.State
	for _, step := range trace.Transitions {
		states = append(states, step.State)
	}
	want := []centrifuge.State{centrifuge.StateAwaitingScheduling, centrifuge.StateExecuting, centrifuge.StateSucceeded}
	if !slices.Equal(states, want) {
		t.Errorf("trace %v, want %v", states, want)
	}
	booked, recounted, err := r.Verify(t.Context())
	if err != nil || booked != recounted {
		t.Errorf("booked %+v, recounted %+v: %v", booked, recounted, err)
	}
}
