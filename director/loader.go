package director

import (
	"context"
	"fmt"

	"centrifuge"
)

// loadBatch is how many jobs one read fetches at most; with payloads of 1 MiB it
// bounds what a read brings into memory.
const loadBatch = 64

// load reads back the jobs whose turn has come and whose payloads were not kept
// in memory, many at a time, and hands them to the workers.
func (t *tenure) load(ctx context.Context) {
	var batch []missing
	var ids []centrifuge.ID
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.missed:
		}
		for {
			batch, ids = t.takeMissing(batch[:0], ids[:0])
			if len(batch) == 0 {
				break
			}
			if err := t.readBack(ctx, batch, ids); err != nil {
				if ctx.Err() == nil {
					t.fail(err)
				}
				return
			}
		}
	}
}

func (t *tenure) takeMissing(batch []missing, ids []centrifuge.ID) ([]missing, []centrifuge.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.mu.missing), loadBatch)
	batch = append(batch, t.mu.missing[:n]...)
	t.mu.missing = append(t.mu.missing[:0], t.mu.missing[n:]...)
	for _, m := range batch {
		ids = append(ids, m.id)
	}
	return batch, ids
}

func (t *tenure) readBack(ctx context.Context, batch []missing, ids []centrifuge.ID) error {
	found, err := t.db.Load(ctx, nil, ids)
	if err != nil {
		return fmt.Errorf("read back %d jobs: %w", len(ids), err)
	}
	jobs := make(map[centrifuge.ID]cached, len(found))
	for i := range found {
		jobs[found[i].Job.ID] = cached{&found[i].Job, found[i].Life}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range batch {
		job, ok := jobs[m.id]
		if !ok {
			return fmt.Errorf("read back job %s: the JobDB does not hold it", m.id)
		}
		t.mu.loaded = append(t.mu.loaded, attempt{m.ticket, job})
	}
	t.metrics.readBack.Add(float64(len(batch)))
	t.wakeLocked()
	return nil
}
