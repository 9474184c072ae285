package director

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"centrifuge"
	"centrifuge/schedule"
)

// gauges describe the figures that are read from where they are kept when
// somebody asks.
type gauges struct {
	ready, accepted, jobs, oldest, queues, depth, breakers,
	cacheBytes, cacheJobs, unflushed, intake,
	prepared, preparedBytes *prometheus.Desc
}

func newGauges() gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("centrifuge_"+name, help, labels, nil)
	}
	return gauges{
		ready:         desc("ready", "Whether jobs are accepted."),
		accepted:      desc("jobs_accepted_total", "Jobs made durable, over the lives of the JobDBs held since the start."),
		jobs:          desc("jobs", "Jobs by state, over the lives of the JobDBs held now.", "state"),
		oldest:        desc("oldest_pending_seconds", "Age of the oldest unfinished job."),
		queues:        desc("queues", "Virtual queues in memory."),
		depth:         desc("queue_jobs", "Jobs in the scheduler: ready, waiting for a retry, or in flight.", "state"),
		breakers:      desc("breakers_open", "Breakers that hold jobs back.", "scope"),
		cacheBytes:    desc("cache_bytes", "Bytes of payloads in memory."),
		cacheJobs:     desc("cache_jobs", "Jobs whose payload is in memory."),
		unflushed:     desc("transitions_unflushed", "Transitions that await their commit."),
		prepared:      desc("transactions_prepared", "Transactions that are neither committed nor aborted."),
		preparedBytes: desc("transactions_prepared_bytes", "Bytes of their jobs."),
		intake:        desc("intake_bytes", "Bytes of jobs that were received and are not yet durable."),
	}
}

// Collector is the Director's metrics.
func (d *Director) Collector() prometheus.Collector { return d.metrics }

func (m *metrics) counters() []prometheus.Collector {
	return []prometheus.Collector{
		m.submits, m.transactions, m.attempts, m.attemptSeconds, m.commitSeconds, m.commitRows, m.readBack, m.archiveFailures, m.reopened,
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
		g.cacheBytes, g.cacheJobs, g.unflushed, g.intake, g.prepared, g.preparedBytes,
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
	owners := m.d.owners()
	if len(owners) == 0 || owners[len(owners)-1].tenure.Load() == nil {
		return
	}
	sum, total := m.d.held(), Ledger{}
	total.Add(&sum.ledger)
	total.Add(&sum.past)
	ch <- prometheus.MustNewConstMetric(g.accepted, prometheus.CounterValue, float64(total.Accepted))
	for _, s := range centrifuge.States {
		gauge(g.jobs, float64(*sum.ledger.count(s)), s.String())
	}
	age := 0.0
	if sum.pending {
		age = max(0, m.d.o.Now().Sub(time.Unix(sum.oldest, 0)).Seconds())
	}
	gauge(g.oldest, age)
	gauge(g.unflushed, float64(sum.unflushed))
	gauge(g.intake, float64(m.d.intake.bytes.Load()))
	if t := owners[len(owners)-1].tenure.Load(); t != nil {
		prepared, size := t.prepared.total()
		gauge(g.prepared, float64(prepared))
		gauge(g.preparedBytes, float64(size))
	}
	gauge(g.queues, float64(sum.queues))
	gauge(g.depth, float64(sum.depth.Ready), "ready")
	gauge(g.depth, float64(sum.depth.Waiting), "waiting")
	gauge(g.depth, float64(sum.depth.InFlight), "in_flight")
	gauge(g.breakers, float64(sum.depth.QueueBreakersOpen), "queue")
	gauge(g.breakers, float64(sum.depth.DestinationBreakersOpen), "destination")
	gauge(g.cacheBytes, float64(sum.cacheBytes))
	gauge(g.cacheJobs, float64(sum.cacheJobs))
}

// sums are figures over the JobDBs that a Director holds. What a JobDB that is
// retiring has of queues and breakers is on its way out and is not among them.
type sums struct {
	ledger, past Ledger
	oldest       int64
	pending      bool
	unflushed    int64
	queues       int
	depth        schedule.Totals
	cacheBytes   int64
	cacheJobs    int
}

func (d *Director) held() sums {
	var s sums
	d.mu.Lock()
	s.past = d.mu.past
	d.mu.Unlock()
	current := d.owner.Load()
	for _, w := range d.owners() {
		t := w.tenure.Load()
		if t == nil {
			continue
		}
		total := t.books.total()
		s.ledger.Add(&total)
		if oldest, ok := t.books.oldest(); ok && (!s.pending || oldest < s.oldest) {
			s.oldest, s.pending = oldest, true
		}
		s.unflushed += t.log.unflushed.Load()
		t.mu.Lock()
		stats := t.mu.sched.Stats()
		s.cacheBytes += t.mu.cache.used
		s.cacheJobs += len(t.mu.cache.jobs)
		t.mu.Unlock()
		s.depth.Ready += stats.Ready
		s.depth.Waiting += stats.Waiting
		s.depth.InFlight += stats.InFlight
		if w == current {
			s.queues = stats.Queues
			s.depth.QueueBreakersOpen = stats.QueueBreakersOpen
			s.depth.DestinationBreakersOpen = stats.DestinationBreakersOpen
		}
	}
	return s
}
