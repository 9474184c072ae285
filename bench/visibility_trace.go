package main

import (
	"context"
	"crypto/rand"
	"fmt"
	random "math/rand/v2"
	"path/filepath"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"centrifuge"
	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlite"
	"centrifuge/lease/local"
)

// trace measures how long the trace of a job takes over RPC that is one of many in a
// live JobDB, each of which waits for its second attempt: right after the start of
// the process, and then again. The jobs are put into the JobDB directly.
func trace(ctx context.Context, b *bench) error {
	const lookups = 1000
	data, remove, err := b.newData()
	if err != nil {
		return err
	}
	defer remove()
	began := time.Now()
	sample, err := b.fillJobs(ctx, data, b.traced, lookups)
	if err != nil {
		return fmt.Errorf("fill the JobDB: %w", err)
	}
	b.report(fmt.Sprintf("fill the JobDB with %d jobs", b.traced), "s", "", "", time.Since(began).Seconds())
	began = time.Now()
	director, err := b.startServe(ctx, data, "--jobdb-max-size", "1TiB", "--jobdb-max-age", "24h")
	if err != nil {
		return err
	}
	defer func() { _ = director.kill() }()
	b.report(fmt.Sprintf("start over %d live jobs, to serving", b.traced), "s", "", "", time.Since(began).Seconds())
	resident, err := director.residentMB()
	if err != nil {
		return err
	}
	b.report(fmt.Sprintf("resident memory over %d live jobs, once serving", b.traced), "MB", "", "", resident)
	c, err := client.New(client.Options{URL: director.url})
	if err != nil {
		return err
	}
	defer c.Close()
	for _, round := range [...]struct{ name, atLeast, aim string }{{"right after a start", "100", "20"}, {"warm", "100", "20"}} {
		random.Shuffle(len(sample), func(i, k int) { sample[i], sample[k] = sample[k], sample[i] })
		var took []float64
		for _, id := range sample {
			began := time.Now()
			resp, err := c.Jobs.Get(ctx, connect.NewRequest(&pb.GetRequest{Id: id.String()}))
			if err != nil {
				return fmt.Errorf("trace %s: %w", id, err)
			}
			took = append(took, milliseconds(time.Since(began)))
			if n := len(resp.Msg.GetTransitions()); n != 3 {
				return fmt.Errorf("trace %s: %d transitions, want 3", id, n)
			}
		}
		b.report(fmt.Sprintf("trace of one job among %d, %s, p50", b.traced, round.name), "ms", "", "", quantile(took, 0.50))
		b.report(fmt.Sprintf("trace of one job among %d, %s, p95", b.traced, round.name), "ms", round.atLeast, round.aim, quantile(took, 0.95))
		b.report(fmt.Sprintf("trace of one job among %d, %s, p99", b.traced, round.name), "ms", "", "", quantile(took, 0.99))
	}
	return nil
}

// fillJobs fills the JobDB that a Director will take up in the folder with n jobs,
// and returns some of them. It logs how far it is.
func (b *bench) fillJobs(ctx context.Context, folder string, n, some int) (sample []centrifuge.ID, err error) {
	owned, err := local.Acquire(folder) // the epochs of Directors follow its own
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := owned.Close(ctx); err == nil {
			err = closed
		}
	}()
	db, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(folder, jobdb.Name(1)+".db"), Epoch: owned.Epoch()})
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := db.Close(); err == nil {
			err = closed
		}
	}()
	const size = 10_000
	var (
		ids   = centrifuge.NewIDs(rand.Reader)
		jobs  [size]centrifuge.Job
		batch jobdb.Batch
		every = max(1, n/some)
	)
	for done := 0; done < n; {
		batch.Reset()
		now := time.Now().UTC().Truncate(time.Millisecond)
		for i := range min(size, n-done) {
			job, err := waitingJob(ids, done, now)
			if err == nil {
				err = failOnce(&batch, &job, uint64(2*done))
			}
			if err != nil {
				return nil, err
			}
			jobs[i] = job
			batch.Jobs = append(batch.Jobs, &jobs[i])
			if done == 0 || random.IntN(every) == 0 {
				sample = append(sample, job.ID)
			}
			done++
		}
		if err := db.Commit(ctx, &batch); err != nil {
			return nil, err
		}
		if done%1_000_000 == 0 {
			b.log.Info("filling the JobDB", "jobs", done, "of", n)
		}
	}
	return sample, nil
}

func waitingJob(ids *centrifuge.IDs, n int, now time.Time) (centrifuge.Job, error) {
	id, err := ids.Next(now)
	return centrifuge.Job{
		ID: id, Source: "source-" + strconv.Itoa(n%1000), Destination: "sink", Endpoint: "http://127.0.0.1:1/", Method: "POST",
		Payload: []byte(`{"n":` + strconv.Itoa(n) + `}`), CreatedAt: now, ExpireAt: now.Add(24 * time.Hour),
	}, err
}

// failOnce has a job's first attempt fail; the second is hours away.
func failOnce(b *jobdb.Batch, j *centrifuge.Job, seq uint64) error {
	failed := centrifuge.Transition{
		JobID: j.ID, Seq: seq + 2, State: centrifuge.StateAwaitingRetry, Attempt: 1, Time: j.CreatedAt, RetryAt: j.CreatedAt.Add(12 * time.Hour),
		StatusCode: 503, Error: "service unavailable", Duration: time.Millisecond,
	}
	life := centrifuge.Life{State: centrifuge.StateAwaitingScheduling}
	for _, t := range [...]centrifuge.Transition{failed.Beginning(), failed} {
		var err error
		if life, err = b.Append(life, t); err != nil {
			return err
		}
	}
	return nil
}
