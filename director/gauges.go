package director

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"centrifuge"
)

// gauges describe the figures that are read from where they are kept when
// somebody asks.
type gauges struct {
	ready, accepted, jobs, oldest, queues, depth, breakers,
	cacheBytes, cacheJobs, unflushed, intake *prometheus.Desc
}

func newGauges() gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("centrifuge_"+name, help, labels, nil)
	}
	return gauges{
		ready:      desc("ready", "Whether jobs are accepted."),
		accepted:   desc("jobs_accepted_total", "Jobs made durable, over the JobDB's life."),
		jobs:       desc("jobs", "Jobs by state, over the JobDB's life.", "state"),
		oldest:     desc("oldest_pending_seconds", "Age of the oldest unfinished job."),
		queues:     desc("queues", "Virtual queues in memory."),
		depth:      desc("queue_jobs", "Jobs in the scheduler: ready, waiting for a retry, or in flight.", "state"),
		breakers:   desc("breakers_open", "Breakers that hold jobs back.", "scope"),
		cacheBytes: desc("cache_bytes", "Bytes of payloads in memory."),
		cacheJobs:  desc("cache_jobs", "Jobs whose payload is in memory."),
		unflushed:  desc("transitions_unflushed", "Transitions that await their commit."),
		intake:     desc("intake_bytes", "Bytes of jobs that were received and are not yet durable."),
	}
}

// Collector is the Director's metrics.
func (d *Director) Collector() prometheus.Collector { return d.metrics }

func (m *metrics) counters() []prometheus.Collector {
	return []prometheus.Collector{
		m.submits, m.attempts, m.attemptSeconds, m.commitSeconds, m.commitRows, m.readBack, m.archiveFailures, m.reopened,
	}
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.counters() {
		c.Describe(ch)
	}
	g := &m.gauges
	for _, d := range []*prometheus.Desc{
		g.ready, g.accepted, g.jobs, g.oldest, g.queues, g.depth, g.breakers,
		g.cacheBytes, g.cacheJobs, g.unflushed, g.intake,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.counters() {
		c.Collect(ch)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	g := &m.gauges
	ready := 0.0
	if m.d.Ready() == nil {
		ready = 1
	}
	gauge(g.ready, ready)
	t := m.d.tenure.Load()
	if t == nil {
		return
	}
	total := t.books.total()
	ch <- prometheus.MustNewConstMetric(g.accepted, prometheus.CounterValue, float64(total.Accepted))
	for _, s := range centrifuge.States {
		gauge(g.jobs, float64(*total.count(s)), s.String())
	}
	age := 0.0
	if oldest, ok := t.books.oldest(); ok {
		age = max(0, m.d.o.Now().Sub(time.Unix(oldest, 0)).Seconds())
	}
	gauge(g.oldest, age)
	gauge(g.unflushed, float64(t.log.unflushed.Load()))
	gauge(g.intake, float64(t.intake.bytes.Load()))

	t.mu.Lock()
	stats := t.mu.sched.Stats()
	used, jobs := t.mu.cache.used, len(t.mu.cache.jobs)
	t.mu.Unlock()
	gauge(g.queues, float64(stats.Queues))
	gauge(g.depth, float64(stats.Ready), "ready")
	gauge(g.depth, float64(stats.Waiting), "waiting")
	gauge(g.depth, float64(stats.InFlight), "in_flight")
	gauge(g.breakers, float64(stats.QueueBreakersOpen), "queue")
	gauge(g.breakers, float64(stats.DestinationBreakersOpen), "destination")
	gauge(g.cacheBytes, float64(used))
	gauge(g.cacheJobs, float64(jobs))
}
