package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "centrifuge/gen/centrifuge/v1"
)

// cycling are the flags of a Director that leaves each JobDB after a second or two
// of load, and drops what it has left.
func cycling() []string {
	return []string{"--max-in-flight", "64", "--jobdb-max-size", "768KiB", "--jobdb-keep", "0"}
}

// jobdbs are the JobDBs of the fleet by their states.
func (s *scene) jobdbs() map[pb.JobDBState][]string {
	s.Helper()
	resp, err := s.client.Fleet.Get(s.ctx, connect.NewRequest(&pb.FleetServiceGetRequest{}))
	if err != nil {
		s.Fatal(err)
	}
	states := make(map[pb.JobDBState][]string)
	for _, j := range resp.Msg.GetJobdbs() {
		states[j.GetState()] = append(states[j.GetState()], j.GetName())
	}
	return states
}

// awaitDropped waits until nothing is left but one JobDB in use and a spare, and
// returns how many were dropped.
func (s *scene) awaitDropped() int {
	s.Helper()
	var states map[pb.JobDBState][]string
	s.await("down to one JobDB", func() (bool, string) {
		states = s.jobdbs()
		rest := len(states[pb.JobDBState_JOB_DB_STATE_RELEASED]) + len(states[pb.JobDBState_JOB_DB_STATE_DRAINING])
		return rest == 0 && len(states[pb.JobDBState_JOB_DB_STATE_LIVE]) == 1, fmt.Sprint(states)
	})
	want := slices.Concat(states[pb.JobDBState_JOB_DB_STATE_LIVE], states[pb.JobDBState_JOB_DB_STATE_SPARE])
	var files []string
	s.await("rid of the files of the others", func() (bool, string) {
		found, err := filepath.Glob(filepath.Join(s.dir, "jobdb-*.db"))
		if err != nil {
			s.Fatal(err)
		}
		files = files[:0]
		for _, file := range found {
			files = append(files, strings.TrimSuffix(filepath.Base(file), ".db"))
		}
		return slices.Equal(files, want), fmt.Sprintf("%v, want %v", files, want)
	})
	return len(states[pb.JobDBState_JOB_DB_STATE_DROPPED])
}

// One JobDB after the other is filled, left, drained and dropped under load: each
// job is delivered once, no Submit waits or is refused, and the books count all
// jobs, also those of JobDBs that are gone.
func TestCyclesUnderLoad(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	s := newScene(t, newReceiver(t, seed, loadRoutes...))
	s.serve(cycling()...)
	l := s.startLoad(seed)
	s.await("cycled four times", func() (bool, string) {
		states := s.jobdbs()
		return len(states[pb.JobDBState_JOB_DB_STATE_DROPPED]) >= 4, fmt.Sprint(states)
	})
	l.stop()
	dropped := s.awaitDropped()
	if st := s.receiver.Stats(); st.Duplicates != 0 {
		t.Errorf("%d duplicates", st.Duplicates)
	}
	if n := s.retried.Load(); n != 0 {
		t.Errorf("%d Submits had to be repeated", n)
	}
	if out := s.command("fleet"); !strings.Contains(out, "dropped") || !strings.Contains(out, "live") {
		t.Errorf("fleet printed\n%s", out)
	}
	n := int64(len(l.mu.acknowledged))
	s.terminate()
	s.serve(cycling()...)
	if ledger := s.ledger(); ledger.GetAccepted() != n || ledger.GetSucceeded() != n {
		t.Errorf("after a restart, of %d jobs the ledger has %v", n, ledger)
	}
	s.terminate()
	t.Logf("%d jobs through %d JobDBs", n, dropped+1)
}

// Killed at any moment of a cycle or a drain, the next process goes on with it: no
// job is lost, each is delivered once but for what was in flight, nothing is left
// behind.
func TestCyclesAndSIGKILL(t *testing.T) {
	t.Parallel()
	const least = 12
	seed := newSeed(t)
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // reproducible
	s := newScene(t, newReceiver(t, seed, loadRoutes...))
	s.serve(cycling()...)
	l := s.startLoad(seed)
	left := func() (n int) { // of JobDBs
		states := s.jobdbs()
		for _, state := range []pb.JobDBState{
			pb.JobDBState_JOB_DB_STATE_RELEASED, pb.JobDBState_JOB_DB_STATE_DRAINING, pb.JobDBState_JOB_DB_STATE_DRAINED, pb.JobDBState_JOB_DB_STATE_DROPPED,
		} {
			n += len(states[state])
		}
		return n
	}
	kills := 0
	for kills < least || left() < 2 { // a slow machine takes longer to fill them
		rest(s.ctx, time.Duration(200+random.IntN(1500))*time.Millisecond)
		s.director.Signal(syscall.SIGKILL)
		_ = s.awaitEnd() // it was killed
		s.serve(cycling()...)
		kills++
	}
	l.stop()
	dropped := s.awaitDropped()
	if dropped < 2 {
		t.Errorf("only %d JobDBs were dropped", dropped)
	}
	st := s.receiver.Stats()
	if st.Duplicates > uint64(kills*mayRepeat) {
		t.Errorf("%d duplicates after %d crashes", st.Duplicates, kills)
	}
	s.terminate()
	t.Logf("%d jobs through %d JobDBs, %d crashes, %d duplicates", len(l.mu.acknowledged), dropped+1, kills, st.Duplicates)
}

// A folder from before there were catalogs, or whose catalog is gone, is taken over:
// its JobDBs are found, and their jobs delivered.
func TestCatalogLost(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, newSeed(t), "/later=latency:50ms;outage:0s+1500ms:503")
	s := newScene(t, r)
	s.serve("--jobdb-keep", "0")
	ids := s.submit(slices.Repeat([]*pb.JobSpec{{
		Source: "s", Endpoint: r.url + "/later", Retry: &pb.RetryPolicy{
			MinBackoff: durationpb.New(50 * time.Millisecond), MaxBackoff: durationpb.New(200 * time.Millisecond),
		},
	}}, 50)...)
	s.await("in possession of a spare", func() (bool, string) {
		states := s.jobdbs()
		return len(states[pb.JobDBState_JOB_DB_STATE_SPARE]) == 1, fmt.Sprint(states)
	})
	s.kill()
	if err := os.Remove(filepath.Join(s.dir, "catalog.json")); err != nil {
		t.Fatal(err)
	}
	s.serve("--jobdb-keep", "0")
	s.awaitDelivered(len(ids))
	s.awaitDropped()
	if ledger := s.ledger(); ledger.GetAccepted() != int64(len(ids)) {
		t.Errorf("of %d jobs the ledger has %v", len(ids), ledger)
	}
	s.terminate()
}
