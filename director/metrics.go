package director

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"centrifuge"
	"centrifuge/delivery"
)

// metrics are the Director's counters, and a collector of those figures that are
// read from where they are kept when somebody asks. No label takes its values
// from jobs, so their number is bounded: by states, outcomes, the status codes of
// HTTP and the error codes.
type metrics struct {
	d         *Director
	recovered atomic.Int64 // jobs read by the recovery under way

	submits         *prometheus.CounterVec
	attempts        *prometheus.CounterVec
	attemptSeconds  *prometheus.HistogramVec
	commitSeconds   prometheus.Histogram
	commitRows      prometheus.Histogram
	readBack        prometheus.Counter
	archiveFailures prometheus.Counter
	reopened        prometheus.Counter

	succeeded prometheus.Counter // attempts{succeeded,200}, resolved once as it is the hot one
	delivered prometheus.Observer
}

func newMetrics(d *Director) *metrics {
	seconds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	m := &metrics{
		d: d,
		submits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "centrifuge_submits_total", Help: "Submits by result.",
		}, []string{"result"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "centrifuge_attempts_total", Help: "Attempts by outcome and by status or error code.",
		}, []string{"outcome", "code"}),
		attemptSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "centrifuge_attempt_seconds", Help: "Duration of attempts by outcome.", Buckets: seconds,
		}, []string{"outcome"}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "centrifuge_commit_seconds", Help: "Duration of JobDB commits.", Buckets: seconds,
		}),
		commitRows: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "centrifuge_commit_rows", Help: "Jobs and transitions in one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}),
		readBack: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "centrifuge_jobs_read_back_total", Help: "Jobs whose payload was read from the JobDB since the cache did not hold it.",
		}),
		archiveFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "centrifuge_archive_failures_total", Help: "Archive objects that were refused and tried again.",
		}),
		reopened: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "centrifuge_jobdb_reopened_total", Help: "Times the JobDB was opened again to recover.",
		}),
	}
	m.succeeded = m.attempts.WithLabelValues(centrifuge.OutcomeSucceeded.String(), "200")
	m.delivered = m.attemptSeconds.WithLabelValues(centrifuge.OutcomeSucceeded.String())
	return m
}

func (m *metrics) submitted(jobs int, repeated bool, err error) {
	result := "accepted"
	var (
		invalid   *InvalidError
		exists    *ExistsError
		exhausted *ExhaustedError
	)
	switch {
	case errors.As(err, &invalid), errors.As(err, &exists):
		result = "invalid"
	case errors.As(err, &exhausted):
		result = "exhausted"
	case err != nil:
		result = "unavailable"
	case repeated:
		result = "repeated"
	}
	m.submits.WithLabelValues(result).Inc()
}

func (m *metrics) attempted(r *delivery.Result) {
	if r.Outcome == centrifuge.OutcomeSucceeded && r.StatusCode == 200 {
		m.succeeded.Inc()
		m.delivered.Observe(r.Duration.Seconds())
		return
	}
	code := string(r.ErrorCode)
	if code == "" {
		code = strconv.Itoa(r.StatusCode)
		if r.StatusCode < 100 || r.StatusCode > 599 {
			code = "other"
		}
	}
	m.attempts.WithLabelValues(r.Outcome.String(), code).Inc()
	m.attemptSeconds.WithLabelValues(r.Outcome.String()).Observe(r.Duration.Seconds())
}

func (m *metrics) committed(took time.Duration, rows int) {
	m.commitSeconds.Observe(took.Seconds())
	m.commitRows.Observe(float64(rows))
}

// Collector is the Director's metrics.
func (d *Director) Collector() prometheus.Collector { return d.metrics }

var (
	descReady     = prometheus.NewDesc("centrifuge_ready", "Whether jobs are accepted.", nil, nil)
	descAccepted  = prometheus.NewDesc("centrifuge_jobs_accepted_total", "Jobs made durable, over the JobDB's life.", nil, nil)
	descJobs      = prometheus.NewDesc("centrifuge_jobs", "Jobs by state, over the JobDB's life.", []string{"state"}, nil)
	descOldest    = prometheus.NewDesc("centrifuge_oldest_pending_seconds", "Age of the oldest unfinished job.", nil, nil)
	descQueues    = prometheus.NewDesc("centrifuge_queues", "Virtual queues in memory.", nil, nil)
	descDepth     = prometheus.NewDesc("centrifuge_queue_jobs", "Jobs in the scheduler: ready, waiting for a retry, or in flight.", []string{"state"}, nil)
	descBreakers  = prometheus.NewDesc("centrifuge_breakers_open", "Breakers that hold jobs back.", []string{"scope"}, nil)
	descCacheUsed = prometheus.NewDesc("centrifuge_cache_bytes", "Bytes of payloads in memory.", nil, nil)
	descCacheJobs = prometheus.NewDesc("centrifuge_cache_jobs", "Jobs whose payload is in memory.", nil, nil)
	descUnflushed = prometheus.NewDesc("centrifuge_transitions_unflushed", "Transitions that await their commit.", nil, nil)
	descIntake    = prometheus.NewDesc("centrifuge_intake_bytes", "Bytes of jobs that were received and are not yet durable.", nil, nil)
)

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
	for _, d := range []*prometheus.Desc{
		descReady, descAccepted, descJobs, descOldest, descQueues, descDepth, descBreakers,
		descCacheUsed, descCacheJobs, descUnflushed, descIntake,
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
	ready := 0.0
	if m.d.Ready() == nil {
		ready = 1
	}
	gauge(descReady, ready)
	t := m.d.tenure.Load()
	if t == nil {
		return
	}
	total := t.books.total()
	ch <- prometheus.MustNewConstMetric(descAccepted, prometheus.CounterValue, float64(total.Accepted))
	for _, s := range centrifuge.States {
		gauge(descJobs, float64(*total.count(s)), s.String())
	}
	age := 0.0
	if oldest, ok := t.books.oldest(); ok {
		age = max(0, m.d.o.Now().Sub(time.Unix(oldest, 0)).Seconds())
	}
	gauge(descOldest, age)
	gauge(descUnflushed, float64(t.log.unflushed.Load()))
	gauge(descIntake, float64(t.intake.bytes.Load()))

	t.mu.Lock()
	stats := t.mu.sched.Stats()
	used, jobs := t.mu.cache.used, len(t.mu.cache.jobs)
	t.mu.Unlock()
	gauge(descQueues, float64(stats.Queues))
	gauge(descDepth, float64(stats.Ready), "ready")
	gauge(descDepth, float64(stats.Waiting), "waiting")
	gauge(descDepth, float64(stats.InFlight), "in_flight")
	gauge(descBreakers, float64(stats.QueueBreakersOpen), "queue")
	gauge(descBreakers, float64(stats.DestinationBreakersOpen), "destination")
	gauge(descCacheUsed, float64(used))
	gauge(descCacheJobs, float64(jobs))
}
