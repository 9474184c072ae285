package fleet

import (
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"

	pb "centrifuge/gen/centrifuge/v1"
)

// Any Director tells of any job: of one that waits with another Director, of one that
// was delivered some JobDBs ago, and of one whose Director is dead.
func TestEveryDirectorTellsOfEveryJob(t *testing.T) {
	t.Parallel()
	cycling := []string{"--jobdb-max-age", "1s", "--spares", "2"}
	f := newFleet(t, ground{})
	manager := f.manager("manager", append(cycling, "--jobdb-keep", "1h")...)
	a := f.director("a")
	b := f.director("b")
	l := f.startLoad()
	l.flow()
	f.await("gone through some JobDBs", func() (bool, string) {
		states, said := f.jobdbs()
		return len(states[pb.JobDBState_JOB_DB_STATE_DRAINED]) >= 4, said
	})
	// While all of it goes on: nothing that was acknowledged is ever unknown.
	l.mu.Lock()
	early, late := append([]string(nil), l.mu.taken[:50]...), append([]string(nil), l.mu.taken[len(l.mu.taken)-50:]...)
	l.mu.Unlock()
	for i, id := range append(early, late...) {
		for _, d := range []*member{a, b} {
			resp, err := d.client.Jobs.Get(f.ctx, connect.NewRequest(&pb.GetRequest{Id: id}))
			if err != nil || resp.Msg.GetJob().GetId() != id {
				t.Errorf("%s does not know job %s, number %d: %v", d.name, id, i, err)
			}
		}
	}
	l.settle(0)
	a.kill()
	tell := func(id string) error {
		resp, err := b.client.Jobs.Get(f.ctx, connect.NewRequest(&pb.GetRequest{Id: id}))
		if err == nil && resp.Msg.GetJob().GetState() != pb.JobState_JOB_STATE_SUCCEEDED {
			err = fmt.Errorf("it is %s", resp.Msg)
		}
		return err
	}
	for i, id := range append(early, late...) {
		if err := tell(id); err != nil {
			t.Errorf("job %s, number %d: %v", id, i, err)
		}
	}
	f.awaitTidy()
	manager.kill()
	f.manager("manager-2", cycling...)
	f.await("rid of what was kept", func() (bool, string) {
		states, said := f.jobdbs()
		return len(states[pb.JobDBState_JOB_DB_STATE_DRAINED]) == 0 && len(states[pb.JobDBState_JOB_DB_STATE_DROPPED]) >= 4, said
	})
	if err := tell(early[0]); connect.CodeOf(err) != connect.CodeNotFound || !strings.Contains(err.Error(), "was dropped at 20") {
		t.Errorf("after its JobDB was dropped: %v", err)
	}
}
