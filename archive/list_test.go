package archive_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/archive/archivetest"
)

func TestFilter(t *testing.T) {
	a := archive.New(&archivetest.Memory{})
	// One job an hour, each in an object of its own, and unlike the others.
	var ids []centrifuge.ID
	for n := range byte(4) {
		r := record(t, n+1)
		r.Job.ID = jobID(t, noon.Add(time.Duration(n-1)*time.Hour), n+1)
		r.Job.Source = fmt.Sprintf("s%d", n)
		r.Job.Destination = fmt.Sprintf("d%d", n%2)
		r.Job.Endpoint = fmt.Sprintf("https://x%d.example/in", n)
		r.StatusCode = 500 + int(n)
		r.ErrorCode = []centrifuge.ErrorCode{"", centrifuge.ErrorConnReset}[n%2]
		r.Reason = []centrifuge.ErrorCode{centrifuge.ErrorExpired, centrifuge.ErrorFlushed}[n/2]
		ids = append(ids, r.Job.ID)
		mustWrite(t, a, archive.ObjectName(noon.Add(time.Duration(n)*time.Hour), "d1", r.Job.ID), []archive.Record{r})
	}
	for _, c := range []struct {
		what   string
		filter archive.Filter
		want   []int
	}{
		{"all", archive.Filter{}, []int{0, 1, 2, 3}},
		{"source", archive.Filter{Source: "s1"}, []int{1}},
		{"no such source", archive.Filter{Source: "s"}, nil},
		{"destination", archive.Filter{Destination: "d1"}, []int{1, 3}},
		{"endpoint", archive.Filter{Endpoint: "https://x2.example/in"}, []int{2}},
		{"endpoint is exact", archive.Filter{Endpoint: "https://x2.example/"}, nil},
		{"endpoint by prefix", archive.Filter{Endpoint: "https://x2.example/*"}, []int{2}},
		{"every endpoint", archive.Filter{Endpoint: "*"}, []int{0, 1, 2, 3}},
		{"status", archive.Filter{StatusCode: 503}, []int{3}},
		{"error", archive.Filter{ErrorCode: centrifuge.ErrorConnReset}, []int{1, 3}},
		{"reason", archive.Filter{ErrorCode: centrifuge.ErrorExpired}, []int{0, 1}},
		{"job", archive.Filter{JobID: ids[2]}, []int{2}},
		{"job and source of another", archive.Filter{JobID: ids[2], Source: "s1"}, nil},
		{"from", archive.Filter{From: noon.Add(time.Hour)}, []int{1, 2, 3}},
		{"from a moment later", archive.Filter{From: noon.Add(time.Hour + 1)}, []int{2, 3}},
		{"to", archive.Filter{To: noon.Add(2 * time.Hour)}, []int{0, 1}},
		{"to a moment later", archive.Filter{To: noon.Add(2*time.Hour + 1)}, []int{0, 1, 2}},
		{"from and to", archive.Filter{From: noon.Add(time.Hour), To: noon.Add(3 * time.Hour)}, []int{1, 2}},
		{"from and destination", archive.Filter{From: noon.Add(time.Hour), Destination: "d0"}, []int{2}},
		{"after the end", archive.Filter{From: noon.Add(4 * time.Hour)}, nil},
		{"before the beginning", archive.Filter{To: noon}, nil},
		{"beyond names", archive.Filter{From: time.Date(12_000, 1, 1, 0, 0, 0, 0, time.UTC)}, nil},
	} {
		for _, limit := range []int{1, 2, 100} {
			entries, problems := listAll(t, a, c.filter, limit)
			var got []int
			for i := range entries {
				got = append(got, slices.Index(ids, entries[i].JobID))
			}
			if !slices.Equal(got, c.want) || len(problems) > 0 {
				t.Errorf("%s, %d a page: %v, want %v; problems %v", c.what, limit, got, c.want, problems)
			}
		}
	}
}

// Every size of page gives the same listing, in the order of archiving, across
// owners and within objects.
func TestPaging(t *testing.T) {
	b := &archivetest.Memory{}
	a := archive.New(b)
	var want []centrifuge.ID
	n := byte(1)
	for hour := range 5 {
		for _, owner := range []string{"a", "b"} {
			rs := records(t, n, n+7)
			n += 7
			for i := range rs {
				rs[i].Job.Source = fmt.Sprint(i % 2)
				if i%2 == 1 {
					want = append(want, rs[i].Job.ID)
				}
			}
			mustWrite(t, a, archive.ObjectName(noon.Add(time.Duration(hour)*time.Hour), owner, rs[0].Job.ID), rs)
		}
	}
	if err := b.Put(t.Context(), "2026/11/22/README.txt", []byte("not ours")); err != nil {
		t.Fatal(err)
	}
	for limit := 1; limit <= len(want)+1; limit++ {
		entries, problems := listAll(t, a, archive.Filter{Source: "1"}, limit)
		var got []centrifuge.ID
		for i := range entries {
			got = append(got, entries[i].JobID)
		}
		if !slices.Equal(got, want) || len(problems) > 0 {
			t.Fatalf("%d a page: %v, want %v; problems %v", limit, got, want, problems)
		}
	}
}

// A cursor holds when the object it points into has been removed by hand, and
// sees what was archived since.
func TestCursorSurvivesChanges(t *testing.T) {
	b := &archivetest.Memory{}
	a := archive.New(b)
	first, second, third := records(t, 1, 4), records(t, 4, 6), records(t, 6, 7)
	firstName := archive.ObjectName(noon, "a", first[0].Job.ID)
	mustWrite(t, a, firstName, first)
	mustWrite(t, a, archive.ObjectName(noon.Add(time.Minute), "a", second[0].Job.ID), second)
	page, err := a.List(t.Context(), archive.Filter{}, "", 1)
	if err != nil || len(page.Entries) != 1 {
		t.Fatalf("%+v, %v", page, err)
	}
	b.Remove(firstName + ".ndjson.zst")
	b.Remove(firstName + ".idx.ndjson.zst")
	mustWrite(t, a, archive.ObjectName(noon.Add(time.Hour), "a", third[0].Job.ID), third)
	page, err = a.List(t.Context(), archive.Filter{}, page.Next, 10)
	if err != nil || len(page.Entries) != 3 || page.Entries[0].JobID != second[0].Job.ID {
		t.Errorf("%+v, %v, want all three jobs that are left", page, err)
	}
}

func TestListRefuses(t *testing.T) {
	a := archive.New(&archivetest.Memory{})
	rs := records(t, 1, 2)
	mustWrite(t, a, objectName(rs), rs)
	for _, cursor := range []string{"x", "../x", objectName(rs) + ",", objectName(rs) + ",0", objectName(rs) + ",-1", objectName(rs) + ",x"} {
		if _, err := a.List(t.Context(), archive.Filter{}, cursor, 1); err == nil {
			t.Errorf("cursor %q was accepted", cursor)
		}
	}
	if _, err := a.List(t.Context(), archive.Filter{}, "", 0); err == nil {
		t.Error("a limit of 0 was accepted")
	}
	failing := archive.New(&archivetest.Faulty{
		Bucket: &archivetest.Memory{},
		Decide: func(archivetest.Op, string) archivetest.Fault { return archivetest.FaultLost },
	})
	if _, err := failing.List(t.Context(), archive.Filter{}, "", 1); !errors.Is(err, archivetest.ErrInjected) {
		t.Errorf("list of a failing bucket: %v", err)
	}
}

// Whatever is damaged is named, and everything that can be read still is.
func TestDamage(t *testing.T) {
	const data, index = ".ndjson.zst", ".idx.ndjson.zst"
	cut := func(b []byte) []byte { return b[:len(b)-5] }
	flip := func(b []byte) []byte { b[len(b)/2] ^= 0x40; return b }
	empty := func([]byte) []byte { return nil }
	foreign := func([]byte) []byte { return []byte("not ours\n") }
	for _, c := range []struct {
		what     string
		ext      string
		damage   func([]byte) []byte // nil: remove
		listed   int                 // of the object's 3 jobs
		problems int                 // of the listing
		readable int
	}{
		{"data cut short", data, cut, 3, 0, 0},
		{"data with a flipped bit", data, flip, 3, 0, 0},
		{"empty data", data, empty, 3, 0, 0},
		{"foreign data", data, foreign, 3, 0, 0},
		{"no data", data, nil, 0, 1, 0},
		{"index cut short", index, cut, 3, 1, 3},
		{"index with a flipped bit", index, flip, 3, 1, 3},
		{"empty index", index, empty, 3, 1, 3},
		{"foreign index", index, foreign, 3, 1, 3},
		{"no index", index, nil, 3, 0, 3},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := &archivetest.Memory{}
			a := archive.New(b)
			bad, good := records(t, 1, 4), records(t, 4, 7)
			badName := archive.ObjectName(noon, "a", bad[0].Job.ID)
			mustWrite(t, a, badName, bad)
			mustWrite(t, a, archive.ObjectName(noon.Add(time.Minute), "a", good[0].Job.ID), good)
			if c.damage == nil {
				b.Remove(badName + c.ext)
			} else {
				stored, err := b.Get(t.Context(), badName+c.ext)
				if err == nil {
					err = b.Put(t.Context(), badName+c.ext, c.damage(stored))
				}
				if err != nil {
					t.Fatal(err)
				}
			}

			entries, problems := listAll(t, a, archive.Filter{}, 100)
			if len(entries) != c.listed+3 || len(problems) != c.problems {
				t.Errorf("listed %d jobs, want %d; problems %v, want %d", len(entries), c.listed+3, problems, c.problems)
			}
			paged, _ := listAll(t, a, archive.Filter{}, 1)
			if !slices.Equal(paged, entries) {
				t.Errorf("page by page: %+v\nat once: %+v", paged, entries)
			}
			for _, err := range problems {
				mustBlame(t, err, badName+c.ext)
			}
			read := 0
			for r, err := range a.Read(t.Context(), entries) {
				switch {
				case err != nil:
					mustBlame(t, err, badName+c.ext)
				case r.Job.ID.IsZero():
					t.Error("an empty record was read")
				default:
					read++
				}
			}
			if read != c.readable+3 {
				t.Errorf("read %d jobs, want %d", read, c.readable+3)
			}
			_, err := a.Find(t.Context(), bad[1].Job.ID)
			if (err == nil) != (c.readable > 0) || errors.Is(err, archive.ErrNotFound) {
				t.Errorf("find in the damaged object: %v", err)
			}
			if _, err := a.Find(t.Context(), good[1].Job.ID); err != nil {
				t.Errorf("find in another object: %v", err)
			}
			// What was archived is evidence: a damaged object is never written over.
			err = a.Write(t.Context(), badName, bad)
			if overwrites := c.ext == index || c.damage == nil; (err == nil) != overwrites {
				t.Errorf("write again: %v", err)
			}
		})
	}
}

// A store that does not answer is not damage, and nothing is listed without what it
// holds.
func TestPassingFailuresAreNoDamage(t *testing.T) {
	var failing string
	b := &archivetest.Faulty{Bucket: &archivetest.Memory{}, Decide: func(op archivetest.Op, name string) archivetest.Fault {
		if op == archivetest.OpGet && failing != "" && strings.Contains(name, failing) {
			return archivetest.FaultLost
		}
		return archivetest.FaultNone
	}}
	a := archive.New(b)
	rs := records(t, 1, 4)
	name := archive.ObjectName(noon, "a", rs[0].Job.ID)
	mustWrite(t, a, name, rs)
	entries, _ := listAll(t, a, archive.Filter{}, 100)
	if err := a.MarkReplayed(t.Context(), replaysOf(t, entries[:1], noon)); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{".idx.ndjson.zst", ".replayed-"} {
		failing = part
		if page, err := a.List(t.Context(), archive.Filter{}, "", 100); !errors.Is(err, archivetest.ErrInjected) || errors.Is(err, archive.ErrDamaged) || len(page.Entries) > 0 {
			t.Errorf("%s: %+v, %v", part, page, err)
		}
	}
	failing = name + ".ndjson.zst"
	for r, err := range a.Read(t.Context(), entries) {
		if !errors.Is(err, archivetest.ErrInjected) || errors.Is(err, archive.ErrDamaged) {
			t.Errorf("read %+v, %v", r, err)
		}
	}
	if _, err := a.Find(t.Context(), rs[0].Job.ID); !errors.Is(err, archivetest.ErrInjected) || errors.Is(err, archive.ErrNotFound) {
		t.Errorf("find: %v", err)
	}
}

// An object's checksum is at its end, and counts for the records before.
func TestDamageAfterWhatIsRead(t *testing.T) {
	b := &archivetest.Memory{}
	a := archive.New(b)
	rs := records(t, 1, 4)
	for i := range rs {
		rs[i].Job.Payload = make([]byte, 1<<20) // more than a reader takes at once
		if _, err := rand.Read(rs[i].Job.Payload); err != nil {
			t.Fatal(err)
		}
	}
	name := archive.ObjectName(noon, "a", rs[0].Job.ID)
	mustWrite(t, a, name, rs)
	entries, _ := listAll(t, a, archive.Filter{}, 100)
	stored, err := b.Get(t.Context(), name+".ndjson.zst")
	if err != nil {
		t.Fatal(err)
	}
	stored[len(stored)-1] ^= 1
	if err := b.Put(t.Context(), name+".ndjson.zst", stored); err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range a.Read(t.Context(), entries[:1]) {
		last = err
	}
	if last == nil {
		t.Fatal("a record of an object with a wrong checksum was read as if all were well")
	}
	mustBlame(t, last, name+".ndjson.zst")
	if r, err := a.Find(t.Context(), rs[0].Job.ID); err == nil {
		t.Errorf("found %+v", r)
	}
}

func mustBlame(t *testing.T, err error, object string) {
	t.Helper()
	if !errors.Is(err, archive.ErrDamaged) || !strings.Contains(err.Error(), object) {
		t.Errorf("%v: want ErrDamaged with the name %s", err, object)
	}
}

func TestFindNot(t *testing.T) {
	a := archive.New(&archivetest.Memory{})
	rs := records(t, 1, 3)
	mustWrite(t, a, archive.ObjectName(rs[0].Job.ID.Time().Add(archive.FindSpan), "a", rs[0].Job.ID), rs[:1])
	mustWrite(t, a, archive.ObjectName(rs[1].Job.ID.Time().Add(-time.Hour), "a", rs[1].Job.ID), rs[1:])
	if _, err := a.Find(t.Context(), rs[0].Job.ID); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("find a job archived too late: %v", err)
	}
	if _, err := a.Find(t.Context(), rs[1].Job.ID); err != nil {
		t.Errorf("find a job archived by a clock that is behind: %v", err)
	}
	if entries, _ := listAll(t, a, archive.Filter{JobID: rs[0].Job.ID}, 1); len(entries) != 1 {
		t.Errorf("list of the late job: %v", entries)
	}
}

// A reader fetches each object once, whatever the order of the entries.
func TestReadFetchesOnce(t *testing.T) {
	gets := map[string]int{}
	a := archive.New(&archivetest.Faulty{
		Bucket: &archivetest.Memory{},
		Decide: func(op archivetest.Op, name string) archivetest.Fault {
			if op == archivetest.OpGet {
				gets[name]++
			}
			return archivetest.FaultNone
		},
	})
	rs := records(t, 1, 7)
	mustWrite(t, a, archive.ObjectName(noon, "a", rs[0].Job.ID), rs[:3])
	mustWrite(t, a, archive.ObjectName(noon.Add(time.Hour), "a", rs[3].Job.ID), rs[3:])
	entries, _ := listAll(t, a, archive.Filter{}, 100)
	if len(gets) != 4 { // Write looks for an earlier object, List reads the index
		t.Errorf("gets so far: %v", gets)
	}
	clear(gets)
	mixed := []archive.Entry{entries[4], entries[0], entries[3], entries[2], entries[4]}
	var got []centrifuge.ID
	for _, r := range readAll(t, a, mixed) {
		got = append(got, r.Job.ID)
	}
	if want := []centrifuge.ID{rs[3].Job.ID, rs[4].Job.ID, rs[0].Job.ID, rs[2].Job.ID}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
	for name, n := range gets {
		if n != 1 || len(gets) != 2 {
			t.Errorf("%s was fetched %d times; in all %v", name, n, gets)
		}
	}
	for _, err := range a.Read(t.Context(), []archive.Entry{{Object: "../../etc/passwd", JobID: rs[0].Job.ID}}) {
		if err == nil || strings.Contains(err.Error(), "get archive object") {
			t.Errorf("an entry with a hostile object: %v", err)
		}
	}
}
