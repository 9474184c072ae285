package sqlite

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// load makes the batches that a Director would commit: jobs with ids in
// sequence, and for jobs of earlier batches the two transitions of an attempt.
type load struct {
	ids     *centrifuge.IDs
	payload []byte
	waiting []centrifuge.ID
	seq     uint64
}

func newLoad(payload []byte) *load {
	return &load{ids: centrifuge.NewIDs(rand.Reader), payload: payload}
}

// fill puts n new jobs and the attempts of n others into b.
func (l *load) fill(tb testing.TB, b *jobdb.Batch, n int, transitions bool) {
	tb.Helper()
	if err := l.batch(b, n, transitions); err != nil {
		tb.Fatal(err)
	}
}

func (l *load) batch(b *jobdb.Batch, n int, transitions bool) error {
	b.Reset()
	now := time.Now().Truncate(time.Millisecond).UTC()
	for range n {
		j, err := l.job(now)
		if err != nil {
			return err
		}
		b.Jobs = append(b.Jobs, j)
		if transitions {
			l.waiting = append(l.waiting, j.ID)
		}
	}
	if len(l.waiting) < 4*n {
		return nil
	}
	for _, id := range l.waiting[:n] {
		if err := l.attempt(b, id, now); err != nil {
			return err
		}
	}
	l.waiting = append(l.waiting[:0], l.waiting[n:]...)
	return nil
}

func (l *load) job(now time.Time) (*centrifuge.Job, error) {
	id, err := l.ids.Next(now)
	l.seq++
	return &centrifuge.Job{
		ID: id, Source: fmt.Sprintf("source-%d", l.seq%1000), Destination: fmt.Sprintf("destination-%d", l.seq%100),
		Endpoint: "http://127.0.0.1:8080/v1/webhooks/incoming", Method: "POST",
		Headers:   []centrifuge.Header{{Name: "Content-Type", Value: "application/json"}},
		Payload:   l.payload,
		CreatedAt: now, ExpireAt: now.Add(centrifuge.DefaultTTL),
	}, err
}

func (l *load) attempt(b *jobdb.Batch, id centrifuge.ID, now time.Time) error {
	life := centrifuge.Life{State: centrifuge.StateAwaitingScheduling}
	for _, t := range [...]centrifuge.Transition{
		{JobID: id, Seq: l.seq, State: centrifuge.StateExecuting, Attempt: 1, Time: now},
		{JobID: id, Seq: l.seq + 1, State: centrifuge.StateSucceeded, Attempt: 1, Time: now, StatusCode: 200, Duration: 12 * time.Millisecond},
	} {
		var err error
		if life, err = b.Append(life, t); err != nil {
			return err
		}
	}
	l.seq += 2
	return nil
}

// cpu is the processor time that the process has used.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchmarkCommit(b *testing.B, tune tuning, payload, batch int, transitions bool) {
	db, err := open(b.Context(), Options{Path: filepath.Join(b.TempDir(), "jobs.db"), Epoch: 1}, tune)
	if err != nil {
		b.Fatal(err)
	}
	l := newLoad(make([]byte, payload))
	_, _ = rand.Read(l.payload)
	var jb jobdb.Batch
	jobs := 0
	var used time.Duration
	b.ResetTimer()
	for jobs < b.N {
		b.StopTimer()
		l.fill(b, &jb, batch, transitions)
		b.StartTimer()
		before := cpu(b)
		if err := db.Commit(context.Background(), &jb); err != nil {
			b.Fatal(err)
		}
		used += cpu(b) - before
		jobs += batch
	}
	b.StopTimer()
	b.ReportMetric(float64(used.Microseconds())/float64(jobs), "cpu-µs/job")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, payload := range []int{1 << 10, 5 << 10} {
		for _, batch := range []int{10, 64, 200} {
			for _, tr := range []bool{false, true} {
				b.Run(fmt.Sprintf("payload=%d/batch=%d/transitions=%v", payload, batch, tr), func(b *testing.B) {
					benchmarkCommit(b, defaults(), payload, batch, tr)
				})
			}
		}
	}
}
