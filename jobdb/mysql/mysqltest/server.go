package mysqltest

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mysql "github.com/go-sql-driver/mysql"
)

const (
	// User owns every schema that [Server.Schema] names and has no other rights.
	User = "director"

	// Password is the user's.
	Password = "correct horse"

	logSize  = "32M"            // of InnoDB's log
	patience = 60 * time.Second // for a server to start or end
)

var errNoServer = errors.New("no server to test with: make mariadb, or make mysql, installs one")

// Server is a MariaDB or MySQL server. Its methods are for the test's goroutine.
type Server struct {
	// Address is the server's host and port. They stay when it is started again.
	Address string

	tb      testing.TB
	folder  string
	flags   []string
	process *exec.Cmd // nil while there is none
	log     *startLog
	ended   chan error // receives what Wait returned
	schemas atomic.Int32
}

// Start starts a server with the further flags, and ends it when the test does.
// The test fails if there is no server.
func Start(tb testing.TB, flags ...string) *Server {
	tb.Helper()
	return StartIn(tb, filepath.Join(tb.TempDir(), "data"), flags...)
}

// StartIn is [Start] with a data folder, which must not be there yet or be empty.
func StartIn(tb testing.TB, folder string, flags ...string) *Server {
	tb.Helper()
	if err := fromTemplate(folder); err != nil {
		tb.Fatal(err)
	}
	address, err := freeAddress()
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{Address: address, tb: tb, folder: folder, flags: flags}
	tb.Cleanup(func() {
		if s.process != nil {
			s.Kill()
		}
	})
	s.start()
	root := s.Root()
	for _, statement := range []string{
		`CREATE USER IF NOT EXISTS '` + User + `'@'127.0.0.1' IDENTIFIED BY '` + Password + `'`,
		"GRANT ALL ON `jobs\\_%`.* TO '" + User + `'@'127.0.0.1'`,
	} {
		if _, err := root.ExecContext(tb.Context(), statement); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

// Schema returns the name of a schema that the server does not have yet.
func (s *Server) Schema() string { return fmt.Sprintf("jobs_%d", s.schemas.Add(1)) }

// Root returns a pool of connections of the server's administrator, which is
// closed when the test ends.
func (s *Server) Root() *sql.DB {
	s.tb.Helper()
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.Logger = "root", "tcp", s.Address, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		s.tb.Fatal(err)
	}
	db := sql.OpenDB(connector)
	s.tb.Cleanup(func() { _ = db.Close() }) // it may have been killed
	return db
}

// Kill ends the server with SIGKILL, and returns when it is gone.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Restart starts the server again, after ending it in good order if it runs. The
// flags replace those that it had, if there are any.
func (s *Server) Restart(flags ...string) {
	s.tb.Helper()
	if s.process != nil {
		s.end(syscall.SIGTERM)
	}
	if len(flags) > 0 {
		s.flags = flags
	}
	s.start()
}

func (s *Server) start() {
	s.tb.Helper()
	name, err := osUser()
	if err != nil {
		s.tb.Fatal(err)
	}
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.log = newStartLog()
	p := chosen()
	s.process = exec.Command(p.server, slices.Concat([]string{ //nolint:noctx // Kill ends it, and waits
		"--no-defaults", "--user=" + name, "--datadir=" + s.folder, "--bind-address=" + host, "--port=" + port,
		"--socket=socket", "--pid-file=pid", // both in the data folder
		"--tmpdir=" + s.folder,
		"--skip-name-resolve", "--performance-schema=off",
		"--innodb-buffer-pool-size=64M",
	}, p.flags, s.flags)...)
	s.process.Stderr = s.log
	s.process.SysProcAttr = dieWithParent()
	if err := s.process.Start(); err != nil {
		s.process = nil
		s.tb.Fatalf("%v: %v", errNoServer, err)
	}
	ended := make(chan error, 1)
	go func(p *exec.Cmd) { ended <- p.Wait() }(s.process)
	s.ended = ended

	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-s.log.ready:
	case err := <-s.ended:
		s.process = nil
		s.tb.Fatalf("the server ended: %v\n%s", err, s.log)
	case <-timeout.C:
		s.tb.Fatalf("the server is not ready\n%s", s.log)
	}
}

// end sends the signal and waits for the end.
func (s *Server) end(signal syscall.Signal) {
	s.tb.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.tb.Errorf("end the server: %v", err)
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-s.ended:
	case <-timeout.C:
		s.tb.Errorf("the server does not end\n%s", s.log)
	}
	s.process = nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
