package visibility_test

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"centrifuge/visibility"
)

// BenchmarkSparse measures what a job costs when nearly each is of a queue of its own:
// 40,000 jobs of 100,000 queues between one storing and the next.
func BenchmarkSparse(b *testing.B) {
	store := openBench(b, b.TempDir())
	r, err := visibility.NewRecorder(b.Context(), visibility.RecorderOptions{Store: store, Alive: filepath.Join(b.TempDir(), "alive")})
	if err != nil {
		b.Fatal(err)
	}
	const queues, stored, jobs = 100_000, 40_000, 64
	random := rand.New(rand.NewPCG(1, 2))
	for n := 0; b.Loop(); n += jobs {
		b.StopTimer()
		events := commit(random, queues, jobs, time.Now())
		b.StartTimer()
		before := cpu(b)
		r.Record(events)
		recorded += cpu(b) - before
		if n/stored != (n+jobs)/stored {
			before := cpu(b)
			if err := r.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			flushed += cpu(b) - before
		}
	}
	b.ReportMetric(float64(recorded.Nanoseconds())/float64(b.N)/jobs, "record-ns/job")
	b.ReportMetric(float64(flushed.Nanoseconds())/float64(b.N)/jobs, "flush-ns/job")
	recorded, flushed = 0, 0
}

var recorded, flushed time.Duration
