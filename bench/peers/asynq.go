package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/hibiken/asynq"
)

// asynqQueue is Asynq on a Redis of its own.
type asynqQueue struct {
	redis     *server
	client    *asynq.Client
	inspector *asynq.Inspector
	servers   []*asynq.Server
}

func openAsynq(ctx context.Context, cfg config, deliver func(context.Context, job) error) (_ queue, err error) {
	q := &asynqQueue{}
	defer func() {
		if err != nil {
			err = errors.Join(err, q.close())
		}
	}()
	var addr string
	if q.redis, addr, err = startRedis(ctx, cfg.Dir); err != nil {
		q.redis = nil
		return nil, err
	}
	conn := asynq.RedisClientOpt{Addr: addr, PoolSize: cfg.Inserters}
	q.client = asynq.NewClient(conn)
	q.inspector = asynq.NewInspector(conn)
	conn.PoolSize = cfg.Workers
	handler := asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		var j job
		if err := json.Unmarshal(task.Payload(), &j); err != nil {
			return err
		}
		return deliver(ctx, j)
	})
	// A server fetches one task at a time and waits for the disk each time.
	// Several fetch while others wait, as the processes of a fleet would.
	for i := range cfg.Servers {
		server := asynq.NewServer(conn, asynq.Config{
			Concurrency: share(cfg.Workers, cfg.Servers, i),

			LogLevel: asynq.FatalLevel,
		})
		if err := server.Start(handler); err != nil {
			return nil, fmt.Errorf("asynq: %w", err)
		}
		q.servers = append(q.servers, server)
	}
	return q, nil
}

// share is the i-th of parts near-equal parts of total.
func share(total, parts, i int) int { return total*(i+1)/parts - total*i/parts }

// insert enqueues the jobs one by one: Asynq has no batch.
func (q *asynqQueue) insert(ctx context.Context, jobs []job) error {
	for _, j := range jobs {
		payload, err := json.Marshal(j)
		if err != nil {
			return err
		}
		if _, err := q.client.EnqueueContext(ctx, asynq.NewTask("post", payload)); err != nil {
			return err
		}
	}
	return nil
}

func (q *asynqQueue) unsettled(context.Context) (int, error) {
	info, err := q.inspector.GetQueueInfo("default")
	if err != nil {
		return 0, err
	}
	return info.Size, nil // completed tasks are deleted
}

func (q *asynqQueue) close() error {
	var errs []error
	var stopped sync.WaitGroup
	for _, server := range q.servers {
		stopped.Go(server.Shutdown) // takes a second or so
	}
	stopped.Wait()
	if q.client != nil {
		errs = append(errs, q.client.Close(), q.inspector.Close())
	}
	if q.redis != nil {
		errs = append(errs, q.redis.stop(syscall.SIGTERM))
	}
	return errors.Join(errs...)
}
