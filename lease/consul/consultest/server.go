// Package consultest runs real Consul servers for tests, and a proxy to cut a
// client off from them.
package consultest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Server is a Consul server. Sessions with a TTL of a second are allowed.
type Server struct {
	name    string
	ip      string
	file    string // its configuration
	memory  bool   // it has no data folder
	process *process
}

// process is one life of a server; output may be read once ended is closed.
type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	ended  chan struct{}
}

// Start runs a server until the test ends, and waits until it is ready. It keeps
// everything in memory, for which it is ready ten times as soon as others.
func Start(t *testing.T) *Server {
	t.Helper()
	s := newServer(t, "server")
	s.memory = true
	s.configure(t, nil)
	s.run(t)
	s.ready(t)
	return s
}

// StartCluster runs n servers of one cluster until the test ends, and waits until
// they are ready. They keep their data over a Restart.
func StartCluster(t *testing.T, n int) []*Server {
	t.Helper()
	servers := make([]*Server, n)
	ips := make([]string, n)
	for i := range servers {
		servers[i] = newServer(t, fmt.Sprintf("server-%d", i))
		ips[i] = servers[i].ip
	}
	for _, s := range servers {
		s.configure(t, map[string]any{
			"data_dir": t.TempDir(), "bootstrap_expect": n, "retry_join": ips, "retry_interval": "100ms",
		})
		s.run(t)
	}
	for _, s := range servers {
		s.ready(t)
	}
	return servers
}

// newServer gives each server an address, so that all have Consul's usual ports to
// themselves, also when they come back after a while.
func newServer(t *testing.T, name string) *Server {
	t.Helper()
	return &Server{
		name: name,
		ip:   fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)),
		file: filepath.Join(t.TempDir(), "consul.json"),
	}
}

// URL is where clients find the server.
func (s *Server) URL() string { return "http://" + s.Address() }

// Address is where clients find the server, as host:port.
func (s *Server) Address() string { return s.ip + ":8500" }

// Kill ends the server by SIGKILL. To one that has ended it does nothing.
func (s *Server) Kill() {
	_ = s.process.cmd.Process.Kill()
	<-s.process.ended
}

// Restart starts a killed server of a cluster, on the data that it had, and waits
// until it is ready, for which it needs most of the others.
func (s *Server) Restart(t *testing.T) {
	t.Helper()
	RestartAll(t, []*Server{s})
}

// RestartAll starts killed servers of a cluster, on the data that they had, and waits
// until they are ready.
func RestartAll(t *testing.T, servers []*Server) {
	t.Helper()
	for _, s := range servers {
		if s.memory {
			t.Fatal("a server of Start has no data to restart on")
		}
		s.launch(t)
	}
	for _, s := range servers {
		s.ready(t)
	}
}

// Leader returns the one of servers that leads the others.
func Leader(t *testing.T, servers []*Server) *Server {
	t.Helper()
	var leader string
	if err := servers[0].get(t.Context(), "/v1/status/leader", &leader); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(servers, func(s *Server) bool { return s.ip+":8300" == leader })
	if i < 0 {
		t.Fatalf("the leader is %q, none of ours", leader)
	}
	return servers[i]
}

func (s *Server) configure(t *testing.T, more map[string]any) {
	t.Helper()
	config := map[string]any{
		"server": true, "node_name": s.name, "bind_addr": s.ip, "client_addr": s.ip,
		"ports":           map[string]int{"dns": -1, "grpc": -1, "grpc_tls": -1, "serf_wan": -1},
		"session_ttl_min": "1s",
		"performance":     map[string]int{"raft_multiplier": 1},
		"gossip_lan": map[string]any{
			"gossip_interval": "100ms", "probe_interval": "100ms", "probe_timeout": "100ms", "suspicion_mult": 3,
		},
		"connect":              map[string]bool{"enabled": false},
		"peering":              map[string]bool{"enabled": false},
		"disable_update_check": true, // it asks nobody on the internet
		"log_level":            "info",
	}
	maps.Copy(config, more)
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run launches the server and has it killed when the test ends.
func (s *Server) run(t *testing.T) {
	t.Helper()
	s.launch(t)
	t.Cleanup(s.Kill)
}

func (s *Server) launch(t *testing.T) {
	t.Helper()
	p := &process{ended: make(chan struct{})}
	//nolint:noctx // it lives until Kill, which waits for it
	p.cmd = exec.Command(binary(t), "-config-file", s.file, fmt.Sprintf("-dev=%t", s.memory))
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start consul: %v", err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how a server ended that was killed is no news
	}()
	s.process = p
}

// ready waits until the cluster knows the server, without which it gives no
// sessions.
func (s *Server) ready(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var node any
		if err := s.get(t.Context(), "/v1/catalog/node/"+s.name, &node); err == nil && node != nil {
			return
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("gave up waiting until consul is ready")
		case <-s.process.ended:
			t.Fatalf("consul ended instead of serving: %v\n%s", s.process.cmd.ProcessState, s.process.output.String())
		}
	}
}

func (s *Server) get(ctx context.Context, path string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+path, http.NoBody)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

// binary finds .tools/consul beside the go.mod that the test's folder is under.
func binary(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			break
		}
		if parent := filepath.Dir(dir); parent != dir && errors.Is(err, fs.ErrNotExist) {
			dir = parent
			continue
		}
		t.Fatalf("find the module that this test is of: %v", err)
	}
	path := filepath.Join(dir, ".tools", "consul")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the Consul server that this test needs is not there: run `make tools` (%v)", err)
	}
	return path
}
