package schedule

import (
	"math"
	"math/rand/v2"
	"time"

	"centrifuge"
)

// Options are the limits that hold where no policy says otherwise. Zero fields
// mean the defaults.
type Options struct {
	MaxInFlight       int // requests in flight over everything; 1024
	MaxPerDestination int // requests in flight to one destination; 128
	MaxPerQueue       int // requests in flight of one queue; 128

	InitialLimit  int           // concurrency at which a queue or destination starts; 8
	FailureRun    int           // consecutive failures that open a breaker; 10
	ProbeMin      time.Duration // first wait of an open breaker before it probes; 1 s
	ProbeMax      time.Duration // longest such wait; 60 s
	MaxRetryAfter time.Duration // longest Retry-After that is respected; 1 h

	Random *rand.Rand // jitters the probes; by default seeded at random
}

func (o Options) withDefaults() Options {
	positive(&o.MaxInFlight, 1024)
	positive(&o.MaxPerDestination, 128)
	positive(&o.MaxPerQueue, 128)
	positive(&o.InitialLimit, 8)
	positive(&o.FailureRun, 10)
	positive(&o.ProbeMin, time.Second)
	positive(&o.ProbeMax, time.Minute)
	positive(&o.MaxRetryAfter, time.Hour)
	o.ProbeMax = max(o.ProbeMax, o.ProbeMin)
	if o.Random == nil {
		o.Random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return o
}

func positive[T int | time.Duration](v *T, byDefault T) {
	if *v <= 0 {
		*v = byDefault
	}
}

// Scheduler holds the jobs of one Director that are not being sent, and says
// which are next. It is not safe for concurrent use.
type Scheduler struct {
	options Options
	outage  outage
	clock   clock

	slab    slab
	wheel   wheel
	expired list // jobs whose time ran out, until Expired takes them
	flushed list // jobs that an operator flushed, until Expired takes them

	queues     []*queue
	byKey      map[centrifuge.QueueKey]uint32
	freeQueues []uint32
	dests      []*destination
	byName     map[string]uint32
	freeDests  []uint32

	root         fair // destinations take turns in it
	queueGate    func(id uint32) *gate
	queueTimers  heap[int64]  // when to look at a queue again, on the running clock
	destTimers   heap[int64]  // when to look at a destination again, on the running clock
	readyExpires heap[uint32] // when to look for expired jobs among a queue's ready ones
	queuePlaces  places       // of queues in the heaps
	destPlaces   places       // of destinations in the heaps

	policies map[centrifuge.QueueKey]*centrifuge.QueuePolicy
	parts    int // of what policies bound, one of which is ours
	totals   Totals
}

// New makes an empty Scheduler.
func New(o Options, now time.Time) *Scheduler {
	o = o.withDefaults()
	s := &Scheduler{
		options: o,
		outage: outage{
			initial:    float32(o.InitialLimit),
			failureRun: uint16(min(o.FailureRun, math.MaxUint16)),
			probeMin:   o.ProbeMin,
			probeMax:   o.ProbeMax,
			random:     o.Random,
		},
		clock:    newClock(now),
		byKey:    make(map[centrifuge.QueueKey]uint32),
		byName:   make(map[string]uint32),
		policies: make(map[centrifuge.QueueKey]*centrifuge.QueuePolicy),
		parts:    1,
	}
	s.wheel = wheel{slab: &s.slab, hand: s.clock.tick}
	s.root = newFair(&s.destPlaces, func(id uint32) *gate { return &s.dests[id].gate })
	s.queueGate = func(id uint32) *gate { return &s.queues[id].gate }
	s.queueTimers = heap[int64]{place: &s.queuePlaces, column: columnTimer}
	s.destTimers = heap[int64]{place: &s.destPlaces, column: columnTimer}
	s.readyExpires = heap[uint32]{place: &s.queuePlaces, column: columnExpires}
	return s
}

// Ready puts in a new job, which may be sent at once.
func (s *Scheduler) Ready(now time.Time, key centrifuge.QueueKey, id centrifuge.ID, expireAt time.Time) {
	s.observe(now)
	q := s.put(key, item{id: id, due: s.clock.tick, expire: s.clock.ceil(expireAt)})
	q.health.arrive(s.clock.running)
	s.dests[q.dest].health.arrive(s.clock.running)
}

// Wait puts in a job that may be sent from retryAt on. If it expires first it
// only waits for that.
func (s *Scheduler) Wait(now time.Time, key centrifuge.QueueKey, id centrifuge.ID, expireAt, retryAt time.Time) {
	s.observe(now)
	s.put(key, item{id: id, due: s.clock.ceil(retryAt), expire: s.clock.ceil(expireAt)})
}

func (s *Scheduler) put(key centrifuge.QueueKey, it item) *queue {
	it.queue = s.queue(key)
	if s.route(it) {
		s.place(it.queue)
	}
	return s.queues[it.queue]
}

// route brings an item to where it belongs now, and reports whether its queue,
// which had none, has ready jobs by that.
func (s *Scheduler) route(it item) bool {
	q := s.queues[it.queue]
	switch {
	case it.expire <= s.clock.tick:
		s.leave(q, &s.expired, it)
	case it.expire-1 <= max(it.due, s.clock.tick):
		it.due = it.expire
		s.wait(q, it)
	case it.due > s.clock.tick:
		s.wait(q, it)
	default:
		return s.ready(q, it)
	}
	return false
}

func (s *Scheduler) ready(q *queue, it item) bool {
	s.slab.push(&q.ready, it)
	s.totals.Ready++
	s.readyExpires.advance(it.queue, wholeSecond(it.expire))
	return q.ready.n == 1
}

func (s *Scheduler) wait(q *queue, it item) {
	s.wheel.add(it)
	q.waiting++
	s.totals.Waiting++
}

func (s *Scheduler) leave(q *queue, out *list, it item) {
	s.slab.push(out, it)
	q.leaving++
	s.totals.Leaving++
}

// Ticket is the right to send one request, from Pick to Done.
type Ticket struct {
	Queue centrifuge.QueueKey // whose jobs were picked

	queue uint32
	own   mark // of the queue
	dest  mark // of the destination
}

// Pick says what to send next: the jobs of one request, all of one queue and at
// most as many as its policy's BatchSize, appended to ids. It takes a place
// among the requests in flight, which the Ticket must give back to
// [Scheduler.Done], and a token for each job.
//
// It returns false when nothing may be sent now. When a great many jobs fall due
// at once it looks at a bounded number of them a call; then it may return false
// although there is more, and [Scheduler.Next] names a time that has come.
func (s *Scheduler) Pick(now time.Time, ids []centrifuge.ID) (Ticket, []centrifuge.ID, bool) {
	s.observe(now)
	s.catchUp()
	for free := s.free(); free > 0; {
		did, ok := s.root.next(free)
		if !ok {
			break
		}
		d := s.dests[did]
		qid, ok := d.turns.next(s.bound(d))
		if !ok {
			s.placeDestination(did)
			continue
		}
		if t, picked, ok := s.take(did, qid, ids); ok {
			return t, picked, true
		}
		s.place(qid) // all it had is expired
	}
	return Ticket{}, ids, false
}

// take makes a request of the queue's first jobs.
func (s *Scheduler) take(did, qid uint32, ids []centrifuge.ID) (Ticket, []centrifuge.ID, bool) {
	d, q, now := s.dests[did], s.queues[qid], s.clock.running
	size := max(q.policy.BatchSize, 1)
	if q.health.breaker == Open || d.health.breaker == Open {
		size = 1 // a probe
	}
	size = min(size, q.bucket.tokens(now, q.bounds), d.bucket.tokens(now, d.bounds))
	n := 0
	for n < size {
		it, ok := s.slab.pop(&q.ready)
		if !ok {
			break
		}
		s.totals.Ready--
		if it.expiring(s.clock.tick) {
			s.route(it)
			continue
		}
		ids = append(ids, it.id)
		n++
	}
	if n == 0 {
		return Ticket{}, ids, false
	}
	t := Ticket{Queue: q.key, queue: qid, own: q.pass(n, now), dest: d.pass(n, now)}
	s.totals.InFlight++
	d.turns.serve(qid, n)
	s.root.serve(did, n)
	s.place(qid)
	return t, ids, true
}

// Feedback is what came of a request.
type Feedback struct {
	Result     Result
	RetryAfter time.Duration // with Failed: how long the endpoint wants to be left alone
	Latency    time.Duration // of the request; 0 if none was made
}

// Done ends what Pick began. It is called exactly once for each Ticket.
func (s *Scheduler) Done(now time.Time, t Ticket, f Feedback) {
	s.observe(now)
	q := s.queues[t.queue]
	d := s.dests[q.dest]
	s.totals.QueueBreakersOpen -= q.health.holding()
	s.totals.DestinationBreakersOpen -= d.health.holding()
	s.learn(d, q, t, f)
	s.totals.QueueBreakersOpen += q.health.holding()
	s.totals.DestinationBreakersOpen += d.health.holding()
	q.inFlight--
	d.inFlight--
	s.totals.InFlight--
	s.place(t.queue)
}

// learn tells the controllers what came of a request.
//
// A destination learns nothing from a queue that is in trouble while it is not
// itself: the failing endpoint of one customer says little of the others.
func (s *Scheduler) learn(d *destination, q *queue, t Ticket, f Feedback) {
	now := s.clock.running
	if f.Latency > 0 {
		q.health.time(f.Latency)
		d.health.time(f.Latency)
	}
	general := t.dest.probe || d.health.inTrouble || !q.health.inTrouble
	switch f.Result {
	case Healthy:
		q.health.succeed(t.own.probe, q.used(), q.ceiling(int32(s.options.MaxPerQueue)))
		if general {
			d.succeeded()
			d.health.succeed(t.dest.probe, d.used(), d.ceiling(int32(s.options.MaxPerDestination)))
		}
	case Failed:
		q.health.fail(now, t.own, true, &s.outage)
		if f.RetryAfter > 0 {
			hold := min(f.RetryAfter, s.options.MaxRetryAfter)
			q.health.notBefore = max(q.health.notBefore, now+int64(hold))
		}
		if general {
			d.failed(q)
			d.health.fail(now, t.dest, d.wide(), &s.outage)
		}
	default:
		q.health.neutral(now, t.own, &s.outage)
		d.health.neutral(now, t.dest, &s.outage)
	}
}

// free is how many requests may still be sent, over everything.
func (s *Scheduler) free() int32 { return int32(s.options.MaxInFlight - s.totals.InFlight) }

// greed is how many times what is free in a destination one of several queues
// may hold: four fifths of the room for one, then, and eight ninths for two.
const greed = 4

// bound is how many requests a queue of the destination may hold.
func (s *Scheduler) bound(d *destination) int32 {
	if d.queues < 2 {
		return math.MaxInt32
	}
	return greed * (d.room(int32(s.options.MaxPerDestination)) - d.inFlight)
}
