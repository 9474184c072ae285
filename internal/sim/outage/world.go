package main

import (
	"container/heap"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

// ttl is how long a job lives.
const ttl = 4 * time.Hour

// world is one Director's scheduler, its traffic and its endpoints.
type world struct {
	scenario scenario
	sched    *schedule.Scheduler
	random   *rand.Rand
	epoch    time.Time
	now      time.Duration // since epoch

	broken, others *stream
	endpoint       *endpoint
	under          requests // in flight, the first to end first
	retry          centrifuge.RetryPolicy

	jobs    uint64 // made
	ended   []uint64
	endings tally // of jobs to the broken endpoint
	rest    tally // of the others
	result  result
}

// tally counts jobs.
type tally struct {
	Submitted, Delivered, Archived, Twice int
	Attempts                              int
}

func (t *tally) pending() int { return t.Submitted - t.Delivered - t.Archived }

func newWorld(s scenario, v variant) *world {
	seed := rand.New(rand.NewPCG(s.Seed, 0)) //nolint:gosec // the same traffic in each run, on purpose
	w := &world{
		scenario: s,
		epoch:    time.Unix(1521305100, 0), // 17 March 2018
		random:   rand.New(rand.NewPCG(seed.Uint64(), 1)),
	}
	w.sched = schedule.New(schedule.Options{Random: rand.New(rand.NewPCG(seed.Uint64(), 2))}, w.epoch)
	w.broken, w.others = s.streams(seed)
	rate := s.Rate / float64(s.Directors)
	w.endpoint = &endpoint{
		random: w.random, kind: v.kind, success: s.Success, healthy: v.capacity * rate, degraded: s.Success * rate,
		from: s.Before, to: s.Before + s.Outage,
	}
	w.result = newResult(v, rate, &s)
	return w
}

// run lets all happen: to the end of the time that is given to the backlog, or
// until it is gone and a minute more.
func (w *world) run() result {
	recovered := w.scenario.recovered()
	end := recovered + w.scenario.After
	for w.now < end {
		w.pick()
		w.expire()
		w.step(end)
		switch {
		case w.now < recovered:
			w.result.backlog = w.endings.pending()
		case w.result.drained == 0 && float64(w.endings.pending()) < w.result.rate:
			w.result.drained = w.now - recovered
			end = min(end, max(w.now+time.Minute, recovered+watched))
		}
	}
	w.settle()
	w.result.endings, w.result.rest = w.endings, w.rest
	return w.result
}

// settle lets the jobs that are left come to their end, while none come any more.
func (w *world) settle() {
	w.broken.next, w.others.next = forever, forever
	for w.endings.pending()+w.rest.pending() > 0 && w.now < forever/2 {
		w.pick()
		w.expire()
		w.step(forever)
	}
}

const forever = time.Duration(1 << 62)

// watched is how long after the outage all traffic goes on in any case.
const watched = 10 * time.Minute

// step goes on to the next moment at which something happens, and lets it.
func (w *world) step(end time.Duration) {
	to := min(end, w.broken.next, w.others.next)
	if len(w.under) > 0 {
		to = min(to, w.under[0].ends)
	}
	if next, ok := w.sched.Next(w.at()); ok {
		to = min(to, next.Sub(w.epoch))
	}
	w.now = max(w.now, to)
	for len(w.under) > 0 && w.under[0].ends <= w.now {
		w.end(heap.Pop(&w.under).(request))
	}
	for _, s := range []*stream{w.broken, w.others} {
		for s.next <= w.now {
			w.submit(s.take())
		}
	}
}

func (w *world) at() time.Time { return w.epoch.Add(w.now) }

func (w *world) tally(q centrifuge.QueueKey) *tally {
	if q.Destination == broken {
		return &w.endings
	}
	return &w.rest
}

func (w *world) submit(q centrifuge.QueueKey) {
	if w.jobs%64 == 0 {
		w.ended = append(w.ended, 0)
	}
	w.tally(q).Submitted++
	w.sched.Ready(w.at(), q, job{number: w.jobs, made: w.now}.id(), w.at().Add(ttl))
	w.jobs++
}

// pick begins all requests that may begin.
func (w *world) pick() {
	var room [1]centrifuge.ID
	for {
		ticket, ids, ok := w.sched.Pick(w.at(), room[:0])
		if !ok {
			return
		}
		r := request{ticket: ticket, job: jobOf(ids[0])}
		r.job.attempt++
		w.tally(ticket.Queue).Attempts++
		toBroken := ticket.Queue.Destination == broken
		if r.job.attempt == 1 && !toBroken {
			w.result.waited(r.job.made, w.now)
		}
		var latency time.Duration
		if toBroken {
			w.result.sent(w.now)
			latency, r.ok = w.endpoint.answer(w.now)
		} else {
			latency, r.ok = healthyAnswer(w.random)
		}
		r.latency, r.ends = latency, w.now+latency
		heap.Push(&w.under, r)
	}
}

// end is what the Director does with an answer: a failed job waits for its
// backoff.
func (w *world) end(r request) {
	q := r.ticket.Queue
	feedback := schedule.Feedback{Result: schedule.Healthy, Latency: r.latency}
	if r.ok {
		w.finish(q, r.job, &w.tally(q).Delivered)
		if q.Destination == broken {
			w.result.delivered(w.now, w.now-r.job.made)
		}
	} else {
		feedback.Result = schedule.Failed
		at := w.at().Add(w.retry.Backoff(r.job.attempt, w.random))
		w.sched.Wait(w.at(), q, r.job.id(), w.epoch.Add(r.job.made+ttl), at)
	}
	w.sched.Done(w.at(), r.ticket, feedback)
	if q.Destination == broken {
		w.result.pending(w.now, w.endings.pending())
	}
}

func (w *world) expire() {
	for _, e := range w.sched.Expired(w.at(), nil) {
		w.finish(e.Queue, jobOf(e.ID), &w.tally(e.Queue).Archived)
	}
}

// finish counts a job's end, once.
func (w *world) finish(q centrifuge.QueueKey, j job, as *int) {
	word, bit := &w.ended[j.number/64], uint64(1)<<(j.number%64)
	if *word&bit != 0 {
		w.tally(q).Twice++
		return
	}
	*word |= bit
	*as++
}

// job is what the simulation knows of one. It is carried in the ID, as the scheduler
// keeps nothing else of a job.
type job struct {
	number  uint64
	made    time.Duration
	attempt uint32
}

func (j job) id() (id centrifuge.ID) {
	binary.BigEndian.PutUint64(id[0:], j.number)
	binary.BigEndian.PutUint64(id[8:], uint64(j.made))
	binary.BigEndian.PutUint32(id[16:], j.attempt)
	return id
}

func jobOf(id centrifuge.ID) job {
	return job{
		number:  binary.BigEndian.Uint64(id[0:]),
		made:    time.Duration(binary.BigEndian.Uint64(id[8:])),
		attempt: binary.BigEndian.Uint32(id[16:]),
	}
}

// request is one in flight.
type request struct {
	ends    time.Duration
	latency time.Duration
	ticket  schedule.Ticket
	job     job
	ok      bool
}

// requests is a heap.
type requests []request

func (r requests) Len() int           { return len(r) }
func (r requests) Less(i, j int) bool { return r[i].ends < r[j].ends }
func (r requests) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *requests) Push(x any)        { *r = append(*r, x.(request)) }
func (r *requests) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}
