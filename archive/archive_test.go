package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/archive/archivetest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// jobID is an ID made at the given time, the nth of its second.
func jobID(t testing.TB, at time.Time, n byte) centrifuge.ID {
	t.Helper()
	id, err := centrifuge.NewIDs(bytes.NewReader(bytes.Repeat([]byte{n}, 16))).Next(at)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// record is a record with every field filled, of a job made four hours before noon.
func record(t testing.TB, n byte) archive.Record {
	t.Helper()
	created := noon.Add(-4*time.Hour + 123*time.Millisecond)
	id := jobID(t, created, n)
	payload := make([]byte, 256)
	for i := range payload {
		payload[i] = byte(i) + n
	}
	return archive.Record{
		Job: centrifuge.Job{
			ID: id, Source: "shop", Destination: "mail.example", Endpoint: "https://mail.example/in?a=<b>&c",
			Method: "POST",
			Headers: []centrifuge.Header{
				{Name: "X-Twice", Value: "one"},
				{Name: "X-Twice", Value: "two \"quoted\" \u2028 ü"},
			},
			Payload: payload,
			Settings: centrifuge.Settings{
				Timeout: 1500 * time.Millisecond, Encoding: centrifuge.EncodingZstd,
				Retry: centrifuge.RetryPolicy{MinBackoff: time.Second + 1, MaxBackoff: time.Hour, MaxAttempts: 9},
			},
			CreatedAt: created, ExpireAt: created.Add(4 * time.Hour), ReplayOf: jobID(t, created, 200),
		},
		Attempts: 1, Reason: centrifuge.ErrorExpired, StatusCode: 503, ErrorCode: centrifuge.ErrorTimedOut,
		Error: "line one\nline two", LastAttemptAt: created.Add(time.Second), ArchivedAt: noon,
		Transitions: []centrifuge.Transition{
			{JobID: id, State: centrifuge.StateAwaitingScheduling, Time: created},
			{JobID: id, Seq: 7, State: centrifuge.StateExecuting, Attempt: 1, Time: created.Add(time.Second)},
			{
				JobID: id, Seq: 9, State: centrifuge.StateAwaitingRetry, Attempt: 1, RetryAt: created.Add(time.Minute),
				StatusCode: 503, ErrorCode: centrifuge.ErrorTimedOut, Error: "busy", Duration: 1234567 * time.Nanosecond,
				Time: created.Add(2 * time.Second),
			},
		},
	}
}

func records(t testing.TB, from, to byte) []archive.Record {
	t.Helper()
	var rs []archive.Record
	for n := from; n < to; n++ {
		rs = append(rs, record(t, n))
	}
	return rs
}

func objectName(rs []archive.Record) string {
	return archive.ObjectName(noon, "d1", rs[0].Job.ID)
}

func mustWrite(t testing.TB, a *archive.Archive, name string, rs []archive.Record) {
	t.Helper()
	if err := a.Write(t.Context(), name, rs); err != nil {
		t.Fatal(err)
	}
}

// listAll pages through a listing.
func listAll(t testing.TB, a *archive.Archive, f archive.Filter, limit int) (entries []archive.Entry, problems []error) {
	t.Helper()
	for cursor, pages := "", 0; ; pages++ {
		page, err := a.List(t.Context(), f, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Entries) > limit {
			t.Fatalf("a page has %d entries, more than %d", len(page.Entries), limit)
		}
		entries = append(entries, page.Entries...)
		for _, damage := range page.Damaged {
			problems = append(problems, damage)
		}
		if cursor = page.Next; cursor == "" {
			return entries, problems
		}
		if pages > 10_000 {
			t.Fatal("the listing does not end")
		}
	}
}

func readAll(t testing.TB, a *archive.Archive, entries []archive.Entry) []archive.Record {
	t.Helper()
	var rs []archive.Record
	for r, err := range a.Read(t.Context(), entries) {
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

// mustHold checks that the archive has the records, each once, listed and readable.
func mustHold(t *testing.T, a *archive.Archive, want []archive.Record) {
	t.Helper()
	entries, problems := listAll(t, a, archive.Filter{}, 2)
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	if got := readAll(t, a, entries); !reflect.DeepEqual(got, want) {
		t.Errorf("the archive holds\n%+v\nwant\n%+v", got, want)
	}
	if len(entries) != len(want) {
		t.Errorf("%d entries listed, want %d", len(entries), len(want))
	}
}

func TestRoundTrip(t *testing.T) {
	a := archive.New(openFolder(t, t.TempDir()))
	want := records(t, 1, 6)
	least := record(t, 6)
	want = append(want, archive.Record{
		Job: centrifuge.Job{ID: least.Job.ID}, Reason: centrifuge.ErrorFlushed, ArchivedAt: noon,
	})
	mustWrite(t, a, objectName(want), want)
	mustHold(t, a, want)
	for i := range want {
		got, err := a.Find(t.Context(), want[i].Job.ID)
		if err != nil || !reflect.DeepEqual(got, want[i]) {
			t.Errorf("find: %+v, %v, want %+v", got, err, want[i])
		}
	}
	entries, _ := listAll(t, a, archive.Filter{}, 100)
	first := archive.Entry{
		Object: objectName(want), JobID: want[0].Job.ID, Source: "shop", Destination: "mail.example",
		Endpoint: want[0].Job.Endpoint, Reason: centrifuge.ErrorExpired, StatusCode: 503,
		ErrorCode: centrifuge.ErrorTimedOut, Attempts: 1, PayloadSize: 256,
		CreatedAt: want[0].Job.CreatedAt, ArchivedAt: noon,
	}
	if entries[0] != first {
		t.Errorf("entry = %+v\nwant %+v", entries[0], first)
	}
}

// The name decides the time of archiving, so that to write again gives the same.
func TestArchivedAtIsTheNames(t *testing.T) {
	a := archive.New(&archivetest.Memory{})
	rs := records(t, 1, 2)
	rs[0].ArchivedAt = noon.Add(time.Hour)
	mustWrite(t, a, objectName(rs), rs)
	if !rs[0].ArchivedAt.Equal(noon.Add(time.Hour)) {
		t.Error("Write changed the caller's record")
	}
	rs[0].ArchivedAt = noon
	mustHold(t, a, rs)
}

func TestWriteAgain(t *testing.T) {
	a := archive.New(&archivetest.Memory{})
	all := records(t, 1, 6)
	name := objectName(all)
	for _, part := range [][]archive.Record{all[:3], all[:3], all[1:2], all[2:], all, slices.Concat(all, all)} {
		mustWrite(t, a, name, part)
		entries, _ := listAll(t, a, archive.Filter{}, 100)
		for i := range part {
			if !slices.ContainsFunc(entries, func(e archive.Entry) bool { return e.JobID == part[i].Job.ID }) {
				t.Errorf("job %d of what was written is not there", i)
			}
		}
	}
	mustHold(t, a, all)
}

func TestWriteRefuses(t *testing.T) {
	b := &archivetest.Memory{}
	a := archive.New(b)
	good := records(t, 1, 2)
	noID, noState, farTime := records(t, 1, 2), records(t, 1, 2), records(t, 1, 2)
	noID[0].Job.ID = centrifuge.ID{}
	noState[0].Transitions[0].State = 0
	farTime[0].Job.ExpireAt = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	for what, c := range map[string]struct {
		name    string
		records []archive.Record
	}{
		"no records":     {objectName(good), nil},
		"no job id":      {objectName(good), noID},
		"no state":       {objectName(good), noState},
		"year 10000":     {objectName(good), farTime},
		"no name":        {"", good},
		"foreign name":   {"x", good},
		"hostile name":   {"../" + objectName(good), good},
		"hostile owner":  {strings.Replace(objectName(good), "-d1-", "-d/1-", 1), good},
		"dotted owner":   {strings.Replace(objectName(good), "-d1-", "-d.1-", 1), good},
		"no owner":       {strings.Replace(objectName(good), "-d1-", "-", 1), good},
		"wrong folder":   {"2025" + objectName(good)[4:], good},
		"with extension": {objectName(good) + ".ndjson.zst", good},
	} {
		if err := a.Write(t.Context(), c.name, c.records); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	for name, err := range b.List(t.Context(), "", "") {
		t.Errorf("a refused write left %s, %v", name, err)
	}
}

// Each Put of a Write fails in turn, once without and once with having persisted.
// Whatever was left, the listing is sound, and to write again makes it whole.
func TestWriteFaults(t *testing.T) {
	for _, fault := range []archivetest.Fault{archivetest.FaultLost, archivetest.FaultKept} {
		for step := range 3 {
			t.Run(fmt.Sprintf("fault %d at step %d", fault, step), func(t *testing.T) {
				calls, failed := 0, false
				a := archive.New(&archivetest.Faulty{
					Bucket: &archivetest.Memory{},
					Decide: func(archivetest.Op, string) archivetest.Fault {
						if calls++; calls == step+1 && !failed {
							failed = true
							return fault
						}
						return archivetest.FaultNone
					},
				})
				rs := records(t, 1, 4)
				if err := a.Write(t.Context(), objectName(rs), rs); !errors.Is(err, archivetest.ErrInjected) {
					t.Fatalf("write: %v, want the injected fault", err)
				}
				entries, problems := listAll(t, a, archive.Filter{}, 2)
				if len(problems) > 0 || len(entries) != 0 && len(entries) != len(rs) {
					t.Errorf("after the fault: %d entries, problems %v", len(entries), problems)
				}
				if got := readAll(t, a, entries); len(got) != len(entries) {
					t.Errorf("%d records read, %d listed", len(got), len(entries))
				}
				mustWrite(t, a, objectName(rs), rs)
				mustHold(t, a, rs)
			})
		}
	}
}

func TestWriteWhenFull(t *testing.T) {
	full := true
	a := archive.New(&archivetest.Faulty{
		Bucket: openFolder(t, t.TempDir()),
		Decide: func(op archivetest.Op, _ string) archivetest.Fault {
			if full && op == archivetest.OpPut {
				return archivetest.FaultLost
			}
			return archivetest.FaultNone
		},
	})
	rs := records(t, 1, 3)
	for range 3 {
		if err := a.Write(t.Context(), objectName(rs), rs); err == nil {
			t.Fatal("written without room")
		}
	}
	full = false
	mustWrite(t, a, objectName(rs), rs)
	mustHold(t, a, rs)
}

func TestObjectName(t *testing.T) {
	id := jobID(t, noon, 1)
	at := time.Date(2026, 11, 22, 21, 15, 0, 123456789, time.FixedZone("", 3600))
	for owner, want := range map[string]string{
		"node-1_a":              "node-1_a",
		"":                      "_",
		"../etc":                "___etc",
		"ü":                     "__",
		strings.Repeat("x", 99): strings.Repeat("x", 64),
	} {
		got := archive.ObjectName(at, owner, id)
		if want := "2026/11/22/20/20261122T201500.123Z-" + want + "-" + id.String(); got != want {
			t.Errorf("ObjectName for %q = %s, want %s", owner, got, want)
		}
		if err := archive.CheckName(got); err != nil {
			t.Error(err)
		}
		rs := records(t, 1, 2)
		mustWrite(t, archive.New(&archivetest.Memory{}), got, rs)
	}
}

func TestCancelled(t *testing.T) {
	a := archive.New(&archivetest.Memory{})
	rs := records(t, 1, 3)
	mustWrite(t, a, objectName(rs), rs[:1])
	mustWrite(t, a, archive.ObjectName(noon, "d2", rs[1].Job.ID), rs[1:])
	entries, _ := listAll(t, a, archive.Filter{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Write(ctx, objectName(rs), rs); !errors.Is(err, context.Canceled) {
		t.Errorf("write: %v", err)
	}
	if _, err := a.List(ctx, archive.Filter{}, "", 10); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v", err)
	}
	if _, err := a.Find(ctx, rs[0].Job.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("find: %v", err)
	}
	n := 0
	for _, err := range a.Read(ctx, entries) {
		if n++; !errors.Is(err, context.Canceled) || n > 1 {
			t.Errorf("read: %v, %d times", err, n)
		}
	}
}
