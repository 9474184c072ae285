package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"time"
)

// server is a database process of our own, with its folder.
type server struct {
	dir    string
	cmd    *exec.Cmd
	output bytes.Buffer
	exited chan error // receives once
}

// freePort finds a loopback port that nobody listens on.
func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// newServer makes a server's folder. As root, the folder and the processes that
// command makes belong to the account, since databases refuse to run as root.
func newServer(parent, name, account string) (*server, *syscall.SysProcAttr, error) {
	dir, err := os.MkdirTemp(parent, "peers-"+name+"-")
	if err != nil {
		return nil, nil, err
	}
	s := &server{dir: dir, exited: make(chan error, 1)}
	// A group of its own, so that an interrupt of ours reaches it through stop.
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		if attr.Credential, err = credential(account); err == nil {
			err = os.Chown(dir, int(attr.Credential.Uid), int(attr.Credential.Gid))
		}
		if err != nil {
			return nil, nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	return s, attr, nil
}

func credential(account string) (*syscall.Credential, error) {
	u, err := user.Lookup(account)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// start runs the command and returns once ready answers without an error.
func (s *server) start(ctx context.Context, attr *syscall.SysProcAttr, ready func(context.Context) error, name string, args ...string) error {
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), name, args...) // stop ends it
	s.cmd.Dir = s.dir
	s.cmd.SysProcAttr = attr
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	go func() { s.exited <- s.cmd.Wait() }()
	deadline := time.After(30 * time.Second)
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case exit := <-s.exited:
			s.cmd = nil
			return fmt.Errorf("%s ended at once: %w\n%s", name, exit, s.output.Bytes())
		case <-deadline:
			return fmt.Errorf("%s is not ready after 30 s: %w", name, err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop ends the process with sig, by force if it does not heed it within ten
// seconds, and removes the folder.
func (s *server) stop(sig syscall.Signal) error {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(sig) // fails only if it has ended already
		select {
		case <-s.exited:
		case <-time.After(10 * time.Second):
			_ = s.cmd.Process.Kill()
			<-s.exited
		}
	}
	return os.RemoveAll(s.dir)
}
