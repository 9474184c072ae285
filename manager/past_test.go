package manager_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/ksuid"

	"centrifuge"
	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlite"
	"centrifuge/manager"
	"centrifuge/manager/managertest"
)

// archives is a fleet that was: a catalog, and JobDBs in a folder.
type archives struct {
	*testing.T
	catalog managertest.Memory
	pool    *sqlite.Pool
	past    *manager.Past
	next    uint64   // epoch, or number of a transition
	opened  []string // the JobDBs that were read, in order
}

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newArchives(t *testing.T) *archives {
	a := &archives{T: t, pool: sqlite.NewPool(t.TempDir(), nil)}
	a.past = manager.NewPast(&a.catalog, countingPool{a.pool, a}, func() time.Time { return now })
	return a
}

// countingPool notes what is read.
type countingPool struct {
	jobdb.Pool
	a *archives
}

func (p countingPool) Read(ctx context.Context, server, name string) (jobdb.Reader, error) {
	p.a.opened = append(p.a.opened, name)
	return p.Pool.Read(ctx, server, name)
}

// used makes a JobDB that was given jobs between two times.
func (a *archives) used(n uint64, s manager.State, from, to time.Time) manager.Record {
	a.Helper()
	if s != manager.StateDropped {
		if err := a.pool.Create(a.Context(), sqlite.Local, jobdb.Name(n)); err != nil {
			a.Fatal(err)
		}
	}
	since := map[manager.State]time.Time{manager.StateSpare: from, manager.StateLive: from, manager.StateReleased: to}
	if s == manager.StateLive {
		delete(since, manager.StateReleased)
	}
	since[s] = to
	r, err := a.catalog.Put(a.Context(), manager.Record{Name: jobdb.Name(n), Server: sqlite.Local, State: s, Since: since})
	if err != nil {
		a.Fatal(err)
	}
	return r
}

// put puts a job into a JobDB, with transitions after its acceptance.
func (a *archives) put(n uint64, id centrifuge.ID, transitions ...centrifuge.Transition) {
	a.Helper()
	a.next++
	db, err := a.pool.Open(a.Context(), sqlite.Local, jobdb.Name(n), a.next+1)
	if err != nil {
		a.Fatal(err)
	}
	b := jobdb.Batch{Jobs: []*centrifuge.Job{{
		ID: id, Source: "s", Destination: "d", Endpoint: "https://example.com/", Method: "POST", CreatedAt: id.Time(), ExpireAt: id.Time().Add(time.Hour),
	}}}
	life := centrifuge.Life{State: centrifuge.StateAwaitingScheduling}
	for _, t := range transitions {
		a.next++
		t.JobID, t.Time, t.Seq = id, id.Time(), a.next
		if life, err = b.Append(life, t); err != nil {
			a.Fatal(err)
		}
	}
	if err := errors.Join(db.Commit(a.Context(), &b), db.Close()); err != nil {
		a.Fatal(err)
	}
}

func idAt(t *testing.T, at time.Time) centrifuge.ID {
	t.Helper()
	random := make([]byte, 16)
	random[0] = 7
	id, err := ksuid.FromParts(at, random)
	if err != nil {
		t.Fatal(err)
	}
	return centrifuge.ID(id)
}

// mustEnd looks for the job, and checks in which state it ended and which JobDBs
// were read for it.
func (a *archives) mustEnd(id centrifuge.ID, want centrifuge.State, read ...uint64) {
	a.Helper()
	a.opened = nil
	trace, err := a.past.Trace(a.Context(), id)
	if err != nil {
		a.Error(err)
		return
	}
	if last := trace.Transitions[len(trace.Transitions)-1]; trace.Job.ID != id || last.State != want {
		a.Errorf("found %+v, want it %s", trace, want)
	}
	var names []string
	for _, n := range read {
		names = append(names, jobdb.Name(n))
	}
	if strings.Join(a.opened, " ") != strings.Join(names, " ") {
		a.Errorf("read %v, want %v", a.opened, names)
	}
}

func moved(to uint64) centrifuge.Transition {
	return centrifuge.Transition{State: centrifuge.StateMoved, Error: jobdb.Name(to)}
}

var succeeded = []centrifuge.Transition{
	{State: centrifuge.StateExecuting, Attempt: 1},
	{State: centrifuge.StateSucceeded, Attempt: 1, StatusCode: 200},
}

func TestPastAsksTheNearest(t *testing.T) {
	a := newArchives(t)
	for n := range uint64(19) {
		from := now.Add(time.Duration(n) * 30 * time.Minute).Add(-10 * time.Hour)
		a.used(n+1, manager.StateDrained, from, from.Add(30*time.Minute))
	}
	a.used(20, manager.StateLive, now.Add(-time.Minute), now)
	at := now.Add(-5*time.Hour + 10*time.Minute)
	a.put(11, idAt(t, at), succeeded...)
	a.mustEnd(idAt(t, at), centrifuge.StateSucceeded, 11)
	fresh := idAt(t, now.Add(-30*time.Second))
	a.put(20, fresh)
	a.mustEnd(fresh, centrifuge.StateAwaitingScheduling, 20)
	odd := idAt(t, now.Add(-time.Hour)) // made by its sender, long before
	a.put(3, odd, succeeded...)
	trace, err := a.past.Trace(t.Context(), odd)
	if err != nil || trace.Job.ID != odd {
		t.Errorf("found %+v, %v", trace, err)
	}
	a.opened = nil
	if _, err := a.past.Trace(t.Context(), idAt(t, now)); !errors.Is(err, jobdb.ErrNotFound) {
		t.Errorf("found what there is not: %v", err)
	}
	if len(a.opened) != 20 {
		t.Errorf("%d were read for what there is not", len(a.opened))
	}
}

// A job is told of as it stands where it went last.
func TestPastFollowsMoves(t *testing.T) {
	a := newArchives(t)
	at := now.Add(-3 * time.Hour)
	a.used(1, manager.StateDrained, at.Add(-time.Minute), at.Add(time.Minute))
	a.used(2, manager.StateDraining, at.Add(20*time.Minute), at.Add(time.Hour))
	a.used(3, manager.StateLive, at.Add(50*time.Minute), now)
	id := idAt(t, at)
	a.put(1, id, moved(2))
	a.put(2, id, moved(3))
	a.put(3, id, succeeded...)
	a.mustEnd(id, centrifuge.StateSucceeded, 1, 2, 3)

	lost := idAt(t, at.Add(time.Second))
	a.put(1, lost, moved(9))
	a.mustEnd(lost, centrifuge.StateMoved, 1)
}

// The JobDB that a job came from may be dropped before the one that it went to.
func TestPastFollowsMovesFromDropped(t *testing.T) {
	a := newArchives(t)
	at := now.Add(-3 * time.Hour)
	a.used(1, manager.StateDropped, at.Add(-time.Minute), at.Add(time.Minute))
	a.used(2, manager.StateDrained, at.Add(20*time.Minute), at.Add(time.Hour))
	id := idAt(t, at)
	a.put(2, id, succeeded...)
	a.mustEnd(id, centrifuge.StateSucceeded, 2)
}

// What was dropped is named, with the time; also when only the sum of many is left,
// and when it happens while it is asked.
func TestPastNamesWhatIsGone(t *testing.T) {
	a := newArchives(t)
	at := now.Add(-3 * time.Hour)
	a.used(2, manager.StateDropped, at.Add(-time.Minute), at.Add(time.Minute))
	gone := mustBeGone(t, a, idAt(t, at), jobdb.Name(2))
	if !gone.Since.Equal(at.Add(time.Minute)) || !strings.Contains(gone.Error(), "2026-03-01T09:01:00Z") {
		t.Errorf("%v", gone)
	}
	if _, err := a.past.Trace(t.Context(), idAt(t, now)); !errors.Is(err, jobdb.ErrNotFound) {
		t.Errorf("an id from after that: %v", err)
	}
	if _, err := a.catalog.Put(t.Context(), manager.Record{
		Name: "dropped", State: manager.StateDropped, Through: 1,
		Since: map[manager.State]time.Time{manager.StateReleased: at.Add(-24 * time.Hour), manager.StateDropped: at.Add(-time.Hour)},
	}); err != nil {
		t.Fatal(err)
	}
	_ = mustBeGone(t, a, idAt(t, at.Add(-48*time.Hour)), "dropped")

	r := a.used(3, manager.StateDrained, now.Add(-time.Minute), now)
	if err := a.pool.Drop(t.Context(), sqlite.Local, r.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := a.past.Trace(t.Context(), idAt(t, now)); err == nil || errors.Is(err, jobdb.ErrNotFound) {
		t.Errorf("a JobDB that cannot be read: %v", err)
	}
	meanwhile := manager.NewPast(&a.catalog, droppingPool{a.pool, func() {
		r.State, r.Since = manager.StateDropped, map[manager.State]time.Time{manager.StateDropped: now}
		if _, err := a.catalog.Put(t.Context(), r); err != nil {
			t.Error(err)
		}
	}}, func() time.Time { return now })
	var e *manager.GoneError
	if _, err := meanwhile.Trace(t.Context(), idAt(t, now)); !errors.As(err, &e) || e.JobDB != jobdb.Name(3) {
		t.Errorf("dropped meanwhile: %v", err)
	}
}

// droppingPool has a JobDB dropped when it is about to be read.
type droppingPool struct {
	jobdb.Pool
	dropped func()
}

func (p droppingPool) Read(ctx context.Context, server, name string) (jobdb.Reader, error) {
	p.dropped()
	return p.Pool.Read(ctx, server, name)
}

func mustBeGone(t *testing.T, a *archives, id centrifuge.ID, name string) *manager.GoneError {
	t.Helper()
	_, err := a.past.Trace(t.Context(), id)
	gone, ok := errors.AsType[*manager.GoneError](err)
	if !ok || gone.JobDB != name {
		t.Fatalf("looked for what was in %s: %v", name, err)
	}
	return gone
}
