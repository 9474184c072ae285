package sim

import (
	"net/http"
	"sync"
	"time"

	"centrifuge"
)

// world is the endpoints. Each has spells of bad behaviour while things go wrong,
// and is well otherwise.
type world struct {
	run       *run
	began     time.Time
	endpoints map[string]*endpoint // by host
	network   *network             // for the real client
}

// temper is how an endpoint behaves for a time.
type temper string

const (
	well      temper = "well"
	failing   temper = "failing"   // a share of 5xx, of all kinds
	slow      temper = "slow"      // answers after seconds, or after the attempt has timed out
	hanging   temper = "hanging"   // takes requests and never answers
	limiting  temper = "limiting"  // 429 beyond some requests a second for each source
	refusing  temper = "refusing"  // nobody listens
	resetting temper = "resetting" // closes connections in the middle
	rejecting temper = "rejecting" // a share of 4xx
	babbling  temper = "babbling"  // what it answers is not HTTP
)

type spell struct {
	from, to time.Duration
	temper   temper
	share    float64 // of the requests that suffer
	rate     int     // limiting: a second
	advises  bool    // sends Retry-After
}

type endpoint struct {
	host   string
	seed   uint64
	spells []spell

	mu struct {
		sync.Mutex
		second  int64
		counted map[string]int // requests of this second by source
	}
}

// reply is what an endpoint does with one request.
type reply struct {
	temper     temper
	latency    time.Duration
	status     int
	retryAfter time.Duration
}

func newWorld(r *run) *world {
	w := &world{run: r, began: time.Now(), endpoints: make(map[string]*endpoint)}
	for i, host := range r.plan.hosts {
		d := dice(r.plan.seed, "endpoint", uint64(i))
		e := &endpoint{host: host, seed: r.plan.seed}
		e.mu.counted = make(map[string]int)
		for at := between(d, 0, r.plan.faulty/2); at < r.plan.faulty; {
			s := spell{
				from: at, to: min(r.plan.faulty, at+between(d, time.Second, oneOf(d, time.Minute, r.plan.faulty))),
				temper:  oneOf(d, failing, failing, slow, hanging, limiting, limiting, refusing, resetting, rejecting, babbling),
				share:   oneOf(d, 0.05, 0.5, 1),
				rate:    1 + d.IntN(5),
				advises: happens(d, 0.5),
			}
			e.spells = append(e.spells, s)
			r.log.add("%s will be %s from %s to %s", host, s.temper, s.from, s.to)
			at = s.to + between(d, 0, r.plan.faulty/3)
		}
		w.endpoints[host] = e
	}
	return w
}

// answer decides what becomes of a request. Time decides, and dice of the
// attempt's own.
func (w *world) answer(host string, id centrifuge.ID, source string, attempt uint32) reply {
	e := w.endpoints[host]
	at := time.Since(w.began)
	d := dice(e.seed, "answer", number(id.String()), uint64(attempt))
	r := reply{temper: well, latency: between(d, time.Millisecond, 300*time.Millisecond), status: oneOf(d, 200, 201, 204)}
	for i := range e.spells {
		if s := &e.spells[i]; s.from <= at && at < s.to {
			e.suffer(&r, s, source, at)
			if r.temper = s.temper; !happens(d, s.share) && s.temper != limiting {
				return reply{temper: well, latency: r.latency, status: oneOf(d, 200, 204)}
			}
			e.detail(&r, s, d.IntN(1000))
		}
	}
	return r
}

// suffer counts what a limiting endpoint counts.
func (e *endpoint) suffer(r *reply, s *spell, source string, at time.Duration) {
	if s.temper != limiting {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if second := int64(at / time.Second); second != e.mu.second {
		e.mu.second = second
		clear(e.mu.counted)
	}
	if e.mu.counted[source]++; e.mu.counted[source] > s.rate {
		r.status = http.StatusTooManyRequests
	}
}

// detail fills in what the temper means for one request.
func (e *endpoint) detail(r *reply, s *spell, draw int) {
	switch s.temper {
	case failing:
		r.status = []int{500, 502, 503, 504, 408}[draw%5]
	case slow:
		r.latency = time.Duration(draw) * 20 * time.Millisecond
	case rejecting:
		r.status = []int{400, 401, 404, 410, 422, 301, 418, 501}[draw%8]
	case well, hanging, limiting, refusing, resetting, babbling:
	}
	if s.advises && (r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable) {
		r.retryAfter = time.Duration(1+draw%90) * time.Second
	}
}

// refuses reports whether nobody listens at the host now.
func (w *world) refuses(host string) bool {
	e, at := w.endpoints[host], time.Since(w.began)
	for i := range e.spells {
		if s := &e.spells[i]; s.temper == refusing && s.share == 1 && s.from <= at && at < s.to {
			return true
		}
	}
	return false
}
