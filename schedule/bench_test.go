package schedule_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

// BenchmarkCycle is a job's way through: Ready, Pick, Done, with the jobs spread
// over so many queues, of ten each a destination.
func BenchmarkCycle(b *testing.B) {
	for _, queues := range []int{1, 1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint("queues=", queues), func(b *testing.B) {
			keys := manyKeys(queues)
			s := newScheduler(schedule.Options{})
			for i := range keys { // all exist, each with one job
				s.Ready(start, keys[i], id(i), start.Add(ttl))
			}
			now, room := start, make([]centrifuge.ID, 0, 1)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				now = now.Add(50 * time.Microsecond)
				s.Ready(now, keys[i*7919%queues], id(i), now.Add(ttl))
				ticket, _, ok := s.Pick(now, room)
				if !ok {
					b.Fatal("nothing to pick")
				}
				s.Done(now, ticket, schedule.Feedback{Result: schedule.Healthy, Latency: time.Millisecond})
			}
		})
	}
}

// BenchmarkRetry is a failed job's way: Wait, the wheel, Pick, Done.
func BenchmarkRetry(b *testing.B) {
	for _, waiting := range []int{1, 1_000_000} {
		b.Run(fmt.Sprint("waiting=", waiting), func(b *testing.B) {
			keys := manyKeys(1000)
			s := newScheduler(schedule.Options{})
			for i := range waiting { // beyond the time of the benchmark
				s.Wait(start, keys[i%len(keys)], id(i), start.Add(1000*time.Hour), start.Add(500*time.Hour+time.Duration(i)*time.Millisecond))
			}
			now, room := start, make([]centrifuge.ID, 0, 1)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				now = now.Add(100 * time.Microsecond)
				s.Wait(now, keys[i*7919%len(keys)], id(i), now.Add(ttl), now.Add(10*time.Second))
				if ticket, _, ok := s.Pick(now, room); ok {
					s.Done(now, ticket, schedule.Feedback{Result: schedule.Healthy, Latency: time.Millisecond})
				}
			}
		})
	}
}

// BenchmarkRetryNow moves one queue's thousand jobs out of a million.
func BenchmarkRetryNow(b *testing.B) {
	keys := manyKeys(1000)
	for b.Loop() {
		b.StopTimer()
		s := newScheduler(schedule.Options{})
		for i := range 1_000_000 {
			s.Wait(start, keys[i%len(keys)], id(i), start.Add(ttl), start.Add(time.Duration(i%1800)*time.Second))
		}
		b.StartTimer()
		s.RetryNow(start, schedule.Selector(keys[500]))
	}
}

// BenchmarkMemory reports the bytes of a queue and of a job, once each.
func BenchmarkMemory(b *testing.B) {
	const jobs = 1_000_000
	for b.Loop() {
		for _, queues := range []int{100_000, 1_000_000} {
			keys := manyKeys(queues)
			s := newScheduler(schedule.Options{})
			before := heapInUse()
			for i := range keys {
				s.Ready(start, keys[i], id(i), start.Add(ttl))
			}
			b.ReportMetric(float64(heapInUse()-before)/float64(queues), fmt.Sprintf("B/queue-of-%d-with-a-job", queues))
			runtime.KeepAlive(s)
			runtime.KeepAlive(keys)
		}
		keys := manyKeys(1000)
		for name, put := range map[string]func(s *schedule.Scheduler, i int){
			"waiting": func(s *schedule.Scheduler, i int) {
				s.Wait(start, keys[i%len(keys)], id(i), start.Add(ttl), start.Add(time.Duration(i)*14400*time.Second/jobs))
			},
			"ready": func(s *schedule.Scheduler, i int) { s.Ready(start, keys[i%len(keys)], id(i), start.Add(ttl)) },
		} {
			before := heapInUse()
			s := newScheduler(schedule.Options{})
			for i := range jobs {
				put(s, i)
			}
			b.ReportMetric(float64(heapInUse()-before)/jobs, "B/job-"+name)
			runtime.KeepAlive(s)
		}
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func manyKeys(n int) []centrifuge.QueueKey {
	keys := make([]centrifuge.QueueKey, n)
	for i := range keys {
		keys[i] = key(fmt.Sprint("source-", i), fmt.Sprint("destination-", i/10))
	}
	return keys
}
