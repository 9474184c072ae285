package manager_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge/jobdb"
	"centrifuge/manager"
)

// mustBe checks the states of all JobDBs, in the order of their numbers.
func (w *world) mustBe(states ...string) {
	w.t.Helper()
	records, _, err := w.catalog.List(w.t.Context(), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, r := range records {
		got = append(got, fmt.Sprintf("%s %s", r.Name, r.State))
	}
	if fmt.Sprint(got) != fmt.Sprint(states) {
		w.t.Errorf("the catalog has\n%v, want\n%v", got, states)
	}
}

func (w *world) put(r manager.Record) manager.Record {
	w.t.Helper()
	r, err := w.catalog.Put(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// inWorld runs a test with a Manager of a fleet, in virtual time.
func inWorld(t *testing.T, servers []string, run func(t *testing.T, w *world, m *process)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, servers...)
		w.maxBytes = 1000
		m := w.manage(t, fault{})
		run(t, w, m)
		w.cancel()
		m.end()
	})
}

func TestSpares(t *testing.T) {
	inWorld(t, []string{"one", "two"}, func(t *testing.T, w *world, _ *process) {
		w.mu.Lock()
		w.down["two"] = errors.New("connection refused")
		w.mu.Unlock()
		synctest.Wait()
		w.mustBe("jobdb-000001 spare")
		time.Sleep(5 * time.Second)
		w.mu.Lock()
		w.down["two"] = nil
		w.mu.Unlock()
		time.Sleep(2 * time.Second)
		w.mustBe("jobdb-000001 spare", "jobdb-000002 spare")
		w.direct("a")
		time.Sleep(2 * time.Second)
		records, _, _ := w.catalog.List(t.Context(), 0)
		if len(records) != 3 || records[2].State != manager.StateSpare {
			t.Fatalf("no spare for the one that was taken: %+v", records)
		}
		for _, r := range records[:2] {
			if r.State == manager.StateLive && (r.Owner != "a" || r.Server != records[2].Server) {
				t.Errorf("%+v was taken, and %+v made for it", r, records[2])
			}
		}
	})
}

// A JobDB without a record may hold jobs, and is drained; its number is not given
// away again.
func TestUnknownJobDBsAreAdopted(t *testing.T) {
	inWorld(t, []string{"one"}, func(t *testing.T, w *world, _ *process) {
		w.mu.Lock()
		w.files[jobdb.Name(7)] = &file{server: "one", jobs: map[int]string{1: "pending", 2: "done"}}
		w.mu.Unlock()
		synctest.Wait()
		w.mustBe("jobdb-000007 released", "jobdb-000008 spare")
		w.direct("a")
		time.Sleep(3 * time.Second)
		w.mustBe("jobdb-000007 dropped", "jobdb-000008 live", "jobdb-000009 spare")
		w.mu.Lock()
		if f := w.files[jobdb.Name(8)]; f.jobs[1] != "pending" || f.jobs[2] != "" {
			t.Errorf("moved: %v", f.jobs)
		}
		w.mu.Unlock()
	})
}

func TestCycles(t *testing.T) {
	for name, test := range map[string]struct {
		jobs, done int // a job takes 100 bytes
		after      time.Duration
		cycled     bool
	}{
		"young and small": {jobs: 9, done: 9, after: 3 * time.Second},
		"old":             {jobs: 9, done: 9, after: 7 * time.Second, cycled: true},
		"old and idle":    {after: time.Hour},
		"large":           {jobs: 10, done: 10, after: 2 * time.Second, cycled: true},
		"mostly pending":  {jobs: 11, done: 5, after: time.Hour},
		"half pending":    {jobs: 10, done: 5, after: 2 * time.Second, cycled: true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, []string{"one"}, func(t *testing.T, w *world, _ *process) {
				w.direct("a")
				for job := range test.jobs {
					w.submit("a", min(1, max(0, test.done-job)), job)
				}
				time.Sleep(test.after)
				if before := w.status()[0].JobDB; (before != jobdb.Name(1)) != test.cycled {
					t.Errorf("the Director has %s", before)
				}
			})
		})
	}
}

// A Manager that read a record and froze writes nothing after another has begun.
func TestEarlierManagersAreFencedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one")
		defer w.cancel()
		released := w.put(manager.Record{Name: jobdb.Name(1), Server: "one", State: manager.StateReleased})
		draining := w.put(manager.Record{Name: jobdb.Name(2), Server: "one", State: manager.StateDraining, Target: jobdb.Name(1)})
		p := w.manage(t, fault{})
		synctest.Wait()
		for _, r := range []manager.Record{released, draining} {
			if _, err := w.catalog.Put(t.Context(), r); !errors.Is(err, manager.ErrConflict) {
				t.Errorf("%s could be written: %v", r.Name, err)
			}
		}
		p.end()
	})
}

// A record that the sum has already, because its deleting was cut off, is deleted
// and counts for nothing.
func TestFoldedOnce(t *testing.T) {
	inWorld(t, []string{"one"}, func(t *testing.T, w *world, m *process) {
		w.put(manager.Record{
			Name: "dropped", State: manager.StateDropped, Through: 2, Known: true, Ledger: manager.Ledger{Accepted: 30, Succeeded: 30},
		})
		for n := uint64(1); n <= 3; n++ {
			w.put(manager.Record{
				Name: jobdb.Name(n), Server: "one", State: manager.StateDropped, Known: true,
				Ledger: manager.Ledger{Accepted: 10 * int64(n), Succeeded: 10 * int64(n)},
			})
		}
		books, err := m.Books(t.Context())
		if err != nil || books.Total.Accepted != 60 || !books.Balanced() {
			t.Errorf("before: %+v, %v", books, err)
		}
		time.Sleep(3 * time.Second)
		w.mustBe("dropped dropped", "jobdb-000004 spare")
		books, err = m.Books(t.Context())
		if err != nil || books.Total.Accepted != 60 || !books.Balanced() {
			t.Errorf("after: %+v, %v", books, err)
		}
	})
}

// What a Director that does not answer owns is neither drained nor dropped, and
// missing from the books.
func TestDeafDirector(t *testing.T) {
	inWorld(t, []string{"one"}, func(t *testing.T, w *world, m *process) {
		w.direct("a")
		w.submit("a", 1, 1, 2, 3)
		w.mu.Lock()
		w.directors["a"].deaf = true
		w.mu.Unlock()
		time.Sleep(time.Minute)
		w.mustBe("jobdb-000001 live", "jobdb-000002 spare")
		books, err := m.Books(t.Context())
		if err != nil || books.Balanced() || len(books.Uncounted) != 1 || books.Uncounted[0] != jobdb.Name(1) {
			t.Errorf("the books: %+v, %v", books, err)
		}
		if _, err := m.Drain(t.Context(), jobdb.Name(1)); err == nil {
			t.Error("it is said to be drained")
		}
	})
}

func TestByHand(t *testing.T) {
	inWorld(t, []string{"one"}, func(t *testing.T, w *world, m *process) {
		ctx := t.Context()
		w.direct("a")
		w.submit("a", 0, 1, 2, 3)
		time.Sleep(2 * time.Second)
		if before, now, err := m.Cycle(ctx, "a"); err != nil || before != jobdb.Name(1) || now != jobdb.Name(2) {
			t.Errorf("cycled from %q to %q, %v", before, now, err)
		}
		time.Sleep(2 * time.Second)
		w.mustBe("jobdb-000001 dropped", "jobdb-000002 live", "jobdb-000003 spare")
		if state, err := m.Drain(ctx, jobdb.Name(2)); err != nil || state != manager.StateLive {
			t.Errorf("drained what was %q, %v", state, err)
		}
		time.Sleep(2 * time.Second)
		w.mustBe("jobdb-000001 dropped", "jobdb-000002 dropped", "jobdb-000003 live", "jobdb-000004 spare")
		fleet, err := m.Fleet(ctx)
		if err != nil || len(fleet.JobDBs) != 4 || len(fleet.Directors) != 1 || fleet.JobDBs[2].Ledger.AwaitingRetry != 3 {
			t.Errorf("the fleet is %+v, %v", fleet, err)
		}
		for _, name := range []string{"", "b"} {
			if _, _, err := m.Cycle(ctx, name); !errors.Is(err, manager.ErrUnknown) {
				t.Errorf("cycled %q: %v", name, err)
			}
		}
		for _, name := range []string{"", jobdb.Name(99), "dropped"} {
			if _, err := m.Drain(ctx, name); !errors.Is(err, manager.ErrUnknown) {
				t.Errorf("drained %q: %v", name, err)
			}
		}
	})
}

// A Director that is alone takes up the newest JobDB that it had, whatever the state
// that a crash left it in, and spares only when there is none.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one")
		defer w.cancel()
		o := w.owner(&dude{name: "a"})
		if _, l, found, err := o.Resume(t.Context()); err != nil || found || l != nil {
			t.Errorf("resumed something of nothing: %v", err)
		}
		for n, s := range []manager.State{manager.StateDropped, manager.StateReleased, manager.StateLive, manager.StateDraining, manager.StateSpare} {
			w.put(manager.Record{Name: jobdb.Name(uint64(n) + 1), State: s, Server: "one"})
		}
		r, l, found, err := o.Resume(t.Context())
		if err != nil || !found || r.Name != jobdb.Name(3) || r.State != manager.StateLive || r.Owner != "a" || !l.Held() {
			t.Errorf("resumed %+v, %t, %v", r, found, err)
		}
		if err := o.Release(t.Context(), r.Name, &manager.Ledger{Accepted: 7, Succeeded: 7}); err != nil {
			t.Error(err)
		}
		got, _, _ := manager.Get(t.Context(), &w.catalog, r.Name)
		if got.State != manager.StateReleased || !got.Known || got.Ledger.Accepted != 7 {
			t.Errorf("released as %+v", got)
		}
		if err := o.Release(t.Context(), jobdb.Name(5), nil); err != nil {
			t.Errorf("released what it does not own: %v", err)
		}
		if got, _, _ := manager.Get(t.Context(), &w.catalog, jobdb.Name(5)); got.State != manager.StateSpare {
			t.Errorf("what it does not own is %s", got.State)
		}
	})
}

// Of Directors that want one spare, one has it; the others wait for the next.
func TestSpareHasOneOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one")
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan string)
		for _, name := range []string{"a", "b", "c"} {
			go func() {
				r, _, err := w.owner(&dude{name: name}).Acquire(ctx)
				if err != nil {
					got <- ""
					return
				}
				got <- r.Name
			}()
		}
		for n := uint64(1); n <= 2; n++ {
			w.put(manager.Record{Name: jobdb.Name(n), State: manager.StateSpare, Server: "one"})
			if name := <-got; name != jobdb.Name(n) {
				t.Errorf("acquired %q, want %s", name, jobdb.Name(n))
			}
		}
		time.Sleep(time.Minute)
		cancel()
		if name := <-got; name != "" {
			t.Errorf("acquired %q, when there was none", name)
		}
		w.cancel()
	})
}

// A spare of a server that is down is left alone while there is another, and waited
// for if there is none.
func TestSpareOfAServerThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one", "two")
		w.down["one"] = errors.New("connection refused")
		w.put(manager.Record{Name: jobdb.Name(1), State: manager.StateSpare, Server: "one"})
		w.put(manager.Record{Name: jobdb.Name(2), State: manager.StateSpare, Server: "two"})
		w.put(manager.Record{Name: jobdb.Name(3), State: manager.StateSpare, Server: "two"})
		for range 2 {
			if r, _, err := w.owner(&dude{name: "a"}).Acquire(w.ctx); err != nil || r.Server != "two" {
				t.Errorf("acquired %+v, %v", r, err)
			}
		}
		time.AfterFunc(time.Minute, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.down["one"] = nil
		})
		began := time.Now()
		if r, _, err := w.owner(&dude{name: "a"}).Acquire(w.ctx); err != nil || r.Server != "one" || time.Since(began) < time.Minute {
			t.Errorf("acquired %+v after %s, %v", r, time.Since(began), err)
		}
		w.cancel()
	})
}
