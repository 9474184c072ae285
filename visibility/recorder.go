package visibility

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"centrifuge"
)

// RecorderOptions are what a [Recorder] is made of. Store and Alive are required;
// other zero fields mean the defaults.
type RecorderOptions struct {
	Store *Store

	// Alive is the path of a small file that tells, after a crash, which minutes
	// miss something.
	Alive string

	// Every is how often what was counted is stored; with thousands of busy queues
	// up to ten times less often. Default 2 s.
	Every time.Duration

	// MaxCells bounds what is held in memory while the store fails, in queues times
	// minutes; then the oldest minute is given up and marked as missing. A cell is
	// a quarter to half a kilobyte. Default 200,000.
	MaxCells int

	// SampleEvery is how often a queue's attempts with the same code are sampled, at
	// most. Default 10 s.
	SampleEvery time.Duration

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: none
}

// Recorder counts transitions in memory and stores them every few seconds. Record
// and Sample are safe for concurrent use and never wait for the store.
type Recorder struct {
	o       RecorderOptions
	scale   scale
	sampler sampler

	mu struct {
		sync.Mutex
		minutes map[minute]bucket
		cells   int     // in all minutes
		gaps    []Gap   // given up and not yet marked
		used    []*cell // to be used again, emptied
		bucket  bucket  // likewise
		streaks streaks
	}

	// The goroutine of Run, or whoever calls Flush, holds work.
	work    sync.Mutex
	stuck   []stuck // taken from mu, not yet known to be stored
	alive   *alive
	flushed int       // cells of the last flush
	failed  bool      // the last flush did
	sealed  minute    // all before it was sealed
	kept    time.Time // when retention was last seen to
}

// bucket is what was counted of a minute.
type bucket map[centrifuge.QueueKey]*cell

type stuck struct {
	minute minute
	flush  uint16
	cells  bucket
}

// NewRecorder makes a recorder. If the last one did not end in order, the time of
// which it may have counted something that it did not store is marked as missing.
func NewRecorder(ctx context.Context, o RecorderOptions) (*Recorder, error) {
	o.Every = cmp.Or(o.Every, 2*time.Second)
	o.MaxCells = cmp.Or(o.MaxCells, 200_000)
	o.SampleEvery = cmp.Or(o.SampleEvery, 10*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Recorder{o: o, scale: o.Store.scale}
	r.mu.minutes = make(map[minute]bucket)
	r.mu.streaks = make(streaks)
	r.sampler.init(o.SampleEvery)
	lost, err := readAlive(o.Alive)
	if err != nil {
		o.Logger.Warn("what the last process did not store is not known", "error", err)
	}
	if r.alive, err = openAlive(o.Alive, o.Now()); err != nil {
		return nil, err
	}
	if !lost.From.IsZero() {
		r.alive.owe(lost.From) // until it is marked
		lost.To = lost.To.Add(o.Every)
		r.mu.gaps = append(r.mu.gaps, lost)
		if err := r.Flush(ctx); err != nil {
			o.Logger.Warn("what the last process did not store cannot be marked as missing yet", "error", err)
		}
	}
	return r, nil
}

// Record counts the events.
func (r *Recorder) Record(events []centrifuge.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var last struct {
		minute minute
		queue  centrifuge.QueueKey
		cell   *cell
	}
	for i := range events {
		e := &events[i]
		if e.Step.State == centrifuge.StateExecuting || e.Step.State == centrifuge.StateArchiving {
			continue // what is counted is how they end
		}
		m, queue := minuteOf(e.Step.Time), e.Job.Queue()
		if last.cell == nil || m != last.minute || queue != last.queue {
			last.minute, last.queue, last.cell = m, queue, r.cellLocked(m, queue)
		}
		if r.count(last.cell, e) {
			r.mu.streaks.note(queue, &e.Step)
		}
	}
}

func (r *Recorder) cellLocked(m minute, queue centrifuge.QueueKey) *cell {
	b := r.mu.minutes[m]
	if b == nil {
		if b, r.mu.bucket = r.mu.bucket, nil; b == nil {
			b = make(bucket)
		}
		r.mu.minutes[m] = b
	}
	c := b[queue]
	if c == nil {
		if r.mu.cells >= r.o.MaxCells {
			r.giveUpLocked(m)
		}
		if n := len(r.mu.used); n > 0 {
			c, r.mu.used = r.mu.used[n-1], r.mu.used[:n-1]
		} else {
			c = &cell{}
		}
		b[queue] = c
		r.mu.cells++
	}
	return c
}

// giveUpLocked forgets the oldest minute but the one at hand, and notes that. If
// there is no other, what comes is more than a minute may hold: the minute at hand
// is begun anew, and marked.
func (r *Recorder) giveUpLocked(keep minute) {
	oldest := keep
	for m := range r.mu.minutes {
		if m != keep && (oldest == keep || m < oldest) {
			oldest = m
		}
	}
	r.mu.cells -= len(r.mu.minutes[oldest])
	clear(r.mu.minutes[oldest])
	if oldest != keep {
		delete(r.mu.minutes, oldest)
	}
	r.missLocked(Gap{oldest.time(), (oldest + 1).time(), "it could not be stored"})
}

// missLocked notes a gap to be marked; those that touch are one.
func (r *Recorder) missLocked(g Gap) {
	for i := range r.mu.gaps {
		if at := &r.mu.gaps[i]; at.Why == g.Why && !g.From.After(at.To) && !g.To.Before(at.From) {
			at.From, at.To = sooner(at.From, g.From), later(at.To, g.To)
			return
		}
	}
	r.mu.gaps = append(r.mu.gaps, g)
}

// count adds one event to its cell, and reports whether it is the end of an attempt.
func (r *Recorder) count(c *cell, e *centrifuge.Event) bool {
	t := &e.Step
	var outcome centrifuge.Outcome
	switch t.State {
	case centrifuge.StateAwaitingScheduling:
		c.n[nAccepted]++
		c.n[nAcceptedBytes] += int64(len(e.Job.Payload))
		return false
	case centrifuge.StateArchived:
		switch t.ErrorCode {
		case centrifuge.ErrorFlushed:
			c.n[nFlushed]++
		case centrifuge.ErrorAttempts:
			c.n[nSpent]++
		default:
			c.n[nExpired]++
		}
		return false
	case centrifuge.StateMoved:
		c.n[nMoved]++
		return false
	case centrifuge.StateSucceeded:
		outcome = centrifuge.OutcomeSucceeded
		c.n[nDeliveredBytes] += int64(len(e.Job.Payload))
		c.deliveredBy(t.Attempt, 1)
		c.delay.add(r.scale.bin(t.Time.Sub(e.Job.CreatedAt)), 1)
	case centrifuge.StateDiscarded:
		outcome = centrifuge.OutcomeDiscarded
	case centrifuge.StateAwaitingRetry:
		outcome = centrifuge.OutcomeRetry
	case centrifuge.StateExecuting, centrifuge.StateArchiving:
		return false
	}
	c.code(codeKey(outcome, CodeOf(t.StatusCode, t.ErrorCode).number()), 1)
	if t.Duration > 0 {
		c.latency.add(r.scale.bin(t.Duration), 1)
	}
	return true
}
