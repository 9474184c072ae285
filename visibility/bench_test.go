package visibility_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/visibility"
	"centrifuge/visibility/sqlite"
)

// The size of what is measured; the figures in docs/adr/0010-rollups.md are of the
// defaults.
var (
	benchQueues = flag.Int("queues", 10_000, "active queues")
	benchDays   = flag.Int("days", 30, "days")
	benchFolder = flag.String("folder", "", "folder to keep the record of BenchmarkMonth in, made if there is none")
)

// BenchmarkRecord measures what an event costs the goroutine that commits: three
// for each job, as a Director under load tells them, 64 jobs of as many queues a
// commit.
func BenchmarkRecord(b *testing.B) {
	for _, queues := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("queues=%d", queues), func(b *testing.B) {
			store := openBench(b, b.TempDir())
			r, err := visibility.NewRecorder(b.Context(), visibility.RecorderOptions{Store: store, Alive: filepath.Join(b.TempDir(), "alive")})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx) }()
			random := rand.New(rand.NewPCG(1, 2))
			commits := make([][]centrifuge.Event, 256)
			for i := range commits {
				commits[i] = commit(random, queues, 64, time.Now())
			}
			b.ResetTimer()
			before := cpu(b)
			for i := range b.N {
				events := commits[i%len(commits)]
				now := time.Now()
				for j := range events {
					events[j].Step.Time = now
				}
				r.Record(events)
			}
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N)/64, "cpu-ns/job")
			b.StopTimer()
			cancel()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		})
	}
}

// cpu is the time that the process has had of the processors, the storing in the
// background included: what counts on a machine that others use too.
func cpu(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSample measures what an attempt costs its worker that is not sampled, which
// is nearly every one.
func BenchmarkSample(b *testing.B) {
	store := openBench(b, b.TempDir())
	r, err := visibility.NewRecorder(b.Context(), visibility.RecorderOptions{Store: store, Alive: filepath.Join(b.TempDir(), "alive")})
	if err != nil {
		b.Fatal(err)
	}
	jobs := make([]*centrifuge.Job, 10_000)
	for i := range jobs {
		jobs[i] = benchJob(i, time.Now())
		r.Sample(jobs[i], 1, delivery.Result{StatusCode: 200}, nil)
	}
	before := cpu(b)
	for i := range b.N {
		r.Sample(jobs[i%len(jobs)], 1, delivery.Result{StatusCode: 200}, nil)
	}
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func openBench(b *testing.B, folder string) *visibility.Store {
	backend, err := sqlite.Open(folder)
	if err != nil {
		b.Fatal(err)
	}
	store, err := visibility.OpenStore(b.Context(), visibility.StoreOptions{Backend: backend})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	return store
}

// commit makes the events of jobs that are accepted, begun and delivered.
func commit(random *rand.Rand, queues, jobs int, now time.Time) []centrifuge.Event {
	var events []centrifuge.Event
	for range jobs {
		job := benchJob(random.IntN(queues), now)
		id := job.ID
		events = append(events,
			centrifuge.Event{Job: job, Step: centrifuge.Transition{JobID: id, State: centrifuge.StateAwaitingScheduling, Time: now}},
			centrifuge.Event{Job: job, From: centrifuge.StateAwaitingScheduling, Step: centrifuge.Transition{JobID: id, Seq: 1, State: centrifuge.StateExecuting, Attempt: 1, Time: now}},
			centrifuge.Event{Job: job, From: centrifuge.StateExecuting, Step: outcome(random, 1, now)})
	}
	return events
}

func benchJob(queue int, created time.Time) *centrifuge.Job {
	return &centrifuge.Job{
		Source: fmt.Sprintf("customer-%04d", queue/10), Destination: fmt.Sprintf("api-%03d.example.com", queue%1000),
		Payload: make([]byte, 512), CreatedAt: created,
	}
}

// outcome is 93 % deliveries and otherwise failures, with latencies that are
// log-normal around 80 ms.
func outcome(random *rand.Rand, attempt uint32, now time.Time) centrifuge.Transition {
	t := centrifuge.Transition{Seq: 2, State: centrifuge.StateSucceeded, StatusCode: 200, Attempt: attempt, Time: now}
	t.Duration = time.Duration(float64(80*time.Millisecond) * (1 + random.ExpFloat64()*random.ExpFloat64()))
	switch n := random.IntN(1000); {
	case n < 15:
		t.State, t.StatusCode = centrifuge.StateAwaitingRetry, []int{429, 500, 502, 503}[random.IntN(4)]
	case n < 70:
		t.State, t.StatusCode = centrifuge.StateDiscarded, []int{400, 401, 403, 404}[random.IntN(4)]
	}
	return t
}

// BenchmarkMonth measures what the overview asks of a month of active queues, each
// with ten deliveries in every minute of the last hours and of one hour in eight
// before; the rest of the month is filled in by hours, which is all that a query over
// it reads. It reports the bytes that a queue's minute takes.
func BenchmarkMonth(b *testing.B) {
	folder := *benchFolder
	if folder == "" {
		folder = b.TempDir()
	}
	now := time.Date(2026, 7, 31, 11, 47, 0, 0, time.UTC)
	if _, err := os.Stat(filepath.Join(folder, "ready")); err != nil {
		fill(b, folder, now)
	}
	store := openBench(b, folder)
	month := visibility.Last(now, time.Duration(*benchDays)*24*time.Hour)
	day := visibility.Last(now, 24*time.Hour)
	all := visibility.Filter{}
	queue := visibility.Filter{Source: "customer-0007", Destination: "api-077.example.com"}
	for _, q := range []struct {
		name string
		ask  func(context.Context) error
	}{
		{"overview/month", func(ctx context.Context) error { return overview(ctx, store, month, 24*time.Hour) }},
		{"overview/day", func(ctx context.Context) error { return overview(ctx, store, day, time.Hour) }},
		{"destinations/month", func(ctx context.Context) error {
			_, err := store.Top(ctx, visibility.ByDestination, all, month, visibility.OrderVolume, 50)
			return err
		}},
		{"queues/month", func(ctx context.Context) error {
			_, err := store.Top(ctx, visibility.ByQueue, all, month, visibility.OrderFailures, 50)
			return err
		}},
		{"queues/day", func(ctx context.Context) error {
			_, err := store.Top(ctx, visibility.ByQueue, all, day, visibility.OrderFailures, 50)
			return err
		}},
		{"queue/month", func(ctx context.Context) error {
			_, err := store.Series(ctx, queue, month, time.Hour)
			return err
		}},
		{"queue/hours", func(ctx context.Context) error {
			_, err := store.Series(ctx, queue, visibility.Range{From: month.To.Add(-3 * time.Hour), To: month.To}, time.Minute)
			return err
		}},
	} {
		b.Run(q.name, func(b *testing.B) {
			var took []time.Duration
			before := cpu(b)
			for b.Loop() {
				began := time.Now()
				if err := q.ask(b.Context()); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/1000/float64(len(took)), "cpu-ms")
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "ms-p95")
		})
	}
	b.Run("disk", func(b *testing.B) {
		bytes := size(b, folder)
		b.ReportMetric(float64(bytes)/1e6, "MB")
	})
}

// overview is what the front page asks for.
func overview(ctx context.Context, s *visibility.Store, r visibility.Range, step time.Duration) error {
	if _, err := s.Series(ctx, visibility.Filter{}, r, step); err != nil {
		return err
	}
	if _, err := s.Breakdown(ctx, visibility.Filter{}, r); err != nil {
		return err
	}
	if _, err := s.ByAttempt(ctx, visibility.Filter{}, r); err != nil {
		return err
	}
	_, err := s.Top(ctx, visibility.ByDestination, visibility.Filter{}, r, visibility.OrderFailures, 10)
	return err
}

func size(b *testing.B, folder string) (bytes int64) {
	err := filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		bytes += info.Size()
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}

// fill records the month: the last two hours and one whole hour of a day minute by
// minute, every other hour as one minute with an hour's deliveries.
func fill(b *testing.B, folder string, end time.Time) {
	store := openBench(b, folder)
	var now time.Time
	r, err := visibility.NewRecorder(b.Context(), visibility.RecorderOptions{
		Store: store, Alive: filepath.Join(b.TempDir(), "alive"), Now: func() time.Time { return now }, MaxCells: 1 << 30,
	})
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	from := end.Truncate(24*time.Hour).AddDate(0, 0, -*benchDays)
	for hour := from; hour.Before(end); hour = hour.Add(time.Hour) {
		dense := end.Sub(hour) < 2*time.Hour || hour.Day() == 1 && hour.Hour() == 12
		for minute := range 60 {
			now = hour.Add(time.Duration(minute) * time.Minute)
			n := 10
			if !dense {
				n = 10
				if minute > 0 {
					break
				}
			}
			if now.After(end) {
				break
			}
			before := size(b, folder)
			for queue := range *benchQueues {
				r.Record(minuteOf(random, queue, n, now))
			}
			if err := r.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			now = now.Add(time.Minute + 10*time.Second)
			if err := r.Tidy(b.Context()); err != nil {
				b.Fatal(err)
			}
			if dense && minute == 30 {
				b.Logf("%s: a minute grew the record by %d bytes", now, size(b, folder)-before)
			}
		}
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d days of %d queues: %d MB", *benchDays, *benchQueues, size(b, folder)/1e6)
	if err := os.WriteFile(filepath.Join(folder, "ready"), nil, 0o600); err != nil {
		b.Fatal(err)
	}
}

func minuteOf(random *rand.Rand, queue, n int, now time.Time) []centrifuge.Event {
	events := make([]centrifuge.Event, 0, 2*n)
	for range n {
		job := benchJob(queue, now.Add(-time.Duration(random.ExpFloat64()*float64(20*time.Millisecond))))
		step := outcome(random, 1+uint32(random.IntN(50)/49), now)
		job.CreatedAt = now.Add(-step.Duration - 5*time.Millisecond)
		events = append(events,
			centrifuge.Event{Job: job, Step: centrifuge.Transition{State: centrifuge.StateAwaitingScheduling, Time: now}},
			centrifuge.Event{Job: job, From: centrifuge.StateExecuting, Step: step})
	}
	return events
}
