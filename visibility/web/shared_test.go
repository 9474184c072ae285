package web

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge/access"
	"centrifuge/schedule"
)

// slow is backends that count how often all queues are read, and take their time.
type slow struct {
	*fake
	reads atomic.Int64
}

func (s *slow) Survey(ctx context.Context, sel schedule.Selector) (*Survey, error) {
	if sel == (schedule.Selector{}) {
		s.reads.Add(1)
		time.Sleep(100 * time.Millisecond)
	}
	return s.fake.Survey(ctx, sel)
}

// A hundred open pages read the queues once; who may see others gets none of that,
// and what an action changed is seen at once.
func TestViewersShareTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{fake: shop()}
		s, err := New(Options{Backends: Backends{Queues: b, Jobs: b, Archive: b, Ledger: b, History: record{f: b.fake}}})
		if err != nil {
			t.Fatal(err)
		}
		everybody := func(n int64, who access.Principal, path string) {
			t.Helper()
			before := b.reads.Load()
			var all sync.WaitGroup
			for i := range 100 {
				all.Go(func() {
					path := path
					if i%2 == 1 {
						path += "?sort=pending&dir=asc" // each sorts and filters for itself
					}
					status, content := s.as(t, who).get(path)
					if status != http.StatusOK {
						t.Errorf("%s: got status %d", path, status)
					}
					if who.Sources != nil && strings.Contains(content, "hidden-source") {
						t.Errorf("%s tells of another's source", path)
					}
				})
			}
			all.Wait()
			if got := b.reads.Load() - before; got != n {
				t.Errorf("100 times %s by %s read the queues %d times, want %d", path, who.Name, got, n)
			}
		}
		admin := access.Local()
		bound := access.Principal{Name: "bound", Role: access.Operator, Sources: []string{"shop"}}
		everybody(1, admin, "/destinations")
		everybody(0, admin, "/") // how queues stand is the same for all pages
		everybody(0, bound, "/sources")
		everybody(0, admin, "/sources")
		time.Sleep(freshFor)
		everybody(1, admin, "/sources")

		v := s.as(t, bound)
		v.get("/source?source=shop")
		if status, _ := v.post("/do/pause", "source", "shop"); status != http.StatusOK {
			t.Fatalf("pause: got status %d", status)
		}
		everybody(1, admin, "/sources")
	})
}

// Whoever asks first may leave; those who wait get the page all the same.
func TestTheFirstViewerMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(time.Now)
		first, leave := context.WithCancel(t.Context())
		gather := func(ctx context.Context) (int, error) {
			select {
			case <-time.After(time.Second):
				return 7, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		var both sync.WaitGroup
		for _, c := range []context.Context{first, t.Context()} {
			both.Go(func() {
				if got, err := gathered(c, s, "it", gather); got != 7 || err != nil {
					t.Errorf("got %d, %v", got, err)
				}
			})
			synctest.Wait()
		}
		leave()
		both.Wait()
	})
}
