// Package sink is an HTTP receiver that misbehaves on demand: it fails, slows
// down, hangs, rate-limits and breaks the protocol in the proportions it is
// told, and counts every job id that reached it. Tests, the demo and the
// benchmarks deliver to it; its counts are the other side of the ledger.
//
// What a sink does is decided per route, a prefix of the request's path, so one
// sink stands for many destinations. Each choice is a function of the seed, the
// route and the number of the request on that route: the n-th request to a
// route meets the same reply and the same latency in every run, in whatever
// order requests of different routes interleave.
//
// Paths below /_sink/ control the sink itself; see [Sink.ServeHTTP].
package sink

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Headers a sink reads from the requests it gets.
const (
	// HeaderJobID carries the job id that attempts and successes are counted by.
	HeaderJobID = "Centrifuge-Job-Id"
	// HeaderSent carries the moment the job was submitted, in nanoseconds since
	// the Unix epoch; see [Options.MeasureArrival].
	HeaderSent = "Bench-Sent-Unix-Nano"
)

// Options says how a [Sink] behaves. The zero value answers 200 at once to
// everything and counts job ids. What it refers to must not change once a sink
// is made of it.
type Options struct {
	// Default is what requests meet that match no route.
	Default Behaviour
	// Routes replace Default, whole, below their prefixes. The longest prefix
	// wins; two routes may not share one.
	Routes []Route
	// Seed makes the choices of one run differ from another's.
	Seed uint64
	// ForgetIDs switches off the counting by job id: Stats then has no ids and
	// Jobs is empty. It saves about 70 bytes for each id.
	ForgetIDs bool
	// MeasureArrival keeps a histogram of the time from the moment in
	// [HeaderSent] to the request's arrival, of the first attempt of each id.
	// With ForgetIDs, or without an id, of every request that has the header.
	MeasureArrival bool
}

// Sink is the receiver. It is an [http.Handler] and safe for concurrent use.
type Sink struct {
	opts Options
	run  atomic.Pointer[run]
}

// run is what a sink has seen since it was made or last reset.
type run struct {
	started time.Time
	routes  map[string]*route
	other   *route // requests that match none of routes
	bytes   atomic.Uint64
	ids     *tracker // nil: ids are not counted
	arrival *arrival // nil: arrivals are not measured
}

// New makes a sink. The clock that outages are measured by starts now. It fails
// if a behaviour is out of range or a prefix is malformed or given twice, naming
// the route and the field.
func New(opts Options) (*Sink, error) {
	if err := opts.Default.validate(); err != nil {
		return nil, fmt.Errorf("sink: default behaviour: %w", err)
	}
	seen := make(map[string]bool, len(opts.Routes))
	for _, r := range opts.Routes {
		if err := r.validate(); err != nil {
			return nil, fmt.Errorf("sink: %w", err)
		}
		if seen[r.Prefix] {
			return nil, fmt.Errorf("sink: route %q: given twice", r.Prefix)
		}
		seen[r.Prefix] = true
	}
	s := &Sink{opts: opts}
	s.Reset()
	return s, nil
}

// Reset puts the sink back to where [New] left it: nothing counted, the draws
// and the outage clock at their start. Requests in flight end as they began and
// are not counted in the new run.
func (s *Sink) Reset() {
	r := &run{
		started: time.Now(),
		routes:  make(map[string]*route, len(s.opts.Routes)),
		other:   newRoute("", s.opts.Default, s.opts.Seed),
	}
	for _, rt := range s.opts.Routes {
		r.routes[rt.Prefix] = newRoute(rt.Prefix, rt.Behaviour, s.opts.Seed)
	}
	if !s.opts.ForgetIDs {
		r.ids = newTracker()
	}
	if s.opts.MeasureArrival {
		r.arrival = newArrival()
	}
	s.run.Store(r)
}

// ServeHTTP answers a request as its route says, after reading its body to the
// end. Three paths are the sink's own and never misbehave:
//
//	GET  /_sink/stats  a Stats as JSON
//	GET  /_sink/jobs   a Job a line, as NDJSON, in no particular order
//	POST /_sink/reset  Reset
func (s *Sink) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if strings.HasPrefix(req.URL.Path, controlPrefix) {
		s.serveControl(w, req)
		return
	}
	now := time.Now()
	r := s.run.Load()
	rt := r.route(req.URL.Path)
	n := rt.enter()
	defer rt.leave()

	id := req.Header.Get(HeaderJobID)
	first := true
	if r.ids != nil && id != "" {
		first = r.ids.attempted(id)
	}
	if r.arrival != nil && first {
		r.arrival.observe(now, req.Header.Get(HeaderSent))
	}
	size, err := io.Copy(io.Discard, req.Body)
	r.bytes.Add(uint64(size))
	if err != nil {
		rt.count(clientLeft)
		panic(http.ErrAbortHandler)
	}

	d := rt.decide(n, now.Sub(r.started))
	if !sleep(req.Context(), d.latency) {
		rt.count(clientLeft)
		panic(http.ErrAbortHandler)
	}
	// Counted before the answer is written, so that a client that has its
	// answer finds it in the counts.
	rt.count(d.reply)
	if d.reply.success() && r.ids != nil && id != "" {
		r.ids.succeeded(id)
	}
	d.answer(w, req)
}

// route finds the longest registered prefix of path, whole segments at a time.
// Its cost grows with the depth of the path and not with the number of routes.
func (r *run) route(path string) *route {
	if len(r.routes) == 0 {
		return r.other
	}
	for path != "" {
		if rt, ok := r.routes[path]; ok {
			return rt
		}
		path = path[:strings.LastIndexByte(path, '/')+1]
		if rt, ok := r.routes[path]; ok {
			return rt // the root, the only prefix that ends in a slash
		}
		path = strings.TrimSuffix(path, "/")
	}
	return r.other
}
