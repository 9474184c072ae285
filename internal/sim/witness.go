package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// witness sees what really happens - what persists, what is sent, what was
// answered - whatever the Director is made to believe, and checks every step of it
// against what must hold. It keeps its own account of each job, which is compared
// to the JobDB and the archive in the end.
type witness struct {
	run   *run
	store store

	mu struct {
		sync.Mutex
		tenure  int  // of those that were ever begun; it is the epoch, too
		under   bool // the last one is under way
		lastSeq uint64
		stalled time.Time // virtual: since when the JobDB refuses commits; zero if it does not

		jobs         map[centrifuge.ID]*witnessed
		tags         map[string]centrifuge.ID // of jobs that are no replays
		replays      map[centrifuge.ID]centrifuge.ID
		transactions map[string][]centrifuge.ID
		refused      map[string]bool // tags of jobs in Submits that were refused

		tries     []*try // of the tenure
		flights   flights
		words     words // of operators
		broken    []string
		firstFail chan struct{} // closed when something is broken
	}
}

// witnessed is all that was seen of a job.
type witnessed struct {
	job      centrifuge.Job
	tag      string
	life     centrifuge.Life
	log      []centrifuge.Transition
	accepted time.Time // virtual: when it became durable
	retried  time.Time // virtual: when its last awaiting_retry did

	tries       []*try
	interrupted uint32 // attempts whose end the log calls unknown
	answered    int    // times an endpoint answered 2xx
	excuses     int    // attempts of whose acceptance the Director could not know
	dated       bool   // its awaiting_scheduling has a row
}

// try is one attempt.
type try struct {
	job     *witnessed
	tenure  int
	number  uint32
	over    bool
	durable bool // its outcome is
	outcome centrifuge.Outcome
}

func newWitness(r *run, s store) *witness {
	w := &witness{run: r, store: s}
	w.mu.jobs = make(map[centrifuge.ID]*witnessed)
	w.mu.tags = make(map[string]centrifuge.ID)
	w.mu.replays = make(map[centrifuge.ID]centrifuge.ID)
	w.mu.transactions = make(map[string][]centrifuge.ID)
	w.mu.refused = make(map[string]bool)
	w.mu.flights = newFlights()
	w.mu.words = newWords()
	w.mu.firstFail = make(chan struct{})
	return w
}

// breaks notes that something that must hold does not.
func (w *witness) breaks(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breaksLocked(format, args...)
}

func (w *witness) breaksLocked(format string, args ...any) {
	violation := fmt.Sprintf(format, args...)
	w.run.log.add("VIOLATION: %s", violation)
	if len(w.mu.broken) == 0 {
		close(w.mu.firstFail)
	}
	if len(w.mu.broken) < 20 {
		w.mu.broken = append(w.mu.broken, violation)
	}
}

// begin opens the JobDB for the next tenure of a process.
func (w *witness) begin(p *process) (tenure int, db jobdb.DB, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.dead.Load() {
		return 0, nil, errCrashed
	}
	w.endLocked()
	w.mu.tenure++
	w.mu.under = true
	w.mu.flights = newFlights()
	w.mu.stalled = time.Time{}
	w.run.log.add("tenure %d begins", w.mu.tenure)
	db, err = w.store.open(uint64(w.mu.tenure))
	return w.mu.tenure, db, err
}

// died marks the process dead, and reports whether it was alive.
func (w *witness) died(p *process) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.dead.Swap(true) {
		return false
	}
	w.endLocked()
	if err := w.store.crash(); err != nil {
		w.breaksLocked("the simulation failed: %v", err)
	}
	return true
}

// ended hears that the process has ended. One that was told to and had no trouble
// leaves nothing unflushed.
func (w *witness) ended(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.dead.Swap(true) {
		return
	}
	if lost := w.endLocked(); lost > 0 && p.err == nil {
		w.breaksLocked("a clean shutdown lost the outcomes of %d attempts", lost)
	}
}

// endLocked ends the tenure: the attempts whose outcome is not durable are the
// duplicates that may come of it. It returns how many they are.
func (w *witness) endLocked() (lost int) {
	if !w.mu.under {
		return 0
	}
	w.mu.under = false
	for _, t := range w.mu.tries {
		if !t.durable {
			t.job.excuses++
			lost++
		}
	}
	w.mu.tries = w.mu.tries[:0]
	return lost
}

// commit lets a batch persist, if its owner lives, and takes it down.
func (w *witness) commit(ctx context.Context, o *observed, b *jobdb.Batch) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o.process.dead.Load() {
		return errCrashed
	}
	if o.tenure != w.mu.tenure {
		w.breaksLocked("tenure %d commits while tenure %d is under way", o.tenure, w.mu.tenure)
	}
	if err := o.DB.Commit(ctx, b); err != nil {
		return err
	}
	w.mu.stalled = time.Time{}
	for _, job := range b.Jobs {
		w.acceptLocked(job)
	}
	for _, tx := range b.Transactions {
		if _, known := w.mu.transactions[tx.ID]; known {
			w.breaksLocked("transaction %q was made durable twice", tx.ID)
		}
		w.mu.transactions[tx.ID] = append([]centrifuge.ID{}, tx.JobIDs...)
	}
	for i := range b.Transitions() {
		w.stepLocked(&b.Transitions()[i])
	}
	w.run.log.add("durable: %d jobs, %d transitions, %d policies", len(b.Jobs), len(b.Transitions()), len(b.Policies))
	return nil
}

// acceptLocked takes down a job that became durable.
func (w *witness) acceptLocked(job *centrifuge.Job) {
	j := &witnessed{job: clone(job), tag: tagOf(job.Payload), life: centrifuge.Life{State: centrifuge.StateAwaitingScheduling}, accepted: time.Now()}
	switch {
	case w.mu.jobs[job.ID] != nil:
		w.breaksLocked("job %s became durable twice", job.ID)
		return
	case !job.ReplayOf.IsZero():
		if other, replayed := w.mu.replays[job.ReplayOf]; replayed {
			w.breaksLocked("archived job %s was replayed as %s and as %s", job.ReplayOf, other, job.ID)
		}
		w.mu.replays[job.ReplayOf] = job.ID
	case w.mu.refused[j.tag]:
		w.breaksLocked("job %s of a refused Submit was enqueued: %s", job.ID, j.tag)
	default:
		if other, twice := w.mu.tags[j.tag]; twice {
			w.breaksLocked("one job of one transaction was enqueued as %s and as %s: %s", other, job.ID, j.tag)
		}
		w.mu.tags[j.tag] = job.ID
	}
	w.mu.jobs[job.ID] = j
}

// stalls hears that the Director knows that a commit of transitions has failed.
func (w *witness) stalls() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.stalled.IsZero() {
		w.mu.stalled = time.Now()
	}
}
