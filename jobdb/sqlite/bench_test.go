package sqlite

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"path/filepath"
	"slices"
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

// fill puts n new jobs into b, and for n others the first transitions of an attempt.
func (l *load) fill(tb testing.TB, b *jobdb.Batch, n int, transitions int) {
	tb.Helper()
	if err := l.batch(b, n, transitions); err != nil {
		tb.Fatal(err)
	}
}

func (l *load) batch(b *jobdb.Batch, n int, transitions int) error {
	b.Reset()
	now := time.Now().Truncate(time.Millisecond).UTC()
	for range n {
		j, err := l.job(now)
		if err != nil {
			return err
		}
		b.Jobs = append(b.Jobs, j)
		if transitions > 0 {
			l.waiting = append(l.waiting, j.ID)
		}
	}
	if len(l.waiting) < 4*n {
		return nil
	}
	for _, id := range l.waiting[:n] {
		if err := l.attempt(b, id, now, transitions); err != nil {
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

func (l *load) attempt(b *jobdb.Batch, id centrifuge.ID, now time.Time, transitions int) error {
	life := centrifuge.Life{State: centrifuge.StateAwaitingScheduling}
	outcome := centrifuge.Transition{
		JobID: id, Seq: l.seq + 1, State: centrifuge.StateSucceeded, Attempt: 1, Time: now, StatusCode: 200, Duration: 12 * time.Millisecond,
	}
	for _, t := range []centrifuge.Transition{outcome.Beginning(), outcome}[:transitions] {
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

// BenchmarkCommit commits jobs, and for as many others the first transitions of
// an attempt (none, its beginning, or its beginning and end, which make one row). The jobs attempted
// are those of a few batches before, as in quiet times.
func BenchmarkCommit(b *testing.B) {
	for _, payload := range []int{1 << 10, 5 << 10} {
		for _, batch := range []int{10, 64, 200} {
			for transitions := range 3 {
				b.Run(fmt.Sprintf("payload=%d/batch=%d/transitions=%d", payload, batch, transitions), func(b *testing.B) {
					benchmarkCommit(b, defaults(), payload, batch, transitions)
				})
			}
		}
	}
}

// BenchmarkPageSize does the same with files of other page sizes.
func BenchmarkPageSize(b *testing.B) {
	for _, size := range []int{4 << 10, 8 << 10, 16 << 10, 32 << 10} {
		tune := defaults()
		tune.pageSize = size
		for _, payload := range []int{1 << 10, 5 << 10} {
			b.Run(fmt.Sprintf("page=%d/payload=%d", size, payload), func(b *testing.B) {
				benchmarkCommit(b, tune, payload, 64, 2)
			})
		}
		b.Run(fmt.Sprintf("page=%d/scattered", size), func(b *testing.B) { benchmarkScattered(b, tune) })
	}
}

// BenchmarkCheckpoint compares checkpoints beside the commits with SQLite's own,
// which are made by the commit that finds the log long.
func BenchmarkCheckpoint(b *testing.B) {
	for _, size := range []int{4 << 20, 16 << 20, 64 << 20} {
		beside, within := defaults(), defaults()
		beside.checkpointSize = size
		within.checkpointSize, within.autocheckpoint = 1<<40, size/within.pageSize
		b.Run(fmt.Sprintf("beside/log=%d", size), func(b *testing.B) { benchmarkCommit(b, beside, 1<<10, 64, 2) })
		b.Run(fmt.Sprintf("within/log=%d", size), func(b *testing.B) { benchmarkCommit(b, within, 1<<10, 64, 2) })
	}
}

func benchmarkCommit(b *testing.B, tune tuning, payload, batch int, transitions int) {
	m := newMeter(b, tune)
	l := newLoad(make([]byte, payload))
	_, _ = rand.Read(l.payload)
	var jb jobdb.Batch
	jobs := 0
	for jobs < b.N {
		l.fill(b, &jb, batch, transitions)
		m.commit(&jb)
		jobs += batch
	}
	m.report(jobs, "job")
}

// BenchmarkTransitions commits nothing but attempts: of jobs just accepted, and
// of jobs anywhere in a backlog of 200,000, each of whose transitions lies in a
// page of its own.
func BenchmarkTransitions(b *testing.B) {
	b.Run("edge", func(b *testing.B) {
		m := newMeter(b, defaults())
		l := newLoad(nil)
		var jb jobdb.Batch
		n := 0
		for n < b.N {
			jb.Reset()
			for range 64 {
				j, err := l.job(time.UnixMilli(1))
				if err != nil {
					b.Fatal(err)
				}
				if err := l.attempt(&jb, j.ID, time.UnixMilli(1), 2); err != nil {
					b.Fatal(err)
				}
			}
			m.commit(&jb)
			n += 128
		}
		m.report(n, "transition")
	})
	b.Run("scattered", func(b *testing.B) { benchmarkScattered(b, defaults()) })
}

func benchmarkScattered(b *testing.B, tune tuning) {
	m := newMeter(b, tune)
	l := newLoad(nil)
	var jb jobdb.Batch
	var ids []centrifuge.ID
	for range 200 {
		l.fill(b, &jb, 1000, 0)
		for _, j := range jb.Jobs {
			ids = append(ids, j.ID)
			if err := l.attempt(&jb, j.ID, j.CreatedAt, 2); err != nil {
				b.Fatal(err)
			}
		}
		if err := m.db.Commit(b.Context(), &jb); err != nil {
			b.Fatal(err)
		}
	}
	random := mathrand.New(mathrand.NewPCG(1, 1)) //nolint:gosec // a benchmark's order
	n := 0
	for n < b.N {
		jb.Reset()
		for range 64 {
			if err := l.attempt(&jb, ids[random.IntN(len(ids))], time.UnixMilli(1), 2); err != nil {
				b.Fatal(err)
			}
		}
		m.commit(&jb)
		n += 128
	}
	m.report(n, "transition")
}

// BenchmarkLoad reads jobs of a backlog of 100,000 back, 64 at a time.
func BenchmarkLoad(b *testing.B) {
	for _, payload := range []int{1 << 10, 5 << 10} {
		b.Run(fmt.Sprintf("payload=%d", payload), func(b *testing.B) {
			db, err := Open(b.Context(), Options{Path: filepath.Join(b.TempDir(), "jobs.db"), Epoch: 1})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			l := newLoad(make([]byte, payload))
			_, _ = rand.Read(l.payload)
			fillWaiting(b, db, l, 100_000)
			var ids []centrifuge.ID
			for row, err := range db.Scan(b.Context()) {
				if err != nil {
					b.Fatal(err)
				}
				ids = append(ids, row.ID)
			}
			random := mathrand.New(mathrand.NewPCG(1, 1)) //nolint:gosec // a benchmark's order
			random.Shuffle(len(ids), func(i, k int) { ids[i], ids[k] = ids[k], ids[i] })
			before, began, n := cpu(b), time.Now(), 0
			for n < b.N {
				at := n % (len(ids) - 64)
				loaded, err := db.Load(b.Context(), nil, ids[at:at+64])
				if err != nil || len(loaded) != 64 {
					b.Fatal(len(loaded), err)
				}
				n += 64
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(n), "cpu-µs/job")
			b.ReportMetric(float64(time.Since(began).Microseconds())/float64(n), "µs/job")
		})
	}
}

// meter times commits and nothing else.
type meter struct {
	b     *testing.B
	db    *DB
	cpu   time.Duration
	waits []time.Duration
}

func newMeter(b *testing.B, tune tuning) *meter {
	b.Helper()
	db, err := open(b.Context(), Options{Path: filepath.Join(b.TempDir(), "jobs.db"), Epoch: 1}, tune)
	if err != nil {
		b.Fatal(err)
	}
	if h, err := inspect(db.path); err != nil || h.pageSize != tune.pageSize {
		b.Fatalf("pages of %d bytes, %v, want %d", h.pageSize, err, tune.pageSize)
	}
	return &meter{b: b, db: db}
}

func (m *meter) commit(jb *jobdb.Batch) {
	before, start := cpu(m.b), time.Now()
	if err := m.db.Commit(context.Background(), jb); err != nil {
		m.b.Fatal(err)
	}
	m.waits = append(m.waits, time.Since(start))
	m.cpu += cpu(m.b) - before
}

// report tells what n rows of a kind cost: processor time in all, checkpoints
// included, and the time of a commit.
func (m *meter) report(n int, what string) {
	m.b.StopTimer()
	before := cpu(m.b)
	if err := m.db.Close(); err != nil { // the last checkpoint
		m.b.Fatal(err)
	}
	m.cpu += cpu(m.b) - before
	slices.Sort(m.waits)
	var sum time.Duration
	for _, w := range m.waits {
		sum += w
	}
	m.b.ReportMetric(0, "ns/op")
	m.b.ReportMetric(float64(m.cpu.Microseconds())/float64(n), "cpu-µs/"+what)
	m.b.ReportMetric(float64(n)/sum.Seconds(), what+"s/s")
	m.b.ReportMetric(float64(m.waits[len(m.waits)/2].Microseconds()), "p50-µs/commit")
	m.b.ReportMetric(float64(m.waits[len(m.waits)*99/100].Microseconds()), "p99-µs/commit")
	m.b.ReportMetric(float64(m.waits[len(m.waits)-1].Microseconds()), "max-µs/commit")
}

// fillWaiting commits n jobs that await their second attempt.
func fillWaiting(b *testing.B, db *DB, l *load, n int) {
	b.Helper()
	var jb jobdb.Batch
	for n > 0 {
		l.fill(b, &jb, min(n, 500), 0)
		for _, j := range jb.Jobs {
			life := centrifuge.Life{State: centrifuge.StateAwaitingScheduling}
			for _, t := range [...]centrifuge.Transition{
				{JobID: j.ID, Seq: 1, State: centrifuge.StateExecuting, Attempt: 1, Time: j.CreatedAt},
				{
					JobID: j.ID, Seq: 2, State: centrifuge.StateAwaitingRetry, Attempt: 1, Time: j.CreatedAt, RetryAt: j.ExpireAt,
					StatusCode: 503, Error: "service unavailable", Duration: time.Millisecond,
				},
			} {
				var err error
				if life, err = jb.Append(life, t); err != nil {
					b.Fatal(err)
				}
			}
		}
		if err := db.Commit(b.Context(), &jb); err != nil {
			b.Fatal(err)
		}
		n -= len(jb.Jobs)
	}
}
