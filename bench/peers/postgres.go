package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// postgresBin is where Debian keeps the server's programs.
const postgresBin = "/usr/lib/postgresql/15/bin"

// startPostgres starts PostgreSQL 15 with its default durability, fsync and
// synchronous_commit on, and returns the URL of its database.
func startPostgres(ctx context.Context, parent string) (s *server, url string, err error) {
	s, attr, err := newServer(parent, "postgres", "postgres")
	if err != nil {
		return nil, "", fmt.Errorf("postgres: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("postgres: %w", errors.Join(err, s.stop(syscall.SIGINT)))
		}
	}()
	port, err := freePort(ctx)
	if err != nil {
		return s, "", err
	}
	data := filepath.Join(s.dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(postgresBin, "initdb"),
		"--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-instructions")
	initdb.Dir, initdb.SysProcAttr = s.dir, attr
	if out, err := initdb.CombinedOutput(); err != nil {
		return s, "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	url = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
	ready := func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	}
	err = s.start(ctx, attr, ready, filepath.Join(postgresBin, "postgres"),
		"-D", data, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", // a socket's path may be too long
		"-c", "shared_buffers=256MB",
		"-c", "max_wal_size=8GB",
		"-c", "checkpoint_timeout=15min",
		"-c", "wal_buffers=16MB",
		"-c", "effective_cache_size=2GB",
		"-c", "random_page_cost=1.1",
	)
	return s, url, err
}
