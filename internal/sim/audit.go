package sim

import (
	"context"
	"errors"
	"slices"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/jobdb"
)

// pending is how many jobs are not at their end.
func (w *witness) pending() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, j := range w.mu.jobs {
		if !j.life.State.Terminal() {
			n++
		}
	}
	return n
}

func (w *witness) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.mu.broken) > 0
}

// complain says why there is no rest, and names the jobs that never came to their end.
func (w *witness) complain(ready error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breaksLocked("it is not at rest: %v", ready)
	for id, j := range w.mu.jobs {
		if !j.life.State.Terminal() {
			w.breaksLocked("job %s, which expired at %s, is still %s at %s", id, j.job.ExpireAt, j.life.State, w.run.clock.now())
		}
	}
}

// someJobs are the durable jobs, and an id that names none.
func (w *witness) someJobs() []centrifuge.ID {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := []centrifuge.ID{{0xff}}
	for id := range w.mu.jobs {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, centrifuge.ID.Compare)
	return ids
}

// compareTrace compares what the Director tells of a job to what was seen.
func (w *witness) compareTrace(p *process, id centrifuge.ID) {
	w.mu.Lock()
	before := w.mu.jobs[id]
	w.mu.Unlock()
	trace, err := p.director.Get(context.Background(), id)
	switch {
	case p.dead.Load(), errors.Is(err, director.ErrUnavailable):
	case errors.Is(err, director.ErrNotFound):
		if before != nil {
			w.breaks("job %s is durable and not found", id)
		}
	case err == nil:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.compareLocked(id, &trace, false)
	}
}

// compareLocked compares a trace to what was seen, of which it may be the
// beginning, and must be the whole at rest.
func (w *witness) compareLocked(id centrifuge.ID, trace *jobdb.Trace, whole bool) {
	j := w.mu.jobs[id]
	if j == nil {
		w.breaksLocked("job %s was never durable, and has a trace", id)
		return
	}
	if string(trace.Job.Payload) != string(j.job.Payload) || trace.Job.Queue() != j.job.Queue() || !trace.Job.ExpireAt.Equal(j.job.ExpireAt) {
		w.breaksLocked("job %s is other than it was accepted", id)
	}
	got := trace.Transitions
	if len(got) == 0 || got[0].State != centrifuge.StateAwaitingScheduling {
		w.breaksLocked("job %s: its trace does not begin with awaiting_scheduling", id)
		return
	}
	got = got[1:]
	if len(got) > len(j.log) || whole && len(got) != len(j.log) {
		w.breaksLocked("job %s: its trace has %d transitions, and %d became durable", id, len(got), len(j.log))
		return
	}
	for i := range got {
		a, b := &got[i], &j.log[i]
		if a.State != b.State || a.Attempt != b.Attempt || a.Seq != b.Seq || a.ErrorCode != b.ErrorCode || a.StatusCode != b.StatusCode {
			w.breaksLocked("job %s: transition %d is %+v and became durable as %+v", id, i, *a, *b)
		}
	}
}

// audit compares what the JobDB and the archive hold after the last shutdown to
// what was seen, and counts duplicates.
func (r *run) audit() {
	w := r.witness
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.mu.broken) > 0 {
		return
	}
	db, err := w.store.open(uint64(w.mu.tenure) + 1)
	if err != nil {
		w.breaksLocked("open the JobDB once more: %v", err)
		return
	}
	rows := 0
	for row, err := range db.Scan(context.Background()) {
		if err != nil {
			w.breaksLocked("scan the JobDB once more: %v", err)
			break
		}
		rows++
		trace, err := db.Trace(context.Background(), row.ID)
		if err != nil {
			w.breaksLocked("trace job %s once more: %v", row.ID, err)
			continue
		}
		w.compareLocked(row.ID, &trace, true)
	}
	if rows != len(w.mu.jobs) {
		w.breaksLocked("the JobDB holds %d jobs, and %d became durable", rows, len(w.mu.jobs))
	}
	if err := db.Close(); err != nil {
		w.breaksLocked("close the JobDB: %v", err)
	}
	w.auditArchiveLocked(r)
	for id, j := range w.mu.jobs {
		if j.answered > 1+j.excuses {
			w.breaksLocked("job %s was answered 2xx %d times, and only %d attempts were in doubt", id, j.answered, j.excuses)
		}
		if slices.Contains(r.lasts, id) && j.life.State != centrifuge.StateSucceeded {
			w.breaksLocked("job %s is %s, and all was well", id, j.life.State)
		}
		since := r.well // and the job was there; one that is replayed then may have little time
		if j.job.CreatedAt.After(since) {
			since = j.job.CreatedAt
		}
		if j.reason() == centrifuge.ErrorExpired && j.job.ExpireAt.Sub(since) > patience {
			w.breaksLocked("job %s expired at %s, and all was well from %s on", id, j.job.ExpireAt, since)
		}
	}
}

// auditArchiveLocked finds each archived job in the archive once, and no other.
func (w *witness) auditArchiveLocked(r *run) {
	ctx, a := context.Background(), archive.New(r.bucket)
	found := make(map[centrifuge.ID]int)
	page, err := a.List(ctx, archive.Filter{}, "", 1_000_000)
	if err != nil || len(page.Damaged) > 0 {
		w.breaksLocked("list the archive: %v, damaged %v", err, page.Damaged)
	}
	for record, err := range a.Read(ctx, page.Entries) {
		if err != nil {
			w.breaksLocked("read the archive: %v", err)
			continue
		}
		found[record.Job.ID]++
		trace := jobdb.Trace{Job: record.Job, Transitions: record.Transitions}
		w.compareLocked(record.Job.ID, &trace, false)
	}
	if len(found) > 0 && len(page.Entries) != len(found) {
		w.breaksLocked("the archive lists %d jobs, and %d are different", len(page.Entries), len(found))
	}
	for id, j := range w.mu.jobs {
		want := 0
		if j.life.State == centrifuge.StateArchived {
			want = 1
		}
		if found[id] != want {
			w.breaksLocked("job %s, %s, is in the archive %d times", id, j.life.State, found[id])
		}
	}
	for _, e := range page.Entries {
		if replay := w.mu.replays[e.JobID]; !e.ReplayedAs.IsZero() && replay != e.ReplayedAs {
			w.breaksLocked("job %s is marked as replayed as %s and was as %s", e.JobID, e.ReplayedAs, replay)
		}
	}
}

// report sums the run up.
func (r *run) report() Report {
	w := r.witness
	w.mu.Lock()
	defer w.mu.Unlock()
	report := Report{
		Plan: r.plan.String(), Violations: w.mu.broken, Tail: r.log.tail(),
		Jobs: len(w.mu.jobs), Processes: r.processes, Tenures: w.mu.tenure,
	}
	for _, j := range w.mu.jobs {
		report.Attempts += len(j.tries)
		report.Duplicates += max(0, j.answered-1)
		report.Excuses += j.excuses
		if j.life.State == centrifuge.StateArchived {
			report.Archived++
		}
	}
	return report
}
