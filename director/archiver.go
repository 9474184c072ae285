package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// archiver moves jobs whose time ran out, or that an operator flushed, to the
// archive, one object at a time, so that its memory is bounded however many there
// are and however slow the archive is.
//
// Each object's name is logged with the transitions to archiving, in one commit,
// before it is written. So a crash at any point leaves either jobs that are still
// waiting, or jobs in archiving that tell the object they belong to, and writing
// an object again changes nothing. That is how each job is archived once.
type archiver struct {
	t *tenure

	// resume holds the objects that recovery found begun; run owns it after that.
	resume map[string][]centrifuge.ID

	resumed  chan struct{} // closed when these are finished
	stopping chan struct{} // closed when no further object is to be begun

	mu struct {
		sync.Mutex
		handed []leaving // by take, and not collected yet
	}
}

func newArchiver(t *tenure) *archiver {
	return &archiver{t: t, resume: make(map[string][]centrifuge.ID), resumed: make(chan struct{}), stopping: make(chan struct{})}
}

// take is handed a job that no scheduler has: one whose attempts are used up, or
// that was flushed elsewhere.
func (a *archiver) take(id centrifuge.ID, reason centrifuge.ErrorCode) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.handed = append(a.mu.handed, leaving{id, reason})
	poke(a.t.expired)
}

// stop makes run end with the object that it has begun.
func (a *archiver) stop() { close(a.stopping) }

// run archives until ctx ends, or stop is called. What is begun then is resumed by
// recovery.
func (a *archiver) run(ctx context.Context) {
	for _, name := range slices.Sorted(maps.Keys(a.resume)) {
		if closed(a.stopping) {
			return
		}
		if err := a.finish(ctx, name, a.resume[name]); err != nil {
			a.end(ctx, err)
			return
		}
		delete(a.resume, name)
	}
	close(a.resumed)
	var left []leaving
	for !closed(a.stopping) {
		left = a.collect(left)
		if len(left) == 0 {
			select {
			case <-ctx.Done():
				return
			case <-a.stopping:
				return
			case <-a.t.expired:
			}
			continue
		}
		if len(left) < a.t.o.ArchiveJobs && !a.gather(ctx, &left) {
			return
		}
		rest, err := a.object(ctx, left)
		if err != nil {
			a.end(ctx, err)
			return
		}
		left = rest
	}
}

// end fails the tenure unless it is over anyway.
func (a *archiver) end(ctx context.Context, err error) {
	if ctx.Err() == nil {
		a.t.fail(fmt.Errorf("archive: %w", err))
	}
}

// leaving is a job on its way to the archive.
type leaving struct {
	id     centrifuge.ID
	reason centrifuge.ErrorCode
}

// collect adds what has expired since, up to the jobs of one object.
func (a *archiver) collect(left []leaving) []leaving {
	a.mu.Lock()
	n := min(len(a.mu.handed), max(0, a.t.o.ArchiveJobs-len(left)))
	left = append(left, a.mu.handed[:n]...)
	a.mu.handed = a.mu.handed[n:]
	if len(a.mu.handed) == 0 {
		a.mu.handed = nil
	}
	a.mu.Unlock()

	room := a.t.o.ArchiveJobs - len(left)
	if room <= 0 {
		return left
	}
	expired := make([]schedule.Expired, 0, room)
	a.t.mu.Lock()
	expired = a.t.mu.sched.Expired(a.t.o.Now(), expired)
	for i := range expired {
		a.t.mu.cache.take(expired[i].ID)
	}
	a.t.mu.Unlock()
	for i := range expired {
		reason := centrifuge.ErrorExpired
		if expired[i].Flushed {
			reason = centrifuge.ErrorFlushed
		}
		left = append(left, leaving{expired[i].ID, reason})
	}
	return left
}

// gather waits for more jobs to share the object, and reports whether to go on.
func (a *archiver) gather(ctx context.Context, left *[]leaving) bool {
	timer := time.NewTimer(a.t.o.ArchiveEvery)
	defer timer.Stop()
	for len(*left) < a.t.o.ArchiveJobs {
		select {
		case <-ctx.Done():
			return false
		case <-a.stopping:
			return false
		case <-timer.C:
			return true
		case <-a.t.expired:
			*left = a.collect(*left)
		}
	}
	return true
}

// object archives as many of the jobs as fit one object and returns the rest.
func (a *archiver) object(ctx context.Context, left []leaving) (rest []leaving, err error) {
	var (
		now  = a.t.o.Now()
		name = archive.ObjectName(now, a.t.o.Name, left[0].id)
		ids  []centrifuge.ID
		size int64
	)
	for len(left) > 0 && size < a.t.o.ArchiveBytes {
		n := min(len(left), loadBatch)
		weight, err := a.begin(ctx, name, left[:n], now)
		if err != nil {
			return nil, err
		}
		for _, l := range left[:n] {
			ids = append(ids, l.id)
		}
		size += weight
		left = left[n:]
	}
	return left, a.finish(ctx, name, ids)
}

// begin logs that the jobs are archiving and tells how much they weigh. All of an
// object's transitions need not share a commit: jobs that were not begun when a
// crash came are begun again, for another object.
func (a *archiver) begin(ctx context.Context, name string, jobs []leaving, now time.Time) (size int64, err error) {
	ids := make([]centrifuge.ID, len(jobs))
	reasons := make(map[centrifuge.ID]centrifuge.ErrorCode, len(jobs))
	for i, l := range jobs {
		ids[i], reasons[l.id] = l.id, l.reason
	}
	loaded, err := a.t.db.Load(ctx, nil, ids)
	if err != nil {
		return 0, fmt.Errorf("load %d expired jobs: %w", len(ids), err)
	}
	for i := range loaded {
		job := &loaded[i].Job
		size += int64(job.Size())
		err := a.t.log.append(loaded[i].Life, centrifuge.Transition{
			JobID: job.ID, State: centrifuge.StateArchiving, Attempt: loaded[i].Life.Attempt,
			ErrorCode: reasons[job.ID], Error: name, Time: now,
		}, effect{job: withoutPayload(job)})
		if err != nil {
			return 0, fmt.Errorf("begin to archive job %s: %w", job.ID, err)
		}
	}
	return size, nil
}

// While the archive refuses, it is tried again after waits that double up to this.
const archiveBackoff = time.Minute

// finish writes the object of jobs that are archiving and logs that they are
// archived. It goes on trying for as long as the archive refuses.
func (a *archiver) finish(ctx context.Context, name string, ids []centrifuge.ID) error {
	if err := a.t.log.sync(ctx); err != nil {
		return fmt.Errorf("wait until jobs of %s are archiving: %w", name, err)
	}
	records := make([]archive.Record, 0, len(ids))
	for batch := range slices.Chunk(ids, loadBatch) {
		traces, err := a.t.db.Traces(ctx, batch)
		if err != nil {
			return fmt.Errorf("read what goes into %s: %w", name, err)
		}
		if len(traces) != len(batch) {
			return fmt.Errorf("read what goes into %s: %d of %d jobs are there: %w", name, len(traces), len(batch), jobdb.ErrCorrupt)
		}
		for i := range traces {
			records = append(records, newRecord(traces[i].Job, traces[i].Transitions))
		}
	}
	for wait := time.Second; ; wait = min(2*wait, archiveBackoff) {
		err := a.t.o.Archive.Write(ctx, name, records)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		a.t.metrics.archiveFailures.Inc()
		a.t.o.Logger.Warn("the archive refused an object; its jobs stay archiving", "object", name, "error", err, "retry_in", wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	now := a.t.o.Now()
	for i := range records {
		r := &records[i]
		err := a.t.log.append(centrifuge.Life{State: centrifuge.StateArchiving, Attempt: r.Attempts}, centrifuge.Transition{
			JobID: r.Job.ID, State: centrifuge.StateArchived, Attempt: r.Attempts, ErrorCode: r.Reason, Error: name, Time: now,
		}, effect{job: withoutPayload(&r.Job)})
		if err != nil {
			return fmt.Errorf("log that job %s is archived: %w", r.Job.ID, err)
		}
	}
	return a.t.log.sync(ctx)
}

// newRecord is the job as it goes to the archive; the last transition is that to
// archiving.
func newRecord(job centrifuge.Job, transitions []centrifuge.Transition) archive.Record {
	last := transitions[len(transitions)-1]
	r := archive.Record{
		Job: job, Attempts: last.Attempt, Reason: last.ErrorCode, ArchivedAt: last.Time, Transitions: transitions,
	}
	for _, t := range transitions {
		if t.State == centrifuge.StateAwaitingRetry {
			r.StatusCode, r.ErrorCode, r.Error, r.LastAttemptAt = t.StatusCode, t.ErrorCode, t.Error, t.Time
		}
	}
	return r
}

// withoutPayload keeps what an effect needs of a job, so that a group in waiting
// holds no payloads.
func withoutPayload(job *centrifuge.Job) *centrifuge.Job {
	return &centrifuge.Job{
		ID: job.ID, Source: job.Source, Destination: job.Destination,
		CreatedAt: job.CreatedAt, ExpireAt: job.ExpireAt,
	}
}
