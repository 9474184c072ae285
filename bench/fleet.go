package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

// leaseTTL is that of the fleets that are measured.
const leaseTTL = 10 * time.Second

// fleet is a MariaDB, a Consul and a Manager, each a process of its own, and the
// Directors that are started in it.
type fleet struct {
	b       *bench
	dir     string
	mariadb *process
	consul  *process
	manager *process
	asks    *client.Client // the Manager
}

// startFleet starts all but Directors, for each of which there are to be spares.
func (b *bench) startFleet(ctx context.Context, spares int) (_ *fleet, err error) {
	f := &fleet{b: b}
	if f.dir, _, err = b.newData(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.mariadb, err = b.startMariaDB(ctx, filepath.Join(f.dir, "mariadb")); err != nil {
		return nil, err
	}
	if f.consul, err = b.startConsul(ctx); err != nil {
		return nil, err
	}
	if f.manager, err = b.startCentrifuge(ctx, "manager", f.args("--spares", strconv.Itoa(spares), "--jobdb-max-size", "1TiB", "--jobdb-max-age", "24h")...); err != nil {
		return nil, err
	}
	if f.asks, err = client.New(client.Options{URL: f.manager.url}); err != nil {
		return nil, err
	}
	return f, f.await(ctx, func(m *pb.FleetServiceGetResponse) bool {
		return countJobDBs(m, pb.JobDBState_JOB_DB_STATE_SPARE) >= spares
	})
}

func (f *fleet) args(more ...string) []string {
	return append([]string{
		"--mysql", f.mariadb.url, "--mysql-user", "root", "--consul", f.consul.url, "--lease-ttl", leaseTTL.String(),
		"--archive", filepath.Join(f.dir, "archive"),
	}, more...)
}

// startDirector starts a Director, which has a spare when it is ready.
func (f *fleet) startDirector(ctx context.Context, name string) (*process, error) {
	args := f.args("--name", name, "--data-dir", filepath.Join(f.dir, name), "--allow-network", "127.0.0.0/8")
	return f.b.startCentrifuge(ctx, "director", append(args, strings.Fields(f.b.serveArgs)...)...)
}

// get asks the Manager how the fleet is.
func (f *fleet) get(ctx context.Context) (*pb.FleetServiceGetResponse, error) {
	resp, err := f.asks.Fleet.Get(ctx, connect.NewRequest(&pb.FleetServiceGetRequest{}))
	if err != nil {
		return nil, fmt.Errorf("ask the Manager: %w", err)
	}
	return resp.Msg, nil
}

// await asks the Manager until what it answers is as it should be.
func (f *fleet) await(ctx context.Context, done func(*pb.FleetServiceGetResponse) bool) error {
	return pollEvery(ctx, 200*time.Millisecond, func() (bool, error) {
		m, err := f.get(ctx)
		return err == nil && done(m), err
	})
}

// startHeir starts a Director that does nothing but to be there for what others
// leave: a JobDB is dropped once its jobs have gone to somebody, even if it has none.
func (f *fleet) startHeir(ctx context.Context) (kill func(), err error) {
	heir, err := f.startDirector(ctx, "heir")
	if err != nil {
		return nil, err
	}
	return func() { _ = heir.kill() }, nil
}

// awaitDropped waits until nothing is left of JobDBs that were used, but for those
// in use.
func (f *fleet) awaitDropped(ctx context.Context) error {
	return f.await(ctx, func(m *pb.FleetServiceGetResponse) bool {
		return countJobDBs(m, pb.JobDBState_JOB_DB_STATE_RELEASED)+countJobDBs(m, pb.JobDBState_JOB_DB_STATE_DRAINING) == 0
	})
}

// cycle has a Director go over to a spare, and returns the name of the JobDB before.
func (f *fleet) cycle(ctx context.Context, name string) (before string, err error) {
	resp, err := f.asks.Fleet.Cycle(ctx, connect.NewRequest(&pb.FleetServiceCycleRequest{Director: name}))
	if err != nil {
		return "", fmt.Errorf("cycle: %w", err)
	}
	return resp.Msg.GetBefore(), nil
}

func countJobDBs(m *pb.FleetServiceGetResponse, state pb.JobDBState) (n int) {
	for _, j := range m.GetJobdbs() {
		if j.GetState() == state {
			n++
		}
	}
	return n
}

// close ends the fleet. Nobody needs its data any more.
func (f *fleet) close() {
	if f.asks != nil {
		f.asks.Close()
	}
	for _, p := range []*process{f.manager, f.consul, f.mariadb} {
		if p != nil {
			_ = p.kill()
		}
	}
	_ = os.RemoveAll(f.dir)
}

// startMariaDB starts a MariaDB server with its defaults of durability: its log is
// synced at each commit, and pages are written twice. Only its memory and its log
// are larger than by default. The process's url is its host and port.
func (b *bench) startMariaDB(ctx context.Context, data string) (*process, error) {
	u, err := user.Current()
	if err != nil {
		return nil, err
	}
	const logSize = "--innodb-log-file-size=2G"
	install := exec.CommandContext(ctx, server("mariadb-install-db"), "--no-defaults", "--user="+u.Username,
		"--auth-root-authentication-method=normal", "--skip-test-db", logSize, "--datadir="+data)
	if out, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make the folder of MariaDB (make mariadb installs it): %w\n%s", err, out)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, server("mariadbd"), "--no-defaults", "--user="+u.Username, "--datadir="+data,
		"--bind-address=127.0.0.1", "--port="+port, "--socket=socket", "--pid-file=pid", "--tmpdir="+data, "--skip-name-resolve",
		"--innodb-buffer-pool-size=2G", logSize)
	p := &process{cmd: cmd, url: net.JoinHostPort("127.0.0.1", port)}
	return p, p.startUntil("ready for connections")
}

// startConsul starts a Consul server that keeps everything in memory.
func (b *bench) startConsul(ctx context.Context) (*process, error) {
	// An address of its own, so that all of Consul's usual ports are free.
	ip := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)) //nolint:gosec // any will do
	cmd := exec.CommandContext(ctx, filepath.Join(".tools", "consul"), "-dev", "-node", "bench", "-bind", ip, "-client", ip,
		"-dns-port", "-1", "-grpc-port", "-1", "-grpc-tls-port", "-1", "-serf-wan-port", "-1",
		"-hcl", "disable_update_check = true", "-hcl", `session_ttl_min = "1s"`, "-log-level", "info")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	p := &process{cmd: cmd, url: "http://" + ip + ":8500"}
	return p, p.startUntil("member joined, marking health alive")
}

// startUntil starts a server and returns when its log says the words.
func (p *process) startUntil(words string) error {
	out, in := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = in, in
	if err := p.cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(out)
	var said strings.Builder
	timeout := time.AfterFunc(time.Minute, func() { _ = out.CloseWithError(errors.New("it takes too long")) })
	defer timeout.Stop()
	for {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			return fmt.Errorf("start %s: %w\n%s", p.cmd.Path, errors.Join(err, p.kill()), said.String())
		}
		if strings.Contains(line, words) {
			break
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return nil
}

// server finds a program where it is searched for, or where distributions put
// servers.
func server(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return filepath.Join("/usr/sbin", name)
}

func freePort(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
