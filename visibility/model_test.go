package visibility_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/visibility"
)

// world makes events of jobs as a Director would, and keeps its own accounts of them,
// in the plainest way: a list of facts.
type world struct {
	random *rand.Rand
	now    time.Time
	jobs   []*life
	seq    uint64
	facts  []fact
	made   uint64
	queues int
}

type life struct {
	job     *centrifuge.Job
	state   centrifuge.State
	attempt uint32
}

type fact struct {
	at      time.Time
	queue   centrifuge.QueueKey
	counts  visibility.Counts
	code    visibility.Code
	outcome centrifuge.Outcome
	attempt uint32 // of a success
	latency time.Duration
	delay   time.Duration
}

func newWorld(seed uint64, now time.Time) *world {
	return &world{random: rand.New(rand.NewPCG(seed, 1)), now: now, queues: 7}
}

// events makes n of them, over which about d passes.
func (w *world) events(n int, d time.Duration) []centrifuge.Event {
	events := make([]centrifuge.Event, 0, n)
	for range n {
		w.now = w.now.Add(time.Duration(w.random.Int64N(int64(2*d)/int64(n) + 1))).Truncate(time.Millisecond)
		events = append(events, w.event())
	}
	return events
}

func (w *world) event() centrifuge.Event {
	if len(w.jobs) == 0 || w.random.IntN(3) == 0 {
		return w.accept()
	}
	i := w.random.IntN(len(w.jobs))
	l := w.jobs[i]
	from := l.state
	step := centrifuge.Transition{JobID: l.job.ID, Time: w.now}
	f := fact{at: w.now, queue: l.job.Queue()}
	switch from {
	case centrifuge.StateAwaitingScheduling, centrifuge.StateAwaitingRetry:
		switch w.random.IntN(8) {
		case 0:
			step.State = centrifuge.StateArchiving
		case 1:
			step.State, f.counts.Moved = centrifuge.StateMoved, 1
		default:
			step.State = centrifuge.StateExecuting
			l.attempt++
		}
	case centrifuge.StateArchiving:
		step.State, f.counts.Archived = centrifuge.StateArchived, 1
		switch step.ErrorCode = [...]centrifuge.ErrorCode{"EXPIRED", "FLUSHED", "ATTEMPTS"}[w.random.IntN(3)]; step.ErrorCode {
		case centrifuge.ErrorExpired:
			f.counts.Expired = 1
		case centrifuge.ErrorFlushed:
			f.counts.Flushed = 1
		default:
			f.counts.Spent = 1
		}
	default:
		w.outcome(l, &step, &f)
	}
	w.seq++
	step.Seq, step.Attempt, l.state = w.seq, l.attempt, step.State
	w.facts = append(w.facts, f)
	if step.State.Terminal() {
		w.jobs = slices.Delete(w.jobs, i, i+1)
	}
	return centrifuge.Event{Job: l.job, From: from, Step: step}
}

func (w *world) outcome(l *life, step *centrifuge.Transition, f *fact) {
	step.Duration = time.Duration(w.random.ExpFloat64() * float64(200*time.Millisecond))
	f.latency = step.Duration
	switch n := w.random.IntN(10); {
	case n < 5:
		step.State, step.StatusCode, f.outcome = centrifuge.StateSucceeded, 200+w.random.IntN(3), centrifuge.OutcomeSucceeded
		f.counts.Succeeded, f.counts.DeliveredBytes, f.attempt = 1, int64(len(l.job.Payload)), l.attempt
		if l.attempt == 1 {
			f.counts.FirstAttempt = 1
		}
		f.delay = w.now.Sub(l.job.CreatedAt)
	case n < 8:
		step.State, f.outcome, f.counts.Retried = centrifuge.StateAwaitingRetry, centrifuge.OutcomeRetry, 1
		if n < 7 {
			step.StatusCode = 500 + w.random.IntN(4)
		} else {
			step.ErrorCode = centrifuge.ErrorCodes[w.random.IntN(15)]
		}
	default:
		step.State, f.outcome, f.counts.Discarded = centrifuge.StateDiscarded, centrifuge.OutcomeDiscarded, 1
		step.StatusCode = []int{400, 401, 403, 999, 1}[w.random.IntN(5)]
	}
	f.code = visibility.CodeOf(step.StatusCode, step.ErrorCode)
}

func (w *world) accept() centrifuge.Event {
	w.made++
	job := &centrifuge.Job{
		Source:      fmt.Sprintf("s%d", w.random.IntN(w.queues)),
		Destination: fmt.Sprintf("d%d", w.random.IntN(w.queues)),
		Payload:     make([]byte, w.random.IntN(3000)),
		CreatedAt:   w.now, ExpireAt: w.now.Add(4 * time.Hour),
	}
	binary.BigEndian.PutUint64(job.ID[:], w.made)
	w.jobs = append(w.jobs, &life{job: job, state: centrifuge.StateAwaitingScheduling})
	w.facts = append(w.facts, fact{at: w.now, queue: job.Queue(), counts: visibility.Counts{Accepted: 1, AcceptedBytes: int64(len(job.Payload))}})
	return centrifuge.Event{Job: job, Step: centrifuge.Transition{JobID: job.ID, State: centrifuge.StateAwaitingScheduling, Time: w.now}}
}

// sum is what the world's own accounts say.
type sum struct {
	visibility.Counts
	codes    map[visibility.CodeCount]int64
	attempts map[int]int64
	latency  []time.Duration
	delay    []time.Duration
}

func (w *world) sum(f visibility.Filter, r visibility.Range) sum {
	s := sum{codes: map[visibility.CodeCount]int64{}, attempts: map[int]int64{}}
	for i := range w.facts {
		fact := &w.facts[i]
		if fact.at.Before(r.From) || !fact.at.Before(r.To) || !matches(f, fact.queue) {
			continue
		}
		addCounts(&s.Counts, &fact.counts)
		if fact.outcome != 0 {
			s.codes[visibility.CodeCount{Outcome: fact.outcome, Code: fact.code}]++
			s.latency = append(s.latency, fact.latency)
		}
		if fact.attempt > 0 {
			s.attempts[min(int(fact.attempt), visibility.MaxAttemptShown)]++
			s.delay = append(s.delay, fact.delay)
		}
	}
	return s
}

func matches(f visibility.Filter, q centrifuge.QueueKey) bool {
	return (f.Source == "" || f.Source == q.Source) && (f.Destination == "" || f.Destination == q.Destination) &&
		(f.Among == nil || slices.Contains(f.Among, q.Source))
}

func addCounts(to, c *visibility.Counts) {
	to.Accepted += c.Accepted
	to.Succeeded += c.Succeeded
	to.Retried += c.Retried
	to.Discarded += c.Discarded
	to.Archived += c.Archived
	to.Moved += c.Moved
	to.FirstAttempt += c.FirstAttempt
	to.Expired += c.Expired
	to.Flushed += c.Flushed
	to.Spent += c.Spent
	to.AcceptedBytes += c.AcceptedBytes
	to.DeliveredBytes += c.DeliveredBytes
}

// bench is a store and a recorder, with a folder and a clock that tests set.
type bench struct {
	t       testing.TB
	folder  string
	reopen  func() visibility.Backend
	now     time.Time
	options visibility.StoreOptions
	record  visibility.RecorderOptions
	store   *visibility.Store
	*visibility.Recorder
}

func newBench(t testing.TB, at place, now time.Time) *bench {
	b := &bench{t: t, folder: t.TempDir(), now: now}
	b.reopen = at(t, b.folder)
	b.open()
	t.Cleanup(func() { b.close() })
	return b
}

func (b *bench) open() {
	b.t.Helper()
	var err error
	b.options.Backend, b.options.Now = b.reopen(), func() time.Time { return b.now }
	b.options.Others, _ = b.options.Backend.(visibility.Others)
	if b.store, err = visibility.OpenStore(b.t.Context(), b.options); err != nil {
		b.t.Fatal(err)
	}
	b.record.Store, b.record.Alive, b.record.Now = b.store, filepath.Join(b.folder, "alive"), b.options.Now
	if b.Recorder, err = visibility.NewRecorder(b.t.Context(), b.record); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) close() {
	if b.store != nil {
		if err := b.store.Close(); err != nil {
			b.t.Error(err)
		}
		b.store = nil
	}
}

// flush stores, and seals what is over.
func (b *bench) flush() {
	b.t.Helper()
	if err := b.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if err := b.Tidy(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// check compares every number that the store tells with the world's own.
func (b *bench) check(w *world, f visibility.Filter, r visibility.Range, step time.Duration) {
	b.t.Helper()
	ctx := b.t.Context()
	want := w.sum(f, r)
	got, err := b.store.Summary(ctx, f, r)
	if err != nil {
		b.t.Fatal(err)
	}
	if got.Counts != want.Counts {
		b.t.Fatalf("%+v of %v\n got %+v\nwant %+v", f, r, got.Counts, want.Counts)
	}
	near(b.t, got.Latency, want.latency)
	near(b.t, got.Delay, want.delay)
	b.checkSeries(ctx, w, f, r, step)

	codes, err := b.store.Breakdown(ctx, f, r)
	if err != nil {
		b.t.Fatal(err)
	}
	told := map[visibility.CodeCount]int64{}
	for _, c := range codes {
		told[visibility.CodeCount{Outcome: c.Outcome, Code: c.Code}] += c.Count
	}
	if !maps.Equal(told, want.codes) {
		b.t.Fatalf("codes of %+v\n got %v\nwant %v", f, told, want.codes)
	}
	attempts, err := b.store.ByAttempt(ctx, f, r)
	if err != nil {
		b.t.Fatal(err)
	}
	by := map[int]int64{}
	for _, a := range attempts {
		by[a.Attempt] += a.Succeeded
	}
	if !maps.Equal(by, want.attempts) {
		b.t.Fatalf("attempts of %+v\n got %v\nwant %v", f, by, want.attempts)
	}
	for _, by := range []visibility.By{visibility.ByQueue, visibility.ByDestination, visibility.BySource} {
		b.checkTop(ctx, w, by, f, r)
	}
}

func (b *bench) checkSeries(ctx context.Context, w *world, f visibility.Filter, r visibility.Range, step time.Duration) {
	b.t.Helper()
	points, err := b.store.Series(ctx, f, r, step)
	if err != nil {
		b.t.Fatal(err)
	}
	for i, p := range points {
		to := r.To
		if i+1 < len(points) {
			to = points[i+1].Start
		}
		part := visibility.Range{From: p.Start, To: to}
		if part.From.Before(r.From) {
			part.From = r.From
		}
		if want := w.sum(f, part); p.Counts != want.Counts {
			b.t.Fatalf("point %v of %v by %v\n got %+v\nwant %+v", p.Start, r, step, p.Counts, want.Counts)
		}
	}
}

func (b *bench) checkTop(ctx context.Context, w *world, by visibility.By, f visibility.Filter, r visibility.Range) {
	b.t.Helper()
	rows, err := b.store.Top(ctx, by, f, r, visibility.OrderVolume, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	var all visibility.Counts
	for i, row := range rows {
		one := f
		if row.Source != "" {
			one.Source = row.Source
		}
		if row.Destination != "" {
			one.Destination = row.Destination
		}
		want := w.sum(one, r)
		if row.Counts != want.Counts {
			b.t.Fatalf("row %s to %s of %+v\n got %+v\nwant %+v", row.Source, row.Destination, f, row.Counts, want.Counts)
		}
		near(b.t, row.Latency, want.latency)
		near(b.t, row.Delay, want.delay)
		drawn := int64(0)
		for _, n := range row.Spark {
			drawn += n
		}
		if drawn != row.Attempts() || len(row.Spark) > visibility.SparkPoints {
			b.t.Fatalf("the sparkline of %s to %s has %d points and %d attempts of %d", row.Source, row.Destination, len(row.Spark), drawn, row.Attempts())
		}
		if i > 0 && rows[i-1].Attempts() < row.Attempts() {
			b.t.Fatal("the rows are not in order")
		}
		addCounts(&all, &row.Counts)
	}
	for i := range rows {
		rows[i].Latency, rows[i].Delay = visibility.Quantiles{}, visibility.Quantiles{}
	}
	if volumes, err := b.store.Volumes(ctx, by, f, r); err != nil || !reflect.DeepEqual(volumes, rows) {
		b.t.Fatalf("without durations, rows by %v of %+v\n got %+v, %v\nwant %+v", by, f, volumes, err, rows)
	}
	if want := w.sum(f, r); all != want.Counts {
		b.t.Fatalf("rows by %v of %+v\n got %+v\nwant %+v", by, f, all, want.Counts)
	}
}

// near checks that quantiles are at most 2 % off.
func near(t testing.TB, got visibility.Quantiles, all []time.Duration) {
	t.Helper()
	if got.Count != int64(len(all)) {
		t.Fatalf("%d durations, want %d", got.Count, len(all))
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	for q, d := range map[float64]time.Duration{0.5: got.P50, 0.95: got.P95, 0.99: got.P99} {
		want := max(all[int(q*float64(len(all)-1))], time.Microsecond)
		if diff := (d - want).Abs(); float64(diff) > 0.021*float64(want)+1000 {
			t.Fatalf("quantile %v is %v, want %v", q, d, want)
		}
	}
}
