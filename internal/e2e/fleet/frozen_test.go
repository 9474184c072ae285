package fleet

import (
	"syscall"
	"testing"

	pb "centrifuge/gen/centrifuge/v1"
)

// oneOrphanGone reports whether a JobDB was drained and dropped.
func (f *fleet) oneOrphanGone() (bool, string) {
	f.Helper()
	states, said := f.jobdbs()
	return len(states[pb.JobDBState_JOB_DB_STATE_DROPPED]) == 1, said
}

// A Director freezes in the middle of its work for longer than its lease lasts, and
// wakes when its jobs have gone to another.
func TestFrozen(t *testing.T) {
	t.Parallel()
	f := newFleet(t, ground{})
	f.manager("manager")
	f.director("awake")
	frozen := f.director("frozen")
	l := f.startLoad()
	l.flow()
	frozen.awaitJobs()

	frozen.Signal(syscall.SIGSTOP)
	f.await("rid of the JobDB of the one that is frozen", f.oneOrphanGone)
	l.flow()
	frozen.Signal(syscall.SIGCONT)
	f.await("aware that it has lost its JobDB", func() (bool, string) {
		return frozen.Log.Said("the JobDB is lost, and another is acquired") == 1, ""
	})
	frozen.awaitReady()
	l.flow()
	f.awaitTidy()
	l.settle(1)
}

// Two Directors are started on one JobDB, the only one that there is: one owns it,
// and the other waits for as long as there is no other.
func TestOneJobDB(t *testing.T) {
	t.Parallel()
	f := newFleet(t, ground{})
	manager := f.manager("manager")
	f.await("ready with a spare", func() (bool, string) {
		states, said := f.jobdbs()
		return len(states[pb.JobDBState_JOB_DB_STATE_SPARE]) == 1, said
	})
	manager.kill()

	both := []*member{f.start("director", "a", f.directorFlags("a")...), f.start("director", "b", f.directorFlags("b")...)}
	serving := func() (owners []*member) {
		for _, m := range both {
			if ok, _ := m.ready(); ok {
				owners = append(owners, m)
			}
		}
		return owners
	}
	f.await("served by one", func() (bool, string) { return len(serving()) > 0, "" })
	l := f.startLoad()
	l.flow()
	owners := serving()
	if len(owners) != 1 {
		t.Fatalf("%d Directors serve from one JobDB", len(owners))
	}

	// The other one takes its place when it dies, as soon as a Manager is there.
	f.manager("manager-2")
	for _, m := range both {
		m.awaitReady()
	}
	owners[0].kill()
	l.flow()
	f.awaitTidy()
	l.settle(1)
}
