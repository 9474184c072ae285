package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// Kind names the job to River.
func (job) Kind() string { return "post" }

type riverWorker struct {
	river.WorkerDefaults[job]
	deliver func(context.Context, job) error
}

func (w *riverWorker) Work(ctx context.Context, j *river.Job[job]) error {
	return w.deliver(ctx, j.Args)
}

// riverQueue is River on a PostgreSQL of its own.
type riverQueue struct {
	postgres *server
	pool     *pgxpool.Pool
	client   *river.Client[pgx.Tx]
}

func openRiver(ctx context.Context, cfg config, deliver func(context.Context, job) error) (_ queue, err error) {
	q := &riverQueue{}
	defer func() {
		if err != nil {
			err = errors.Join(err, q.close())
		}
	}()
	var url string
	if q.postgres, url, err = startPostgres(ctx, cfg.Dir); err != nil {
		q.postgres = nil
		return nil, err
	}
	poolConfig, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("river: %w", err)
	}
	poolConfig.MaxConns = 32
	if q.pool, err = pgxpool.NewWithConfig(ctx, poolConfig); err != nil {
		return nil, fmt.Errorf("river: %w", err)
	}
	driver := riverpgxv5.New(q.pool)
	logger := slog.New(slog.DiscardHandler)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("river: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, fmt.Errorf("river: %w", err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &riverWorker{deliver: deliver})
	client, err := river.NewClient(driver, &river.Config{
		Logger:  logger,
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: cfg.Workers}},
		Workers: workers,
		// The default of 100 ms would cap the rate at ten times MaxWorkers.
		FetchCooldown:     5 * time.Millisecond,
		FetchPollInterval: 50 * time.Millisecond,
	})
	if err != nil {
		return nil, fmt.Errorf("river: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, fmt.Errorf("river: %w", err)
	}
	q.client = client
	return q, nil
}

// insert uses River's fastest way, COPY FROM.
func (q *riverQueue) insert(ctx context.Context, jobs []job) error {
	params := make([]river.InsertManyParams, len(jobs))
	for i, j := range jobs {
		params[i].Args = j
	}
	_, err := q.client.InsertManyFast(ctx, params)
	return err
}

func (q *riverQueue) unsettled(ctx context.Context) (n int, err error) {
	err = q.pool.QueryRow(ctx, "SELECT count(*) FROM river_job WHERE state <> 'completed'").Scan(&n)
	return n, err
}

func (q *riverQueue) close() error {
	var errs []error
	if q.client != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		errs = append(errs, q.client.StopAndCancel(ctx))
	}
	if q.pool != nil {
		q.pool.Close()
	}
	if q.postgres != nil {
		errs = append(errs, q.postgres.stop(syscall.SIGINT)) // its "fast" shutdown
	}
	return errors.Join(errs...)
}
