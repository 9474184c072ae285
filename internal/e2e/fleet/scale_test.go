package fleet

import (
	"testing"

	pb "centrifuge/gen/centrifuge/v1"
)

// Directors come and go under load, in good order and by SIGKILL. Clients notice
// nothing but latency.
func TestScale(t *testing.T) {
	t.Parallel()
	f := newFleet(t, ground{})
	f.manager("manager")
	first := f.director("first")
	l := f.startLoad()
	l.flow()

	f.director("second").awaitJobs()
	first.stop()
	l.flow()

	third := f.director("third")
	third.awaitJobs()
	third.kill()
	l.flow()
	f.awaitTidy()
	l.settle(1)
}

// awaitJobs waits until the Director has been given jobs.
func (m *member) awaitJobs() {
	m.f.Helper()
	m.f.await("given jobs", func() (bool, string) {
		states, said := m.f.jobdbs()
		for _, j := range states[pb.JobDBState_JOB_DB_STATE_LIVE] {
			if j.GetOwner() == m.name && j.GetLedger().GetAccepted() > 0 {
				return true, ""
			}
		}
		return false, said
	})
}
