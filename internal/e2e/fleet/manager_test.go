package fleet

import (
	"fmt"
	"testing"

	pb "centrifuge/gen/centrifuge/v1"
)

const managing = "managing the fleet"

// Managers are killed while Directors are cycled and JobDBs drained; the next one
// goes on from there. Of two, one manages.
func TestManagers(t *testing.T) {
	t.Parallel()
	const kills = 2
	cycling := []string{"--jobdb-max-age", "1s", "--spares", "2"}
	f := newFleet(t, ground{})
	active := f.manager("manager-0", cycling...)
	f.director("a")
	f.director("b")
	l := f.startLoad()
	l.flow()

	for i := range kills {
		f.await("in the middle of a drain", func() (bool, string) {
			states, said := f.jobdbs()
			return len(states[pb.JobDBState_JOB_DB_STATE_DRAINING]) > 0, said
		})
		active.kill()
		active = f.manager(fmt.Sprintf("manager-%d", i+1), cycling...)
		f.await("managed again", func() (bool, string) { return active.Log.Said(managing) == 1, "" })
	}

	standby := f.manager("standby", cycling...)
	dropped := func() (n int, said string) {
		states, said := f.jobdbs()
		return len(states[pb.JobDBState_JOB_DB_STATE_DROPPED]), said
	}
	before, _ := dropped()
	f.await("managed on", func() (bool, string) {
		now, said := dropped()
		return now >= before+2, said
	})
	if standby.Log.Said(managing) != 0 {
		t.Errorf("two Managers manage: %s", standby.Log)
	}
	active.kill()
	f.await("managed by the other", func() (bool, string) { return standby.Log.Said(managing) == 1, "" })
	before, _ = dropped()
	f.await("managed on", func() (bool, string) {
		now, said := dropped()
		return now > before, said
	})
	l.flow()
	l.settle(0)
}
