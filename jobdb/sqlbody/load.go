package sqlbody

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"

	"centrifuge"
	"centrifuge/jobdb"
)

// Load implements [jobdb.DB].
func (b *Body) Load(ctx context.Context, dst []jobdb.Loaded, ids []centrifuge.ID) ([]jobdb.Loaded, error) {
	if len(ids) == 0 {
		return dst, nil
	}
	start := len(dst)
	err := b.snapshot(ctx, func(tx *sql.Tx) error {
		var err error
		if dst, err = b.load(ctx, tx, dst, ids); err != nil {
			return err
		}
		return b.loadLives(ctx, tx, dst[start:])
	})
	if err != nil {
		return dst[:start], fmt.Errorf("load %d jobs: %w", len(ids), err)
	}
	return dst, nil
}

// load appends the jobs, each once and with the life of one just accepted.
func (b *Body) load(ctx context.Context, tx *sql.Tx, dst []jobdb.Loaded, ids []centrifuge.ID) ([]jobdb.Loaded, error) {
	var wanted []int64                               // payload ids
	owner := make(map[int64]int, len(ids))           // index in dst by payload id
	loaded := make(map[centrifuge.ID]bool, len(ids)) // by job id
	err := b.reads.jobs.each(ctx, tx, len(ids), func(i int) any { return ids[i][:] }, func(rows *sql.Rows) error {
		var job centrifuge.Job
		payload, err := scanJob(rows, &job)
		if err != nil {
			return err
		}
		if loaded[job.ID] {
			return nil // the caller asked for it twice
		}
		loaded[job.ID] = true
		if payload != 0 {
			wanted = append(wanted, payload)
			owner[payload] = len(dst)
		}
		dst = append(dst, jobdb.Loaded{Job: job, Life: centrifuge.Life{State: centrifuge.StateAwaitingScheduling}})
		return nil
	})
	if err != nil {
		return dst, err
	}
	found := 0
	err = b.reads.payloads.each(ctx, tx, len(wanted), func(i int) any { return wanted[i] }, func(rows *sql.Rows) error {
		var id int64
		var payload sql.RawBytes
		if err := rows.Scan(&id, &payload); err != nil {
			return err
		}
		found++
		dst[owner[id]].Job.Payload = bytes.Clone(payload)
		return nil
	})
	if err == nil && found != len(wanted) {
		err = fmt.Errorf("%d of %d payloads are missing: %w", len(wanted)-found, len(wanted), jobdb.ErrCorrupt)
	}
	return dst, err
}

// loadLives fills in the lives of the jobs that have transitions.
func (b *Body) loadLives(ctx context.Context, tx *sql.Tx, loaded []jobdb.Loaded) error {
	at := make(map[centrifuge.ID]int, len(loaded))
	for i := range loaded {
		at[loaded[i].Job.ID] = i
	}
	return b.reads.lives.each(ctx, tx, len(loaded), func(i int) any { return loaded[i].Job.ID[:] }, func(rows *sql.Rows) error {
		var raw sql.RawBytes
		var state, attempt int64
		if err := rows.Scan(&raw, &state, &attempt); err != nil {
			return err
		}
		id, err := parseID(raw)
		if err != nil {
			return err
		}
		s, err := parseState(id, state)
		loaded[at[id]].Life = centrifuge.Life{State: s, Attempt: uint32(attempt)}
		return err
	})
}

// scanJob reads [jobColumns] and returns the id of the payload, 0 for none.
func scanJob(rows *sql.Rows, j *centrifuge.Job) (payload int64, err error) {
	var id, headers, settings, replayOf sql.RawBytes
	var created, expire int64
	if err := rows.Scan(&id, &j.Source, &j.Destination, &created, &expire,
		&j.Endpoint, &j.Method, &headers, &settings, &replayOf, &payload); err != nil {
		return 0, err
	}
	if j.ID, err = parseID(id); err != nil {
		return 0, err
	}
	j.CreatedAt, j.ExpireAt = fromMilli(created), fromMilli(expire)
	if j.Headers, err = parseHeaders(headers); err != nil {
		return 0, fmt.Errorf("job %s: %w", j.ID, err)
	}
	if j.Settings, err = parseSettings(settings); err != nil {
		return 0, fmt.Errorf("job %s: %w", j.ID, err)
	}
	if len(replayOf) > 0 {
		j.ReplayOf, err = parseID(replayOf)
	}
	return payload, err
}

func parseState(id centrifuge.ID, n int64) (centrifuge.State, error) {
	s := centrifuge.State(n)
	if int64(s) != n || !s.Valid() {
		return 0, fmt.Errorf("job %s: state %d: %w", id, n, jobdb.ErrCorrupt)
	}
	return s, nil
}
