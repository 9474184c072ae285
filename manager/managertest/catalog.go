// Package managertest holds what every catalog, and everything that gives leases to
// a Manager, must pass.
package managertest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"centrifuge/jobdb"
	"centrifuge/manager"
)

// OpenCatalog opens a catalog. Each call gives another view of the same one, as
// other processes have it, or the same view, if only one process may have it.
type OpenCatalog func() manager.Catalog

// RunCatalog runs the suite of a catalog. Each of its tests calls create for an
// empty one of its own.
func RunCatalog(t *testing.T, create func(t *testing.T) OpenCatalog) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open OpenCatalog)
	}{
		{"Empty", func(t *testing.T, open OpenCatalog) { mustHave(t, open()) }},
		{"RecordsSurviveUnchanged", testRecordsSurvive},
		{"ListIsByNumber", testListOrder},
		{"StaleRevision", testStaleRevision},
		{"Delete", testDelete},
		{"OneOfManyWriters", testManyWriters},
		{"ListWaits", testListWaits},
		{"ListEndsWithItsContext", testListEnds},
		{"NameIsRequired", testNoName},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, create(t)) })
	}
}

func record(number uint64) manager.Record {
	return manager.Record{
		Name: jobdb.Name(number), Server: "10.1.2.3:3306", State: manager.StateSpare,
		Since: map[manager.State]time.Time{manager.StateSpare: time.UnixMilli(1_700_000_000_123).UTC()},
	}
}

func mustPut(t *testing.T, c manager.Catalog, r manager.Record) manager.Record {
	t.Helper()
	r, err := c.Put(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if r.Revision == 0 {
		t.Fatalf("the record has no revision after it was written: %+v", r)
	}
	return r
}

func mustHave(t *testing.T, c manager.Catalog, want ...manager.Record) {
	t.Helper()
	got, version, err := c.List(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if version == 0 {
		t.Error("the catalog has version 0")
	}
	if len(got) != len(want) {
		t.Fatalf("the catalog has\n%+v, want\n%+v", got, want)
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("record %d is\n%+v, want\n%+v", i, got[i], want[i])
		}
	}
}

func testRecordsSurvive(t *testing.T, open OpenCatalog) {
	bare := manager.Record{Name: "dropped", Through: 17, State: manager.StateDropped, Known: true}
	full := record(1<<40 + 1)
	full.State, full.Owner, full.Target, full.Known = manager.StateDraining, "director \"ö\" / <1>", jobdb.Name(2), true
	full.Ledger = manager.Ledger{
		Accepted: 45, Succeeded: 1, Discarded: 2, Archived: 3, Moved: 4,
		AwaitingScheduling: 5, Executing: 6, AwaitingRetry: 7, Archiving: 1 << 60,
	}
	full.Since[manager.StateLive] = time.UnixMilli(1_700_000_999_001).UTC()
	c := open()
	bare, full = mustPut(t, c, bare), mustPut(t, c, full)
	mustHave(t, c, bare, full)
	mustHave(t, open(), bare, full)

	full.State, full.Target = manager.StateDropped, ""
	before := full.Revision
	full = mustPut(t, open(), full)
	if full.Revision == before {
		t.Error("a record that was written again has the same revision")
	}
	mustHave(t, c, bare, full)
}

func testListOrder(t *testing.T, open OpenCatalog) {
	c := open()
	var want []manager.Record
	for _, n := range []uint64{1_000_000, 9, 12, 999_999, 100} {
		want = append(want, mustPut(t, c, record(n)))
	}
	slices.SortFunc(want, func(a, b manager.Record) int { return manager.CompareNames(a.Name, b.Name) })
	mustHave(t, c, want...)
}

func testStaleRevision(t *testing.T, open OpenCatalog) {
	c, other := open(), open()
	first := mustPut(t, c, record(1))
	if _, err := other.Put(t.Context(), record(1)); !errors.Is(err, manager.ErrConflict) {
		t.Errorf("made twice: %v", err)
	}
	second := first
	second.Owner = "a"
	second = mustPut(t, other, second)
	stale := first
	stale.Owner = "b"
	if _, err := c.Put(t.Context(), stale); !errors.Is(err, manager.ErrConflict) {
		t.Errorf("written over: %v", err)
	}
	if err := c.Delete(t.Context(), first); !errors.Is(err, manager.ErrConflict) {
		t.Errorf("deleted with a stale revision: %v", err)
	}
	missing := record(2)
	missing.Revision = second.Revision
	if _, err := c.Put(t.Context(), missing); !errors.Is(err, manager.ErrConflict) {
		t.Errorf("changed a record that there is not: %v", err)
	}
	mustHave(t, c, second)
	unchanged := mustPut(t, c, second)
	if unchanged.Revision == second.Revision {
		t.Error("a record that was written as it was has the same revision")
	}
	if _, err := c.Put(t.Context(), second); !errors.Is(err, manager.ErrConflict) {
		t.Errorf("a record that was written again as it was could be written over: %v", err)
	}
}

func testDelete(t *testing.T, open OpenCatalog) {
	c := open()
	one, two := mustPut(t, c, record(1)), mustPut(t, c, record(2))
	if err := c.Delete(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	mustHave(t, open(), two)
	if err := c.Delete(t.Context(), one); !errors.Is(err, manager.ErrConflict) {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := c.Put(t.Context(), one); !errors.Is(err, manager.ErrConflict) {
		t.Errorf("changed after it was deleted: %v", err)
	}
	again := mustPut(t, c, record(1))
	if again.Revision == one.Revision {
		t.Error("a record that was made again has the revision of the one before")
	}
}

// Of those that change a record at the same time, one does.
func testManyWriters(t *testing.T, open OpenCatalog) {
	const writers, rounds = 4, 10
	shared := mustPut(t, open(), record(1))
	var all sync.WaitGroup
	for range writers {
		c := open()
		all.Go(func() {
			for done := 0; done < rounds; {
				records, _, err := c.List(t.Context(), 0)
				if err != nil {
					t.Error(err)
					return
				}
				r := records[0]
				r.Ledger.Accepted++
				if _, err = c.Put(t.Context(), r); err == nil {
					done++
				} else if !errors.Is(err, manager.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	got, found, err := manager.Get(t.Context(), open(), shared.Name)
	if err != nil || !found || got.Ledger.Accepted != writers*rounds {
		t.Errorf("counted to %d (%v), want %d", got.Ledger.Accepted, err, writers*rounds)
	}
}

func testListWaits(t *testing.T, open OpenCatalog) {
	c, other := open(), open()
	first := mustPut(t, c, record(1))
	_, seen, err := c.List(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		records []manager.Record
		err     error
	}
	changed := make(chan answer, 1)
	go func() {
		for {
			records, version, err := c.List(t.Context(), seen)
			if err != nil || version != seen {
				changed <- answer{records, err}
				return
			}
		}
	}()
	second := mustPut(t, other, record(2))
	if got := <-changed; got.err != nil || len(got.records) != 2 || got.records[1].Revision != second.Revision {
		t.Errorf("woke up with %+v", got)
	}
	mustHave(t, c, first, second)
}

func testListEnds(t *testing.T, open OpenCatalog) {
	c := open()
	_, seen, err := c.List(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		for {
			if _, _, err := c.List(ctx, seen); err != nil {
				ended <- err
				return
			}
		}
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if _, err := c.Put(ctx, record(1)); err == nil {
		t.Error("wrote for somebody who has gone")
	}
	mustHave(t, c)
}

func testNoName(t *testing.T, open OpenCatalog) {
	if _, err := open().Put(t.Context(), manager.Record{State: manager.StateSpare}); err == nil {
		t.Error("wrote a record without a name")
	}
	mustHave(t, open())
}
