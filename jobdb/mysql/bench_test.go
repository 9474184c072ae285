package mysql

import (
	"crypto/rand"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"centrifuge/jobdb/mysql/mysqltest"
)

// cpu is the processor time that this process, the client, has used.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCommit commits jobs with two transitions each.
func BenchmarkCommit(b *testing.B) {
	server := mysqltest.Start(b, "--innodb-buffer-pool-size=1G")
	for _, payload := range []int{1 << 10, 5 << 10} {
		for _, batch := range []int{10, 100, 500} {
			b.Run(fmt.Sprintf("payload=%d/batch=%d", payload, batch), func(b *testing.B) {
				l := load{payload: make([]byte, payload)}
				_, _ = rand.Read(l.payload)
				db := mustOpen(b, options(server, server.Address))
				mustCommit(b, db, l.batch(b, batch)) // prepares the statements
				var used time.Duration
				var waits []time.Duration
				for jobs := 0; jobs < b.N; jobs += batch {
					jb := l.batch(b, batch)
					before, start := cpu(b), time.Now()
					mustCommit(b, db, jb)
					waits = append(waits, time.Since(start))
					used += cpu(b) - before
				}
				reportCommits(b, len(waits)*batch, used, waits)
			})
		}
	}
}

func reportCommits(b *testing.B, jobs int, used time.Duration, waits []time.Duration) {
	var sum time.Duration
	for _, w := range waits {
		sum += w
	}
	slices.Sort(waits)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(used.Microseconds())/float64(jobs), "client-µs/job")
	b.ReportMetric(float64(sum.Microseconds())/float64(jobs), "µs/job")
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "p50-µs/commit")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds()), "p99-µs/commit")
}

// BenchmarkScan walks through 200,000 jobs that wait, each tried once.
func BenchmarkScan(b *testing.B) {
	const jobs = 200_000
	server := mysqltest.Start(b, "--innodb-buffer-pool-size=1G", "--innodb-flush-log-at-trx-commit=0")
	db := mustOpen(b, options(server, server.Address))
	l := load{payload: make([]byte, 1<<10)}
	for range jobs / 1000 {
		mustCommit(b, db, l.batch(b, 1000))
	}
	for b.Loop() {
		if n := count(b, db); n != jobs {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*jobs), "µs/job")
}
