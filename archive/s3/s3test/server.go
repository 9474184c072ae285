// Package s3test runs a real S3 server for tests, versitygw on a temporary
// folder, behind a proxy that fails on demand.
package s3test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"centrifuge/archive/s3"
)

// The credentials that the server knows at first. Start puts them into the environment.
const (
	AccessKey = "test-access-key"
	SecretKey = "test-secret-key"
)

// BucketName is the bucket that every server has, empty at first.
const BucketName = "archive"

// Server is an S3 server and the proxy that clients see of it.
type Server struct {
	Proxy *Proxy

	dir     string
	socket  string
	secret  string
	process *process
}

// process is one life of the server; output may be read once ended is closed.
type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	ended  chan struct{}
}

// Start runs a server until the test ends, and points the AWS SDK's environment
// at its credentials and at nothing else that this machine is configured for.
func Start(t *testing.T) *Server {
	t.Helper()
	for name, value := range Environment() {
		t.Setenv(name, value)
	}
	return Serve(t)
}

// Environment is what [Start] sets, for tests that give it to processes and not to
// themselves, so that they may run beside others.
func Environment() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey, "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "",
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": "",
	}
}

// Serve is [Start] without the environment.
func Serve(t *testing.T) *Server {
	t.Helper()
	// The socket is an abstract one: its name may be short, however long the path
	// of the test's folder is, and the port that clients see is the proxy's alone.
	s := &Server{dir: t.TempDir(), socket: "@centrifuge-" + rand.Text(), secret: SecretKey}
	if err := os.Mkdir(filepath.Join(s.dir, BucketName), 0o700); err != nil {
		t.Fatal(err)
	}
	s.Proxy = newProxy(t, s.dial)
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

// Options are those of a bucket on the server, with a prefix.
func (s *Server) Options(prefix string) s3.Options {
	return s3.Options{Bucket: BucketName, Prefix: prefix, Endpoint: s.Proxy.URL(), PathStyle: true}
}

// Open opens a bucket on the server, with a prefix.
func (s *Server) Open(t *testing.T, prefix string) *s3.Bucket {
	t.Helper()
	return s.OpenWith(t, s.Options(prefix))
}

// OpenWith opens a bucket on the server, with options that may differ from
// [Server.Options].
func (s *Server) OpenWith(t *testing.T, o s3.Options) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Plant makes empty objects of these keys, past the protocol and so in no time.
func (s *Server) Plant(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		file := filepath.Join(s.dir, BucketName, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Down kills the server and has connections refused.
func (s *Server) Down() {
	s.Proxy.close()
	s.kill()
}

// Rekey has the server know the access key with another secret from now on.
func (s *Server) Rekey(t *testing.T, secret string) {
	t.Helper()
	s.kill()
	s.secret = secret
	s.start(t)
}

// Up has it back, with all that it had stored.
func (s *Server) Up(t *testing.T) {
	t.Helper()
	s.start(t)
	s.Proxy.listen(t)
}

func (s *Server) start(t *testing.T) {
	t.Helper()
	p := &process{ended: make(chan struct{})}
	//nolint:noctx // it lives until kill, which waits for it
	p.cmd = exec.Command(binary(t), "--access", AccessKey, "--secret", s.secret, "--port", s.socket,
		"--health", "/health", "--quiet", "posix", s.dir)
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start versitygw: %v", err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how a server ended that was killed is no news
	}()
	s.process = p

	client := http.Client{Transport: &http.Transport{DialContext: s.dial, DisableKeepAlives: true}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !healthy(t.Context(), &client) {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("gave up waiting until versitygw answers")
		case <-p.ended:
			t.Fatalf("versitygw ended instead of serving: %v\n%s", p.cmd.ProcessState, p.output.String())
		}
	}
}

func healthy(ctx context.Context, client *http.Client) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://s3/health", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (s *Server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", s.socket)
}

// kill ends the server by its pid. To one that has ended it does nothing.
func (s *Server) kill() {
	_ = s.process.cmd.Process.Kill()
	<-s.process.ended
}

// binary finds .tools/versitygw beside the go.mod that the test's folder is under.
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
	path := filepath.Join(dir, ".tools", "versitygw")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the S3 server that this test needs is not there: run `make tools` (%v)", err)
	}
	return path
}
