package fleet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/internal/e2e/program"
	"centrifuge/jobdb/mysql/mysqltest"
	"centrifuge/lease/consul/consultest"
)

const (
	leaseTTL    = 4 * time.Second
	maxInFlight = 32 // of each Director

	// patience is how long a test may take, several times what it takes on a machine
	// that has nothing else to do.
	patience = 4 * time.Minute
)

// fleet is a fleet of processes and the endpoint that they deliver to. Its methods
// are for the test's goroutine.
type fleet struct {
	*testing.T
	ctx      context.Context //nolint:containedctx // the test's, with a deadline
	binary   string
	dir      string
	endpoint *endpoint
	flags    []string // of every process
	consul   string   // URL for clients, and for processes that are given no other
	members  []*member

	environment map[string]string // of processes that start, beside the test's own

	// Of all loads that were settled.
	taken, refused int // jobs acknowledged
	repeated       int // deliveries that were one too many
}

// ground is what a fleet stands on. What is empty is made.
type ground struct {
	consul  string // URL
	mysql   string // address
	archive string
}

// newFleet makes one without members.
func newFleet(t *testing.T, g ground) *fleet {
	t.Helper()
	binary := program.Binary(t) // which takes what time it takes
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	f := &fleet{T: t, ctx: ctx, binary: binary, dir: t.TempDir(), endpoint: newEndpoint(t)}
	if g.consul == "" {
		g.consul = consultest.Start(t).URL()
	}
	if g.mysql == "" {
		g.mysql = mysqltest.Start(t).Address
	}
	if g.archive == "" {
		g.archive = filepath.Join(f.dir, "archive")
	}
	password := filepath.Join(f.dir, "password")
	if err := os.WriteFile(password, []byte(mysqltest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.consul = g.consul
	f.flags = []string{
		"--listen", "127.0.0.1:0", "--log-format", "json", "--lease-ttl", leaseTTL.String(), "--archive", g.archive,
		"--mysql", g.mysql, "--mysql-user", mysqltest.User, "--mysql-password-file", password, "--mysql-prefix", "jobs_e2e_",
	}
	return f
}

// manager starts a Manager that drops what is drained, unless it is told otherwise,
// and waits until it listens.
func (f *fleet) manager(name string, args ...string) *member {
	f.Helper()
	return f.start("manager", name, slices.Concat([]string{"--jobdb-keep", "0"}, args)...)
}

// director starts a Director and waits until it serves.
func (f *fleet) director(name string, args ...string) *member {
	f.Helper()
	m := f.start("director", name, slices.Concat(f.directorFlags(name), args)...)
	m.awaitReady()
	return m
}

func (f *fleet) directorFlags(name string) []string {
	return []string{
		"--allow-network", "127.0.0.0/8", "--data-dir", filepath.Join(f.dir, name),
		"--max-in-flight", fmt.Sprint(maxInFlight), "--shutdown-grace", "5s",
	}
}

// await asks until the answer is yes. It fails if a process ends meanwhile that
// nobody has ended: none may, whatever happens around it.
func (f *fleet) await(what string, ask func() (bool, string)) {
	f.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, said := ask()
		f.allLive()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-f.ctx.Done():
			f.Fatalf("still not %s: %s\n%s", what, said, f.logs())
		}
	}
}

// allLive fails if a process has ended by itself.
func (f *fleet) allLive() {
	f.Helper()
	for _, m := range f.members {
		select {
		case <-m.Ended:
			f.Fatalf("%s ended by itself: %v\n%s", m.name, m.Err(), f.logs())
		default:
		}
	}
}

// logs are what the processes have said that live.
func (f *fleet) logs() string {
	var all strings.Builder
	for _, m := range f.members {
		fmt.Fprintf(&all, "%s, %s\n", m.name, m.Log)
	}
	return all.String()
}

// anyManager is a Manager that lives.
func (f *fleet) anyManager() *member {
	f.Helper()
	for _, m := range f.members {
		if m.role == "manager" {
			return m
		}
	}
	f.Fatal("there is no Manager to ask")
	return nil
}

// ledger is that of the fleet, and whether it is whole.
func (f *fleet) ledger() (l *pb.Ledger, balanced bool, said string) {
	f.Helper()
	resp, err := f.anyManager().client.Fleet.Ledger(f.ctx, connect.NewRequest(&pb.FleetServiceLedgerRequest{}))
	if err != nil {
		return nil, false, err.Error()
	}
	return resp.Msg.GetTotal(), resp.Msg.GetBalanced(), resp.Msg.String()
}

// jobdbs are the JobDBs by their states, as the Manager sees them, and what it said.
func (f *fleet) jobdbs() (states map[pb.JobDBState][]*pb.JobDB, said string) {
	f.Helper()
	states = make(map[pb.JobDBState][]*pb.JobDB)
	resp, err := f.anyManager().client.Fleet.Get(f.ctx, connect.NewRequest(&pb.FleetServiceGetRequest{}))
	if err != nil {
		return states, err.Error()
	}
	for _, j := range resp.Msg.GetJobdbs() {
		states[j.GetState()] = append(states[j.GetState()], j)
	}
	return states, resp.Msg.String()
}

// awaitTidy waits until as many JobDBs are in use as there are Directors, and all
// others are spares or gone.
func (f *fleet) awaitTidy() {
	f.Helper()
	directors := 0
	for _, m := range f.members {
		if m.role == "director" {
			directors++
		}
	}
	f.await(fmt.Sprintf("down to %d JobDBs", directors), func() (bool, string) {
		states, said := f.jobdbs()
		return len(states[pb.JobDBState_JOB_DB_STATE_LIVE]) == directors &&
			len(states[pb.JobDBState_JOB_DB_STATE_RELEASED])+len(states[pb.JobDBState_JOB_DB_STATE_DRAINING]) == 0, said
	})
}

// pass lets time pass.
func (f *fleet) pass(d time.Duration) {
	f.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.ctx.Done():
		f.Fatalf("out of time\n%s", f.logs())
	}
}
