package director_test

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/archive/archivetest"
	"centrifuge/director"
)

// A replay goes on after what is damaged, names it, and submits nothing of it; one
// that the store fails is told so, and can be run again.
func TestReplayGoesOnAfterDamage(t *testing.T) {
	memory := &archivetest.Memory{}
	var failing atomic.Bool
	bucket := &archivetest.Faulty{Bucket: memory, Decide: func(op archivetest.Op, name string) archivetest.Fault {
		if op == archivetest.OpGet && failing.Load() && strings.HasSuffix(name, ".ndjson.zst") && !strings.HasSuffix(name, ".idx.ndjson.zst") {
			return archivetest.FaultLost
		}
		return archivetest.FaultNone
	}}
	virtual(t, t.TempDir(), &attempts{answer: always(200)}, func(t *testing.T, r *rig) {
		if err := r.SetPolicy(t.Context(), centrifuge.QueueKey{Destination: "example.com"}, centrifuge.QueuePolicy{Paused: true}); err != nil {
			t.Fatal(err)
		}
		submit(t, r, jobs(6, "https://example.com/x")...)
		pass(5 * time.Hour)
		until := time.Now()
		listed, err := r.ListArchive(t.Context(), archive.Filter{}, "", 100)
		if err != nil || len(listed.Entries) != 6 {
			t.Fatalf("%+v, %v", listed, err)
		}
		objects := make([]string, len(listed.Entries)) // with one job each
		for i, e := range listed.Entries {
			objects[i] = e.Object
		}
		spoil := func(name string, change func([]byte) []byte) {
			data, err := memory.Get(t.Context(), name)
			if err == nil {
				err = memory.Put(t.Context(), name, change(data))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		replay := func(limit int) director.ReplayPage {
			t.Helper()
			var sum director.ReplayPage
			for cursor := ""; ; {
				page, err := r.Replay(t.Context(), archive.Filter{To: until}, cursor, limit, 0)
				if err != nil {
					t.Fatal(err)
				}
				sum.Replayed, sum.Skipped, sum.LeftOut = sum.Replayed+page.Replayed, sum.Skipped+page.Skipped, sum.LeftOut+page.LeftOut
				sum.Damaged = append(sum.Damaged, page.Damaged...)
				if cursor = page.Next; cursor == "" {
					return sum
				}
			}
		}
		damaged := func(page director.ReplayPage, want ...string) {
			t.Helper()
			var names []string
			for _, d := range page.Damaged {
				names = append(names, d.Stored)
			}
			slices.Sort(names)
			slices.Sort(want)
			if !slices.Equal(names, want) {
				t.Errorf("damaged are %q, want %q", names, want)
			}
		}
		const data, index = ".ndjson.zst", ".idx.ndjson.zst"
		spoil(objects[1]+data, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }) // the checksum alone
		spoil(objects[2]+data, func(b []byte) []byte { return b[:len(b)/2] })
		spoil(objects[3]+index, func([]byte) []byte { return nil })
		memory.Remove(objects[4] + data)

		failing.Store(true)
		if page, err := r.Replay(t.Context(), archive.Filter{To: until}, "", 100, 0); !errors.Is(err, archivetest.ErrInjected) || page.Replayed > 0 {
			t.Errorf("while the store fails: %+v, %v", page, err)
		}
		failing.Store(false)
		page := replay(2)
		damaged(page, objects[1]+data, objects[2]+data, objects[3]+index, objects[4]+data)
		if page.Replayed != 3 || page.LeftOut != 2 || page.Skipped != 0 {
			t.Errorf("%+v", page)
		}
		// A job of which the mark is damaged may have been replayed.
		mark := ""
		for name, err := range memory.List(t.Context(), objects[0]+".replayed-", "") {
			if mark = name; err != nil {
				t.Fatal(err)
			}
		}
		spoil(mark, func([]byte) []byte { return []byte("x") })
		page = replay(100)
		damaged(page, mark, objects[3]+index, objects[4]+data, objects[1]+data, objects[2]+data)
		if page.Replayed != 0 || page.LeftOut != 3 || page.Skipped != 2 {
			t.Errorf("again: %+v", page)
		}
		if l := ledger(t, r); l.Accepted != 9 {
			t.Errorf("%+v", l)
		}
	}, func(o *director.Options) {
		o.Archive = archive.New(bucket)
		o.ArchiveJobs = 1
	})
}
