package manager

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// counters are what this Manager did since it was made.
type counters struct{ cycles, drainFailures prometheus.Counter }

func newCounters() counters {
	return counters{
		cycles: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "centrifuge_jobdb_cycles_total", Help: "Times a Director went over to a spare because this Manager said so.",
		}),
		drainFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "centrifuge_drain_failures_total", Help: "Drains of a JobDB that failed and are tried again.",
		}),
	}
}

// figures are what a pass saw.
type figures struct {
	states    map[State]int
	letGo     map[State]time.Time // of those to be drained, by state: since when the oldest is nobody's
	keptBytes int64
}

// note takes down what a pass saw; nil when the Manager does not run.
func (m *Manager) note(v *view) {
	var f *figures
	if v != nil {
		f = &figures{states: make(map[State]int), letGo: make(map[State]time.Time)}
		for i := range v.records {
			r := &v.records[i]
			if r.Through > 0 {
				continue
			}
			f.states[r.State]++
			switch r.State {
			case StateReleased, StateDraining:
				since := r.Since[StateReleased]
				if oldest, ok := f.letGo[r.State]; !ok || since.Before(oldest) {
					f.letGo[r.State] = since
				}
			case StateDrained:
				file, _, _ := v.file(r.Server, r.Name)
				f.keptBytes += file.Bytes
			case StateNew, StateSpare, StateLive, StateDropped:
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.figures = f
}

// Collector is for /metrics. A Manager that does not manage at the moment tells
// nothing of the fleet. The only label is the state of a JobDB.
func (m *Manager) Collector() prometheus.Collector {
	return &collector{
		m:      m,
		jobdbs: prometheus.NewDesc("centrifuge_jobdbs", "JobDBs by state, those dropped a while ago left out.", []string{"state"}, nil),
		letGo: prometheus.NewDesc("centrifuge_jobdb_let_go_seconds",
			"Since when the oldest JobDB that is released, or draining, is nobody's; 0 if there is none.", []string{"state"}, nil),
		keptBytes: prometheus.NewDesc("centrifuge_jobdb_kept_bytes", "Size of the drained JobDBs that are kept.", nil, nil),
		drains:    prometheus.NewDesc("centrifuge_drains_running", "JobDBs that are being drained at this moment.", nil, nil),
	}
}

type collector struct {
	m                                *Manager
	jobdbs, letGo, keptBytes, drains *prometheus.Desc
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.jobdbs, c.letGo, c.keptBytes, c.drains} {
		to <- d
	}
	c.m.counters.cycles.Describe(to)
	c.m.counters.drainFailures.Describe(to)
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(to chan<- prometheus.Metric) {
	c.m.counters.cycles.Collect(to)
	c.m.counters.drainFailures.Collect(to)
	c.m.mu.Lock()
	f, running := c.m.mu.figures, 0
	for _, d := range c.m.mu.drains {
		if d.running {
			running++
		}
	}
	c.m.mu.Unlock()
	if f == nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, s := range []State{StateNew, StateSpare, StateLive, StateReleased, StateDraining, StateDrained, StateDropped} {
		gauge(c.jobdbs, float64(f.states[s]), string(s))
	}
	for _, s := range []State{StateReleased, StateDraining} {
		age := 0.0
		if since, ok := f.letGo[s]; ok {
			age = max(0, c.m.o.Now().Sub(since).Seconds())
		}
		gauge(c.letGo, age, string(s))
	}
	gauge(c.keptBytes, float64(f.keptBytes))
	gauge(c.drains, float64(running))
}
