package sqlbody

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// Trace implements [jobdb.DB].
func (b *Body) Trace(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	traces, err := b.traces(ctx, []centrifuge.ID{id})
	if err == nil && len(traces) == 0 {
		err = jobdb.ErrNotFound
	}
	if err != nil {
		return jobdb.Trace{}, fmt.Errorf("trace job %s: %w", id, err)
	}
	return traces[0], nil
}

// Traces implements [jobdb.DB].
func (b *Body) Traces(ctx context.Context, ids []centrifuge.ID) ([]jobdb.Trace, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	traces, err := b.traces(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("trace %d jobs: %w", len(ids), err)
	}
	return traces, nil
}

func (b *Body) traces(ctx context.Context, ids []centrifuge.ID) (traces []jobdb.Trace, err error) {
	err = b.snapshot(ctx, func(tx *sql.Tx) error {
		loaded, err := b.load(ctx, tx, nil, ids)
		if err != nil {
			return err
		}
		traces = make([]jobdb.Trace, len(loaded))
		at := make(map[centrifuge.ID]int, len(loaded))
		for i := range loaded {
			traces[i].Job = loaded[i].Job
			at[loaded[i].Job.ID] = i
		}
		return b.reads.histories.each(ctx, tx, len(traces), func(i int) any { return traces[i].Job.ID[:] }, func(rows *sql.Rows) error {
			var t centrifuge.Transition
			if err := scanTransition(rows, &t); err != nil {
				return err
			}
			trace := &traces[at[t.JobID]]
			trace.Transitions = withImplied(trace.Transitions, &trace.Job, &t)
			return nil
		})
	})
	for i := range traces {
		if t := &traces[i]; len(t.Transitions) == 0 {
			t.Transitions = []centrifuge.Transition{accepted(t.Job.ID, t.Job.CreatedAt)}
		}
	}
	return traces, err
}

// withImplied appends a transition to those before it, and first the ones that have
// no row: the job's acceptance, and the beginning of an attempt that was logged with
// its outcome (see implied).
func withImplied(trace []centrifuge.Transition, job *centrifuge.Job, t *centrifuge.Transition) []centrifuge.Transition {
	if len(trace) == 0 && t.State != centrifuge.StateAwaitingScheduling {
		trace = append(trace, accepted(job.ID, job.CreatedAt))
	}
	if centrifuge.StateExecuting.CanBecome(t.State) && trace[len(trace)-1].State != centrifuge.StateExecuting {
		trace = append(trace, t.Beginning())
	}
	return append(trace, *t)
}

// accepted is the transition that the row of a job stands for. A job that brings
// attempts from another JobDB has it as a row of its own.
func accepted(id centrifuge.ID, at time.Time) centrifuge.Transition {
	return centrifuge.Transition{JobID: id, State: centrifuge.StateAwaitingScheduling, Time: at}
}

// scanTransition reads [TransitionColumns] or traceColumns.
func scanTransition(rows *sql.Rows, t *centrifuge.Transition) error {
	var id sql.RawBytes
	var seq, state, attempt, at, retryAt, status, duration int64
	var code, message sql.RawBytes
	err := rows.Scan(&id, &seq, &state, &attempt, &at, &retryAt, &status, &duration, &code, &message)
	if err != nil {
		return err
	}
	if t.JobID, err = parseID(id); err != nil {
		return err
	}
	t.Seq, t.Attempt = uint64(seq), uint32(attempt)
	t.Time, t.RetryAt = fromMilli(at), fromOptionalMilli(retryAt)
	t.StatusCode, t.Duration, t.ErrorCode = int(status), time.Duration(duration), centrifuge.ErrorCode(code)
	t.Error = string(message)
	t.State, err = parseState(t.JobID, state)
	return err
}

// Policies implements [jobdb.DB].
func (b *Body) Policies(ctx context.Context) ([]jobdb.Policy, error) {
	var policies []jobdb.Policy
	at := map[centrifuge.QueueKey]int{}
	err := b.snapshot(ctx, func(tx *sql.Tx) error {
		return eachRow(ctx, tx.StmtContext(ctx, b.reads.policies), func(rows *sql.Rows) error {
			var p jobdb.Policy
			var policy sql.RawBytes
			var logged int64
			if err := rows.Scan(&p.Scope.Source, &p.Scope.Destination, &policy, &logged); err != nil {
				return err
			}
			if err := json.Unmarshal(policy, &p.Policy); err != nil {
				return fmt.Errorf("policy of %q: %w: %w", p.Scope, jobdb.ErrCorrupt, err)
			}
			p.Time = fromMilli(logged)
			i, ok := at[p.Scope]
			if !ok {
				at[p.Scope] = len(policies)
				policies = append(policies, p)
			} else {
				policies[i] = p
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	return policies, nil
}
