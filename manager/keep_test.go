package manager_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"centrifuge/jobdb"
	"centrifuge/manager"
)

// leave has Director a go over to another JobDB n times, each with some jobs in it
// that are done, 100 bytes each.
func (w *world) leave(m *process, n, jobs int) {
	w.t.Helper()
	for range n {
		w.mu.Lock()
		first := len(w.files) * 1000
		w.mu.Unlock()
		for job := range jobs {
			w.submit("a", 1, first+job)
		}
		if _, _, err := m.Cycle(w.t.Context(), "a"); err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
	}
}

// mustKeep checks which JobDBs there are, but for the one in use and the spare.
func (w *world) mustKeep(numbers ...uint64) {
	w.t.Helper()
	records, _, _ := w.catalog.List(w.t.Context(), 0)
	w.mu.Lock()
	defer w.mu.Unlock()
	var want, got []string
	for _, n := range numbers {
		want = append(want, jobdb.Name(n))
	}
	for _, r := range records {
		_, there := w.files[r.Name]
		if r.State == manager.StateDrained && !there {
			w.t.Errorf("%s is not there", r.Name)
		}
		if there && r.State != manager.StateLive && r.State != manager.StateSpare {
			got = append(got, r.Name)
		}
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("kept are %v, want %v", got, want)
	}
}

func (w *world) mustCount(m *manager.Manager, n int64) {
	w.t.Helper()
	books, err := m.Books(w.t.Context())
	if err != nil || !books.Balanced() || books.Total.Accepted != n {
		w.t.Errorf("the books: %+v, %v, want %d", books, err, n)
	}
}

func TestKeptForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one")
		w.keepAge = time.Minute
		m := w.manage(t, fault{})
		w.direct("a")
		w.leave(m, 3, 5)
		w.mustKeep(1, 2, 3)
		w.mustCount(m.Manager, 15)
		fleet, err := m.Fleet(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first := fleet.JobDBs[0]
		if want := first.Since[manager.StateDrained].Add(time.Minute); first.State != manager.StateDrained || !first.DropAt.Equal(want) {
			t.Errorf("%s is %s and to be dropped at %s, want %s", first.Name, first.State, first.DropAt, want)
		}
		time.Sleep(54 * time.Second)
		w.mustKeep(1, 2, 3)
		time.Sleep(4 * time.Second)
		w.mustKeep(3)
		w.mustCount(m.Manager, 15)
		time.Sleep(30 * time.Second)
		w.mustKeep()
		w.mustCount(m.Manager, 15)
		w.cancel()
		m.end()
	})
}

func TestKeptUpToASize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one")
		w.keepAge, w.keepBytes = time.Hour, 1100
		m := w.manage(t, fault{})
		w.direct("a")
		w.leave(m, 2, 5)
		w.mustKeep(1, 2)
		w.leave(m, 1, 5)
		time.Sleep(2 * time.Second)
		w.mustKeep(2, 3)
		w.mustCount(m.Manager, 15)
		w.cancel()
		m.end()
	})
}

// When room is scarce, no more is dropped than gives enough of it.
func TestKeptWhileThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one")
		w.keepAge = time.Hour
		most := 5
		w.scarce = func() (bool, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.files) > most, nil
		}
		m := w.manage(t, fault{})
		w.direct("a")
		w.leave(m, 3, 5)
		w.mustKeep(1, 2, 3)
		w.mu.Lock()
		most = 4
		w.mu.Unlock()
		time.Sleep(3 * time.Second)
		w.mustKeep(2, 3)
		w.cancel()
		m.end()
	})
}

// A backup that somebody has put back under the name of a JobDB that is drained, or
// dropped, is not dropped: its jobs are unfinished.
func TestRestoredIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one")
		w.keepAge = time.Minute
		m := w.manage(t, fault{})
		w.direct("a")
		w.submit("a", 1, 1, 2, 3)
		w.mu.Lock()
		backup := &file{server: "one", jobs: maps.Clone(w.files[jobdb.Name(1)].jobs), epoch: w.files[jobdb.Name(1)].epoch}
		w.mu.Unlock()
		w.leave(m, 2, 5)
		w.mu.Lock()
		w.files[jobdb.Name(1)] = backup // of what is drained
		w.mu.Unlock()
		time.Sleep(62 * time.Second)
		w.mustKeep(1)
		w.mustCount(m.Manager, 13)
		fleet, err := m.Fleet(t.Context())
		if err != nil || fleet.JobDBs[0].Err == nil || !strings.Contains(fleet.JobDBs[0].Err.Error(), "not what was drained") {
			t.Errorf("the fleet says %+v, %v", fleet.JobDBs[0], err)
		}
		w.mu.Lock()
		delete(w.files, jobdb.Name(1))
		w.files[jobdb.Name(2)] = backup // of what is dropped
		w.mu.Unlock()
		time.Sleep(2 * time.Minute)
		w.mustKeep(2)
		w.mu.Lock()
		backup.damaged = true // as what is left of a drop that was cut off
		w.mu.Unlock()
		w.mu.Lock()
		backup.jobs = nil
		w.mu.Unlock()
		time.Sleep(3 * time.Second)
		w.mustKeep()
		w.mustCount(m.Manager, 13)
		if fleet, err = m.Fleet(t.Context()); err != nil || fleet.JobDBs[0].Err != nil {
			t.Errorf("the fleet says %+v, %v", fleet.JobDBs[0], err)
		}
		w.cancel()
		m.end()
	})
}

// A JobDB that cannot be read is not dropped, since nobody knows what it is.
func TestUnreadableIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one")
		w.keepAge = 10 * time.Second
		m := w.manage(t, fault{})
		w.direct("a")
		w.leave(m, 1, 5)
		w.mu.Lock()
		w.files[jobdb.Name(1)].damaged = true
		w.mu.Unlock()
		time.Sleep(time.Minute)
		w.mustKeep(1)
		w.cancel()
		m.end()
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one")
		w.keepAge = time.Hour
		m := w.manage(t, fault{})
		registry := prometheus.NewPedanticRegistry()
		if err := registry.Register(m.Collector()); err != nil {
			t.Fatal(err)
		}
		w.direct("a")
		w.leave(m, 2, 5)
		w.mu.Lock()
		w.accepted = func(string, []int) error { return errors.New("the disk is full") }
		w.mu.Unlock()
		w.submit("a", 0, 1, 2)
		if _, _, err := m.Cycle(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		want := map[string]float64{
			"drain_failures_total": 2, "drains_running": 0, "jobdb_cycles_total": 3, "jobdb_kept_bytes": 1000,
			"jobdb_let_go_seconds draining": 1.5, "jobdb_let_go_seconds released": 0,
			"jobdbs new": 0, "jobdbs spare": 1, "jobdbs live": 1, "jobdbs released": 0, "jobdbs draining": 1, "jobdbs drained": 2, "jobdbs dropped": 0,
		}
		if got := gather(t, registry); !maps.Equal(got, want) {
			t.Errorf("the metrics are\n%v, want\n%v", got, want)
		}
		w.cancel()
		m.end()
		if got := gather(t, registry); len(got) != 2 {
			t.Errorf("one that does not manage tells %v", got)
		}
	})
}

// gather returns all metrics by their names, and the values of their labels.
func gather(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), "centrifuge_")
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return got
}
