package sink

import (
	"iter"
	"maps"
)

// Stats is what a sink counted since it was made or last reset. Taken while
// requests arrive, its parts may differ by those under way.
type Stats struct {
	Requests  uint64 `json:"requests"`  // received, in flight included
	Succeeded uint64 `json:"succeeded"` // answered 2xx
	Bytes     uint64 `json:"bytes"`     // of request bodies

	IDs        uint64 `json:"ids"`        // distinct job ids
	Delivered  uint64 `json:"delivered"`  // of these, answered 2xx at least once
	Duplicates uint64 `json:"duplicates"` // 2xx answers to ids that already had one

	// Routes has the counts by prefix, those of the default behaviour under "".
	Routes map[string]RouteStats `json:"routes"`
	// Arrival is nil unless arrivals are measured.
	Arrival *Arrival `json:"arrival,omitempty"`
}

// RouteStats is what a sink counted on one route.
type RouteStats struct {
	Requests     uint64 `json:"requests"` // received, in flight included
	InFlight     int64  `json:"in_flight"`
	PeakInFlight int64  `json:"peak_in_flight"`
	// Replies has the number of requests by reply: a status, the name of a
	// misbehaviour, or "client-left" for those whose client did not wait.
	Replies map[string]uint64 `json:"replies"`
}

// Stats returns the counts. Its cost does not grow with the number of ids.
func (s *Sink) Stats() Stats {
	r := s.run.Load()
	st := Stats{Bytes: r.bytes.Load(), Routes: make(map[string]RouteStats, len(r.routes)+1)}
	add := func(prefix string, rt *route) {
		rs, succeeded := rt.stats()
		st.Routes[prefix] = rs
		st.Requests += rs.Requests
		st.Succeeded += succeeded
	}
	for prefix, rt := range r.routes {
		add(prefix, rt)
	}
	if r.other.requests.Load() > 0 {
		add("", r.other)
	}
	if r.ids != nil {
		st.IDs, st.Delivered, st.Duplicates = r.ids.totals()
	}
	if r.arrival != nil {
		st.Arrival = r.arrival.summary()
	}
	return st
}

// Jobs yields what is known of every job id, in no particular order. Ids that
// arrive meanwhile may be missed.
func (s *Sink) Jobs() iter.Seq[Job] {
	r := s.run.Load()
	if r.ids == nil {
		return func(func(Job) bool) {}
	}
	return r.ids.all()
}

// Job returns what is known of one job id, no attempts if it was never seen.
func (s *Sink) Job(id string) Job {
	r := s.run.Load()
	if r.ids == nil {
		return Job{ID: id}
	}
	return r.ids.job(id)
}

func (rt *route) stats() (rs RouteStats, succeeded uint64) {
	rt.mu.Lock()
	replies := maps.Clone(rt.mu.replies)
	rt.mu.Unlock()
	rs = RouteStats{
		Requests:     rt.requests.Load(),
		InFlight:     rt.inFlight.Load(),
		PeakInFlight: rt.peak.Load(),
		Replies:      make(map[string]uint64, len(replies)),
	}
	for r, n := range replies {
		rs.Replies[r.String()] = n
		if r.success() {
			succeeded += n
		}
	}
	return rs, succeeded
}
