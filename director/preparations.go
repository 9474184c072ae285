package director

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"encoding/gob"
	"fmt"
	"sync"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// preparations are the transactions that are prepared in a tenure's JobDB, without
// their jobs: as many bytes of these as the Director keeps for others to decide on.
type preparations struct {
	max    int64
	sooner chan struct{} // capacity 1: a deadline is before those that were known

	mu struct {
		sync.Mutex
		open      map[string]jobdb.Prepared
		bytes     int64     // of those open, and of those under way
		deadlines deadlines // of those open, and of some that have ended
	}
}

func newPreparations(maxBytes int64) *preparations {
	p := &preparations{max: maxBytes, sooner: make(chan struct{}, 1)}
	p.mu.open = make(map[string]jobdb.Prepared)
	return p
}

// admit makes room for one more until leave is called, by which time it is open or
// has failed.
func (p *preparations) admit(size int64) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.bytes+size > p.max {
		return nil, &ExhaustedError{"too many jobs are prepared and neither committed nor aborted", time.Second}
	}
	p.mu.bytes += size
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mu.bytes -= size
	}, nil
}

func (p *preparations) add(prepared ...jobdb.Prepared) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range prepared {
		p.addLocked(one)
	}
}

func (p *preparations) addLocked(one jobdb.Prepared) {
	p.mu.open[one.ID] = one
	p.mu.bytes += one.Size
	heap.Push(&p.mu.deadlines, deadline{one.Deadline, one.ID})
	if p.mu.deadlines[0].id == one.ID {
		poke(p.sooner)
	}
}

// apply takes down what a commit has made of transactions.
func (p *preparations) apply(transactions []jobdb.Transaction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range transactions {
		t := &transactions[i]
		if t.State == jobdb.TransactionPrepared {
			p.addLocked(jobdb.Prepared{ID: t.ID, Deadline: t.Deadline, Size: int64(len(t.Drafts))})
		} else if one, ok := p.mu.open[t.ID]; ok {
			delete(p.mu.open, t.ID)
			p.mu.bytes -= one.Size
		}
	}
}

// size is how many bytes the jobs of a transaction have, 0 if it is not prepared.
func (p *preparations) size(id string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.open[id].Size
}

// total is how many are open, and the bytes of their jobs.
func (p *preparations) total() (n int, size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.open), p.mu.bytes
}

// overdue takes out up to so many whose deadline is over. If there is none it tells
// the next deadline, or the zero time.
func (p *preparations) overdue(now time.Time, most int) (ids []string, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.mu.deadlines) > 0 && len(ids) < most {
		first := p.mu.deadlines[0]
		one, open := p.mu.open[first.id]
		if open && first.at.After(now) {
			next = first.at
			break
		}
		heap.Pop(&p.mu.deadlines)
		if open && !one.Deadline.After(now) {
			ids = append(ids, first.id)
		}
	}
	return ids, next
}

// postpone has one that could not be aborted looked at again.
func (p *preparations) postpone(id string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	heap.Push(&p.mu.deadlines, deadline{at, id})
	poke(p.sooner)
}

// abortOverdue aborts what is not committed in time, until ctx ends.
func (t *tenure) abortOverdue(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		const most = 64
		now := t.o.Now()
		ids, next := t.prepared.overdue(now, most)
		if len(ids) > 0 {
			t.abortAll(ctx, ids)
			continue
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = next.Sub(now)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-t.prepared.sooner:
		}
	}
}

// abortAll aborts the transactions, all at once so that they share a commit.
func (t *tenure) abortAll(ctx context.Context, ids []string) {
	errs := make([]error, len(ids))
	var aborts sync.WaitGroup
	for i, id := range ids {
		aborts.Go(func() {
			var ended bool
			if _, ended, errs[i] = t.endTransaction(ctx, id, jobdb.TransactionAborted); ended {
				t.metrics.transactions.WithLabelValues("expired").Inc()
			}
		})
	}
	aborts.Wait()
	aborted := 0
	var failed error
	for i, err := range errs {
		if err == nil {
			aborted++
		} else if t.prepared.size(ids[i]) > 0 { // it was not committed a moment ago
			failed = cmp.Or(failed, err)
			t.prepared.postpone(ids[i], t.o.Now().Add(time.Second))
		}
	}
	if aborted > 0 {
		t.o.Logger.Warn("prepared transactions were not committed in time and are aborted", "jobdb", t.name, "aborted", aborted, "first", ids[0])
	}
	if failed != nil && ctx.Err() == nil {
		t.o.Logger.Warn("prepared transactions could not be aborted in time; it will be tried again", "jobdb", t.name, "error", failed)
	}
}

// recoverPrepared finds the transactions that are prepared still.
func (t *tenure) recoverPrepared(ctx context.Context) error {
	prepared, err := t.db.Prepared(ctx)
	if err != nil {
		return err
	}
	t.prepared.add(prepared...)
	return nil
}

// deadlines is a heap with the first deadline on top.
type deadlines []deadline

type deadline struct {
	at time.Time
	id string
}

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }

// Push implements [heap.Interface].
func (d *deadlines) Push(x any) { *d = append(*d, x.(deadline)) }

// Pop implements [heap.Interface].
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	(*d)[last] = deadline{}
	*d = (*d)[:last]
	return x
}

// Drafts are jobs in gob, which tells its own schema: fields can be added to a job
// without making those unreadable that were stored before.

func encodeDrafts(jobs []*centrifuge.Job) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(jobs)
	return b.Bytes(), err
}

func decodeDrafts(b []byte) (jobs []*centrifuge.Job, err error) {
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&jobs); err != nil {
		return nil, fmt.Errorf("%w: %w", jobdb.ErrCorrupt, err)
	}
	return jobs, nil
}
