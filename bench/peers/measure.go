package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/segmentio/ksuid"
	"golang.org/x/sync/errgroup"
)

// Result is one measurement: its settings, and what came of them.
type Result struct {
	config
	Inserted  time.Duration `json:"inserted_ns"` // until the last job was durable
	Elapsed   time.Duration `json:"elapsed_ns"`  // until the sink had counted every job
	PerSecond float64       `json:"jobs_per_second"`
	// A peer may mark jobs as done in batches, behind their delivery. Backlog is
	// how many it had left to mark when the sink had counted every job, Settled
	// how long it took until there were none.
	Backlog int           `json:"backlog"`
	Settled time.Duration `json:"settled_ns"`
}

// job is what both peers store: the id the sink counts by, and the body. The
// body is text, so that neither peer pays for escaping it.
type job struct {
	ID   string `json:"id"`
	Body string `json:"body"`
}

// queue is a peer that runs: its workers deliver what insert makes durable.
type queue interface {
	// insert stores jobs durably. It is called concurrently, with config.Batch
	// jobs or fewer.
	insert(ctx context.Context, jobs []job) error
	// unsettled is how many jobs are not yet durably marked as done.
	unsettled(ctx context.Context) (int, error)
	// close stops the workers, then the database.
	close() error
}

func open(ctx context.Context, cfg config, deliver func(context.Context, job) error) (queue, error) {
	if cfg.Peer == "river" {
		return openRiver(ctx, cfg, deliver)
	}
	return openAsynq(ctx, cfg, deliver)
}

func measure(ctx context.Context, cfg config) (result Result, err error) {
	sink := newSinkClient(cfg.Sink, cfg.Conns)
	defer sink.close()
	before, err := sink.delivered(ctx)
	if err != nil {
		return Result{}, err
	}
	q, err := open(ctx, cfg, sink.post)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, q.close()) }()

	result.config = cfg
	start := time.Now()
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer func() { result.Inserted = time.Since(start) }()
		return insertAll(running, q, cfg)
	})
	group.Go(func() error { return sink.await(running, before+uint64(cfg.Jobs)) })
	if err := group.Wait(); err != nil {
		return Result{}, err
	}
	result.Elapsed = time.Since(start)
	result.PerSecond = float64(cfg.Jobs) / result.Elapsed.Seconds()
	if result.Backlog, err = q.unsettled(ctx); err != nil {
		return Result{}, fmt.Errorf("count unsettled jobs: %w", err)
	}
	if err := settle(ctx, q); err != nil {
		return Result{}, err
	}
	result.Settled = time.Since(start)
	return result, nil
}

// settle waits until every job is durably marked as done.
func settle(ctx context.Context, q queue) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := q.unsettled(ctx)
		if err != nil {
			return fmt.Errorf("count unsettled jobs: %w", err)
		}
		if n == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d jobs unsettled: %w", n, ctx.Err())
		}
	}
}

// insertAll shares the jobs out to the inserters, a batch at a time.
func insertAll(ctx context.Context, q queue, cfg config) error {
	text := body(cfg.Size)
	var taken atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range cfg.Inserters {
		group.Go(func() error {
			for {
				end := int(taken.Add(int64(cfg.Batch)))
				n := min(cfg.Batch, cfg.Jobs-(end-cfg.Batch))
				if n <= 0 {
					return nil
				}
				batch := make([]job, n)
				for i := range batch {
					batch[i] = job{ID: ksuid.New().String(), Body: text}
				}
				if err := q.insert(ctx, batch); err != nil {
					return fmt.Errorf("insert: %w", err)
				}
			}
		})
	}
	return group.Wait()
}

// body is random, so that no store gains by compressing it, and plain ASCII, so
// that none loses by escaping it.
func body(size int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	rng := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, size)
	for i := range text {
		text[i] = letters[rng.IntN(len(letters))]
	}
	return string(text)
}
