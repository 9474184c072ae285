package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// startRedis starts Redis so that a write is answered once it is on disk
// (appendfsync always), and returns its address.
func startRedis(ctx context.Context, parent string) (s *server, addr string, err error) {
	path, err := findRedis()
	if err != nil {
		return nil, "", err
	}
	s, attr, err := newServer(parent, "redis", "redis")
	if err != nil {
		return nil, "", fmt.Errorf("redis: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("redis: %w", errors.Join(err, s.stop(syscall.SIGTERM)))
		}
	}()
	port, err := freePort(ctx)
	if err != nil {
		return s, "", err
	}
	addr = "127.0.0.1:" + strconv.Itoa(port)
	ready := func(ctx context.Context) error {
		client := redis.NewClient(&redis.Options{Addr: addr})
		return errors.Join(client.Ping(ctx).Err(), client.Close())
	}
	err = s.start(ctx, attr, ready, path,
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", s.dir,
		"--appendonly", "yes", "--appendfsync", "always",
		"--save", "", // snapshots would only add to the append-only file
		"--daemonize", "no",
	)
	return s, addr, err
}

// findRedis names the Redis server's program, wherever the system keeps it.
func findRedis() (string, error) {
	path, err := exec.LookPath("redis-server")
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("redis-server is not installed (apt-get install --no-install-recommends redis-server)")
	}
	return path, err
}
