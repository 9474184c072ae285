package director

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/jobdb"
)

// metrics are the Director's counters, and a collector of those figures that are
// read from where they are kept when somebody asks. No label takes its values
// from jobs, so their number is bounded: by states, outcomes, the status codes of
// HTTP and the error codes.
type metrics struct {
	d         *Director
	gauges    gauges
	recovered atomic.Int64 // jobs read by the recovery under way

	submits         *prometheus.CounterVec
	transactions    *prometheus.CounterVec
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
		d:      d,
		gauges: newGauges(),
		submits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "centrifuge_submits_total", Help: "Submits by result.",
		}, []string{"result"}),
		transactions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "centrifuge_prepared_transactions_total",
			Help: "Prepared transactions by how they ended: committed, aborted, or expired for not being committed in time.",
		}, []string{"end"}),
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

func (m *metrics) submitted(repeated bool, err error) {
	result := "accepted"
	var (
		invalid   *InvalidError
		exists    *ExistsError
		ended     *TransactionError
		exhausted *ExhaustedError
	)
	switch {
	case errors.As(err, &invalid), errors.As(err, &exists), errors.As(err, &ended):
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

func (m *metrics) transactionEnded(to jobdb.TransactionState) {
	end := "committed"
	if to == jobdb.TransactionAborted {
		end = "aborted"
	}
	m.transactions.WithLabelValues(end).Inc()
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
