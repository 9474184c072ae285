package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/internal/e2e/program"
	"centrifuge/jobdb/mysql/mysqltest"
	"centrifuge/lease/consul/consultest"
)

// fleet is a fleet of processes, with a MariaDB and a Consul of its own, and an
// endpoint that refuses everything until it is opened.
type fleet struct {
	*testing.T
	ctx    context.Context //nolint:containedctx // the test's, with a deadline
	binary string
	shared []string // flags of every process
	dir    string
	db     *mysqltest.Server
	consul *consultest.Server // which has its data after a restart

	url       string // of the endpoint
	open      atomic.Bool
	mu        sync.Mutex
	delivered map[string]int
}

// member is a process of the fleet.
type member struct {
	*program.Process
	f      *fleet
	name   string
	client *client.Client
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	path := program.Binary(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	f := &fleet{T: t, ctx: ctx, binary: path, dir: t.TempDir(), delivered: make(map[string]int)}
	f.url = newReceiverOf(t, f).url + "/"
	password := filepath.Join(f.dir, "password")
	if err := os.WriteFile(password, []byte(mysqltest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.db, f.consul = mysqltest.Start(t), consultest.StartCluster(t, 1)[0]
	f.shared = []string{
		"--listen", "127.0.0.1:0", "--log-format", "json", "--consul", f.consul.URL(), "--lease-ttl", "4s",
		"--mysql", f.db.Address, "--mysql-user", mysqltest.User, "--mysql-password-file", password, "--mysql-prefix", "jobs_e2e_",
		"--archive", filepath.Join(f.dir, "archive"),
	}
	return f
}

// ServeHTTP is the endpoint.
func (f *fleet) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !f.open.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	f.mu.Lock()
	f.delivered[req.Header.Get("Idempotency-Key")]++
	f.mu.Unlock()
}

func (f *fleet) count() (jobs, most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.delivered {
		most = max(most, n)
	}
	return len(f.delivered), most
}

// start starts a process and waits until it listens and, if it is a Director,
// serves.
func (f *fleet) start(role, name string, args ...string) *member {
	f.Helper()
	line := slices.Concat([]string{f.binary, role, "--name", name}, f.shared, args)
	if role == "director" {
		line = append(line, "--allow-network", "127.0.0.0/8", "--data-dir", filepath.Join(f.dir, name))
	}
	m := &member{f: f, name: name, Process: program.Start(f.T, line...)}
	var address string
	m.await("listening", func() (ok bool, _ string) {
		address, ok = m.Log.Address()
		return ok, ""
	})
	var err error
	if m.client, err = client.New(client.Options{URL: "http://" + address, RetryFor: time.Minute}); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(m.client.Close)
	m.awaitReady(true)
	return m
}

// ready reports whether the process says that it serves.
func (m *member) ready() (bool, string) {
	address, _ := m.Log.Address()
	req, err := http.NewRequestWithContext(m.f.ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		m.f.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err.Error()
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK, resp.Status
}

// await asks until the answer is yes, and fails if the process ends before.
func (m *member) await(what string, ask func() (bool, string)) {
	m.f.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, said := ask()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-m.Ended:
			m.f.Fatalf("%s ended, not yet %s: %v\n%s", m.name, what, m.Err(), m.Log)
		case <-m.f.ctx.Done():
			m.f.Fatalf("%s is still not %s: %s\n%s", m.name, what, said, m.Log)
		}
	}
}

// end sends a signal and waits for the end.
func (m *member) end(s syscall.Signal) {
	m.f.Helper()
	m.Signal(s)
	select {
	case <-m.Ended:
	case <-m.f.ctx.Done():
		m.f.Fatalf("%s has still not ended\n%s", m.name, m.Log)
	}
	if s == syscall.SIGTERM && m.Err() != nil {
		m.f.Errorf("%s after SIGTERM: %v\n%s", m.name, m.Err(), m.Log)
	}
}

// submit submits n jobs and returns their ids.
func (m *member) submit(n int) []string {
	m.f.Helper()
	req := &pb.SubmitRequest{}
	for i := range n {
		req.Jobs = append(req.Jobs, &pb.JobSpec{
			Source: fmt.Sprintf("source-%d", i%7), Destination: m.name, Endpoint: m.f.url, Payload: make([]byte, 500),
			Retry: &pb.RetryPolicy{MinBackoff: durationpb.New(50 * time.Millisecond), MaxBackoff: durationpb.New(300 * time.Millisecond)},
		})
	}
	resp, err := m.client.Submit(m.f.ctx, req)
	if err != nil {
		m.f.Fatalf("%v\n%s", err, m.Log)
	}
	return resp.GetJobIds()
}

// command runs a command of the program against the process.
func (m *member) command(args ...string) string {
	m.f.Helper()
	address, _ := m.Log.Address()
	out, err := exec.CommandContext(m.f.ctx, m.f.binary, append(args, "--server", "http://"+address)...).CombinedOutput() //nolint:gosec // our own binary
	if err != nil {
		m.f.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// awaitBooks waits until the ledger of the fleet has all jobs, and balances.
func (m *member) awaitBooks(accepted, succeeded int64) {
	m.f.Helper()
	m.await("in balance", func() (bool, string) {
		resp, err := m.client.Fleet.Ledger(m.f.ctx, connect.NewRequest(&pb.FleetServiceLedgerRequest{}))
		if err != nil {
			return false, err.Error()
		}
		total := resp.Msg.GetTotal()
		return resp.Msg.GetBalanced() && total.GetAccepted() == accepted && total.GetSucceeded() == succeeded, resp.Msg.String()
	})
}

// awaitLive waits until as many JobDBs as there are Directors are in use, and all
// others are spares or gone.
func (m *member) awaitLive(n int) {
	m.f.Helper()
	m.await(fmt.Sprintf("down to %d JobDBs", n), func() (bool, string) {
		resp, err := m.client.Fleet.Get(m.f.ctx, connect.NewRequest(&pb.FleetServiceGetRequest{}))
		if err != nil {
			return false, err.Error()
		}
		live, rest := 0, 0
		for _, j := range resp.Msg.GetJobdbs() {
			switch j.GetState() {
			case pb.JobDBState_JOB_DB_STATE_LIVE:
				live++
			case pb.JobDBState_JOB_DB_STATE_RELEASED, pb.JobDBState_JOB_DB_STATE_DRAINING:
				rest++
			default:
			}
		}
		return live == n && rest == 0, resp.Msg.String()
	})
}

// Directors come and go, in order and by SIGKILL, and so does the Manager: the jobs
// of each are delivered by the others, each once, with one history, and the books
// of the fleet balance.
func TestFleet(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	manager := f.start("manager", "manager-1")
	a := f.start("director", "a")
	b := f.start("director", "b")
	const each = 400
	ofA, ofB := a.submit(each), b.submit(each)
	a.await("done with a first attempt", func() (bool, string) { return a.attempted(ofA[0]) })

	killed := time.Now()
	a.end(syscall.SIGKILL)
	standby := f.start("manager", "manager-2")
	manager.end(syscall.SIGKILL)
	manager = standby
	manager.await("rid of the orphan", func() (bool, string) { return b.attempted(ofA[0]) })
	took := time.Since(killed)
	manager.awaitLive(1)

	trace, err := b.client.Jobs.Get(f.ctx, connect.NewRequest(&pb.GetRequest{Id: ofA[0]}))
	if err != nil {
		t.Fatal(err)
	}
	if first := trace.Msg.GetTransitions()[0]; first.GetState() != pb.JobState_JOB_STATE_AWAITING_SCHEDULING || first.GetAttempt() != 0 {
		t.Errorf("the history of a moved job begins with %v", first)
	}
	for i, step := range trace.Msg.GetTransitions()[1:] {
		if before := trace.Msg.GetTransitions()[i]; step.GetAttempt() < before.GetAttempt() || step.GetTime().AsTime().Before(before.GetTime().AsTime()) {
			t.Errorf("the history of a moved job goes from %v to %v", before, step)
		}
	}

	c := f.start("director", "c")
	ofC := c.submit(each)
	if out := manager.command("fleet", "cycle", "b"); !strings.Contains(out, "b went from jobdb-") {
		t.Errorf("cycle printed %s", out)
	}
	var cycled pb.FleetServiceGetResponse
	if err := protojson.Unmarshal([]byte(manager.command("fleet", "ls", "--json")), &cycled); err != nil {
		t.Fatal(err)
	}
	var answer []string // Consul lists one that died for a while
	for _, d := range cycled.GetDirectors() {
		if d.GetError() == "" {
			answer = append(answer, d.GetName())
		}
	}
	if slices.Sort(answer); !slices.Equal(answer, []string{"b", "c"}) {
		t.Errorf("b and c live, and fleet ls says %v", answer)
	}
	b.end(syscall.SIGTERM)
	manager.awaitLive(1)

	f.open.Store(true)
	all := len(ofA) + len(ofB) + len(ofC)
	manager.await("done with all jobs", func() (bool, string) {
		n, _ := f.count()
		return n == all, fmt.Sprintf("%d of %d delivered", n, all)
	})
	manager.awaitBooks(int64(all), int64(all))
	if n, most := f.count(); n != all || most != 1 {
		t.Errorf("%d of %d jobs were delivered, one of them %d times", n, all, most)
	}
	if out := manager.command("ledger"); !strings.Contains(out, "balanced:") {
		t.Errorf("ledger printed\n%s", out)
	}
	var ledger struct{ Balanced bool }
	if err := json.Unmarshal([]byte(manager.command("ledger", "--json")), &ledger); err != nil || !ledger.Balanced {
		t.Errorf("ledger --json: %v, %+v", err, ledger)
	}
	c.end(syscall.SIGTERM)
	manager.end(syscall.SIGTERM)
	t.Logf("%d jobs; the first of a killed Director's was taken over after %s, with leases of 4s", all, took.Round(10*time.Millisecond))
}

// attempted reports whether the Director knows the job and has attempted it.
func (m *member) attempted(id string) (bool, string) {
	resp, err := m.client.Jobs.Get(m.f.ctx, connect.NewRequest(&pb.GetRequest{Id: id}))
	if err != nil {
		return false, err.Error()
	}
	return resp.Msg.GetJob().GetAttempts() > 0, resp.Msg.GetJob().String()
}
