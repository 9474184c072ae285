package archive_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/archive/archivetest"
)

func replaysOf(t *testing.T, entries []archive.Entry, at time.Time) []archive.Replay {
	t.Helper()
	var rs []archive.Replay
	for _, e := range entries {
		as, err := e.ReplayID()
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, archive.Replay{Entry: e, As: as, At: at})
	}
	return rs
}

func TestMarkReplayed(t *testing.T) {
	dir := t.TempDir()
	a := archive.New(openFolder(t, dir))
	first, second := records(t, 1, 5), records(t, 5, 8)
	mustWrite(t, a, archive.ObjectName(noon, "a", first[0].Job.ID), first)
	mustWrite(t, a, archive.ObjectName(noon.Add(time.Hour), "a", second[0].Job.ID), second)
	entries, _ := listAll(t, a, archive.Filter{}, 100)

	at := noon.Add(2 * time.Hour)
	chosen := slices.Concat(entries[1:3], entries[4:6])
	replays := replaysOf(t, chosen, at)
	for n := range 3 { // to record the same again, even later, changes nothing
		for i := range replays {
			replays[i].At = at.Add(time.Duration(n) * time.Minute)
		}
		slices.Reverse(replays)
		if err := a.MarkReplayed(t.Context(), replays); err != nil {
			t.Fatal(err)
		}
	}
	a = archive.New(openFolder(t, dir)) // marks survive a restart
	for _, limit := range []int{1, 3, 100} {
		got, problems := listAll(t, a, archive.Filter{}, limit)
		for i, e := range got {
			want := entries[i]
			if slices.Contains(chosen, entries[i]) {
				want.ReplayedAs, _ = e.ReplayID()
				want.ReplayedAt = at
			}
			if e != want {
				t.Errorf("entry %d = %+v\nwant %+v", i, e, want)
			}
		}
		if len(got) != len(entries) || len(problems) > 0 {
			t.Errorf("%d entries, problems %v", len(got), problems)
		}
	}
	stored := 0
	for _, err := range openFolder(t, dir).List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		stored++
	}
	if stored != 6 { // two objects, their indexes, and a mark for each
		t.Errorf("the bucket has %d objects, want 6", stored)
	}
}

func TestEarliestReplayStands(t *testing.T) {
	a := archive.New(&archivetest.Memory{})
	rs := records(t, 1, 2)
	mustWrite(t, a, objectName(rs), rs)
	entries, _ := listAll(t, a, archive.Filter{}, 1)
	for _, n := range []byte{3, 1, 2} {
		at := noon.Add(time.Duration(n) * time.Minute)
		if err := a.MarkReplayed(t.Context(), []archive.Replay{{Entry: entries[0], As: jobID(t, at, n), At: at}}); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := listAll(t, a, archive.Filter{}, 1)
	if want := jobID(t, noon.Add(time.Minute), 1); got[0].ReplayedAs != want {
		t.Errorf("replayed as %s, want the earliest, %s", got[0].ReplayedAs, want)
	}
}

func TestMarkFaults(t *testing.T) {
	for _, fault := range []archivetest.Fault{archivetest.FaultLost, archivetest.FaultKept} {
		for step := range 4 { // two objects, each a Get and a Put
			t.Run(fmt.Sprintf("fault %d at step %d", fault, step), func(t *testing.T) {
				b := &archivetest.Memory{}
				a := archive.New(b)
				first, second := records(t, 1, 3), records(t, 3, 6)
				mustWrite(t, a, archive.ObjectName(noon, "a", first[0].Job.ID), first)
				mustWrite(t, a, archive.ObjectName(noon.Add(time.Hour), "a", second[0].Job.ID), second)
				entries, _ := listAll(t, a, archive.Filter{}, 100)
				replays := replaysOf(t, entries, noon.Add(time.Hour))

				calls := 0
				faulty := archive.New(&archivetest.Faulty{Bucket: b, Decide: func(archivetest.Op, string) archivetest.Fault {
					if calls++; calls == step+1 {
						return fault
					}
					return archivetest.FaultNone
				}})
				if err := faulty.MarkReplayed(t.Context(), replays); !errors.Is(err, archivetest.ErrInjected) {
					t.Fatalf("mark: %v, want the injected fault", err)
				}
				if err := faulty.MarkReplayed(t.Context(), replays); err != nil {
					t.Fatal(err)
				}
				got, problems := listAll(t, a, archive.Filter{}, 100)
				for i := range got {
					if got[i].ReplayedAs != replays[i].As {
						t.Errorf("entry %d replayed as %s, want %s", i, got[i].ReplayedAs, replays[i].As)
					}
				}
				if len(got) != len(entries) || len(problems) > 0 {
					t.Errorf("%d entries, problems %v", len(got), problems)
				}
			})
		}
	}
}

func TestDamagedMark(t *testing.T) {
	b := &archivetest.Memory{}
	a := archive.New(b)
	rs := records(t, 1, 3)
	mustWrite(t, a, objectName(rs), rs)
	entries, _ := listAll(t, a, archive.Filter{}, 100)
	replays := replaysOf(t, entries, noon)
	if err := a.MarkReplayed(t.Context(), replays); err != nil {
		t.Fatal(err)
	}
	var mark string
	for name, err := range b.List(t.Context(), objectName(rs)+".replayed-", "") {
		if err != nil {
			t.Fatal(err)
		}
		mark = name
	}
	if err := b.Put(t.Context(), mark, []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	got, problems := listAll(t, a, archive.Filter{}, 100)
	if len(got) != 2 || !got[0].ReplayedAs.IsZero() || len(problems) != 1 {
		t.Fatalf("%+v, problems %v", got, problems)
	}
	mustBlame(t, problems[0], mark)
	if !got[0].Doubtful || !got[1].Doubtful {
		t.Errorf("that it may have been replayed is not said: %+v", got)
	}
	// A mark holds nothing that its recorder does not know, so it is repaired.
	if err := a.MarkReplayed(t.Context(), replays); err != nil {
		t.Fatal(err)
	}
	if got, problems = listAll(t, a, archive.Filter{}, 100); got[0].ReplayedAs != replays[0].As || got[0].Doubtful || len(problems) > 0 {
		t.Errorf("after marking again: %+v, problems %v", got, problems)
	}
}

func TestMarkRefuses(t *testing.T) {
	a := archive.New(&archivetest.Memory{})
	rs := records(t, 1, 2)
	mustWrite(t, a, objectName(rs), rs)
	entries, _ := listAll(t, a, archive.Filter{}, 1)
	good := replaysOf(t, entries, noon)[0]
	noJob, noAs, noTime, noObject := good, good, good, good
	noJob.Entry.JobID = centrifuge.ID{}
	noAs.As = centrifuge.ID{}
	noTime.At = time.Time{}
	noObject.Entry.Object = "../x"
	for _, bad := range []archive.Replay{noJob, noAs, noTime, noObject} {
		if err := a.MarkReplayed(t.Context(), []archive.Replay{good, bad}); err == nil {
			t.Errorf("accepted %+v", bad)
		}
	}
	if got, _ := listAll(t, a, archive.Filter{}, 1); !got[0].ReplayedAs.IsZero() {
		t.Error("a refused call marked a job")
	}
}

func TestReplayID(t *testing.T) {
	a := archive.New(&archivetest.Memory{})
	rs := records(t, 1, 3)
	mustWrite(t, a, objectName(rs), rs)
	seen := map[centrifuge.ID]bool{rs[0].Job.ID: true, rs[1].Job.ID: true}
	entries, _ := listAll(t, a, archive.Filter{}, 100)
	again, _ := listAll(t, a, archive.Filter{Source: "shop"}, 1)
	for i := range entries {
		id, err := entries[i].ReplayID()
		if err != nil || seen[id] || !id.Time().Equal(noon) {
			t.Errorf("ReplayID = %s of %s, %v", id, id.Time(), err)
		}
		seen[id] = true
		if same, err := again[i].ReplayID(); err != nil || same != id {
			t.Errorf("ReplayID of another listing = %s, %v, want %s", same, err, id)
		}
	}
}
