package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "centrifuge/gen/centrifuge/v1"
)

// Of the load.
const (
	submitters = 16
	batchMost  = 40
	backlog    = 1200 // undelivered jobs, above which the submitters wait
	keepEvery  = 10
)

// loadRoutes are endpoints that answer no sooner than after 50 ms, so that who
// makes at most so many attempts at once makes at most so many a second.
var loadRoutes = []string{
	"/healthy=latency:50ms",
	"/flaky=latency:50ms;status:200:0.8,500:0.2",
	"/slow=latency:200ms-300ms",
}

// load submits jobs without a pause and remembers what was acknowledged: a Submit
// counts when it was answered, however often its client had to repeat it.
type load struct {
	s     *scene
	group *errgroup.Group
	end   context.CancelFunc

	answers countdown // of Submits

	mu struct {
		sync.Mutex
		acknowledged map[string]struct{}
		kept         []exchange // of every keepEvery-th Submit
		submits      int
	}
}

// exchange is a Submit and its answer.
type exchange struct {
	req  *pb.SubmitRequest
	resp *pb.SubmitResponse
}

func (s *scene) startLoad(seed uint64) *load {
	l := &load{s: s}
	l.mu.acknowledged = make(map[string]struct{})
	ending, end := context.WithCancel(s.ctx)
	l.end = end
	l.group = &errgroup.Group{}
	for i := range submitters {
		random := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // reproducible
		l.group.Go(func() error {
			for n := 0; ending.Err() == nil; n++ {
				if err := l.submit(random, fmt.Sprintf("load-%d-%d", i, n)); err != nil {
					return err
				}
				for l.undelivered() > backlog && rest(ending, 5*time.Millisecond) {
				}
			}
			return nil
		})
	}
	return l
}

// submit submits a batch. Its time is the scene's and not the load's: when the
// load ends, the Submits under way are still brought to their answers.
func (l *load) submit(random *rand.Rand, transaction string) error {
	req := &pb.SubmitRequest{TransactionId: transaction}
	for range 1 + random.IntN(batchMost) {
		path := "healthy"
		switch random.IntN(10) {
		case 0:
			path = "slow"
		case 1, 2:
			path = "flaky"
		}
		req.Jobs = append(req.Jobs, &pb.JobSpec{
			Source: fmt.Sprintf("source-%d", random.IntN(5)), Destination: path, Endpoint: l.s.receiver.url + "/" + path,
			Payload: make([]byte, random.IntN(1000)),
			Retry: &pb.RetryPolicy{
				MinBackoff: durationpb.New(20 * time.Millisecond), MaxBackoff: durationpb.New(200 * time.Millisecond),
			},
		})
	}
	resp, err := l.s.client.Submit(l.s.ctx, req)
	l.answers.tick()
	if err != nil {
		return err
	}
	if resp.GetTransactionId() != transaction || len(resp.GetJobIds()) != len(req.GetJobs()) {
		return fmt.Errorf("transaction %s with %d jobs was answered as %s with %d",
			transaction, len(req.GetJobs()), resp.GetTransactionId(), len(resp.GetJobIds()))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range resp.GetJobIds() {
		if _, twice := l.mu.acknowledged[id]; twice {
			return fmt.Errorf("job %s was acknowledged twice", id)
		}
		l.mu.acknowledged[id] = struct{}{}
	}
	if l.mu.submits++; l.mu.submits%keepEvery == 0 {
		l.mu.kept = append(l.mu.kept, exchange{req, resp})
	}
	return nil
}

func (l *load) undelivered() int {
	delivered := int(l.s.receiver.Stats().Delivered)
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.mu.acknowledged) - delivered
}

// stop ends the load, and the scene's Director delivers what was acknowledged.
// What must hold then of every load does.
func (l *load) stop() {
	s := l.s
	s.Helper()
	l.end()
	if err := l.group.Wait(); err != nil {
		s.Fatalf("%v\n%s", err, s.director.Log)
	}
	s.await("done with all jobs", func() (bool, string) {
		ledger := s.ledger()
		return ledger.GetPending() == 0, ledger.String()
	})
	for id := range l.mu.acknowledged {
		if s.receiver.Job(id).Successes == 0 {
			s.Errorf("job %s was acknowledged and never delivered", id)
		}
	}
	if st := s.receiver.Stats(); st.IDs != uint64(len(l.mu.acknowledged)) {
		s.Errorf("%d jobs were attempted, %d acknowledged", st.IDs, len(l.mu.acknowledged))
	}

	// Who asks again hears the same; nothing is enqueued.
	for _, x := range l.mu.kept {
		again, err := s.client.Submit(s.ctx, x.req)
		if err != nil {
			s.Fatal(err)
		}
		if !slices.Equal(again.GetJobIds(), x.resp.GetJobIds()) {
			s.Errorf("transaction %s has other jobs when it is repeated", x.req.GetTransactionId())
		}
	}
	n := int64(len(l.mu.acknowledged))
	if ledger := s.ledger(); ledger.GetAccepted() != n || ledger.GetSucceeded() != n {
		s.Errorf("of %d jobs acknowledged the ledger has %v", n, ledger)
	}
	s.verify()
	if len(l.mu.kept) == 0 {
		s.Error("too few Submits to repeat one")
	}
}
