package visibility_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/jobdb/mysql/mysqltest"
	"centrifuge/visibility"
	"centrifuge/visibility/mysql"
)

// fleet makes n benches whose Directors record in one schema, reached at the
// address.
func fleet(t *testing.T, address, schema string, n int, now time.Time) []*bench {
	t.Helper()
	benches := make([]*bench, n)
	for i := range benches {
		benches[i] = newBench(t, onServer(address, schema, fmt.Sprintf("director-%d", i)), now)
	}
	return benches
}

// together is the accounts of many worlds.
func together(worlds []*world) *world {
	all := &world{}
	for _, w := range worlds {
		all.facts = append(all.facts, w.facts...)
	}
	return all
}

// Two and three Directors record the same minutes of the same queues, each at its own
// pace: flushing at odd moments, restarting, hours behind the others, whose hours and
// days are sealed by then. Every one of them tells all of it, exactly.
func TestFleetIsExact(t *testing.T) {
	for _, n := range []int{2, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			server := mysqltest.Start(t)
			benches := fleet(t, server.Address, server.Schema(), n, start)
			random := rand.New(rand.NewPCG(uint64(n), 2))
			worlds := make([]*world, n)
			for i := range worlds {
				worlds[i] = newWorld(uint64(40+i), start)
			}
			for round := range 90 {
				i := random.IntN(n)
				if random.IntN(4) > 0 {
					i = round * n / 90 // so that one is far ahead
				}
				b, w := benches[i], worlds[i]
				b.Record(w.events(1+random.IntN(60), time.Duration(random.Int64N(int64(5*time.Minute)))))
				b.now = w.now
				if random.IntN(3) > 0 {
					b.flush()
				}
				if random.IntN(15) == 0 {
					b.flush()
					b.close()
					b.open()
				}
				if random.IntN(10) == 0 { // a reader keeps up, halfway
					for _, b := range benches {
						b.flush()
					}
					benches[random.IntN(n)].check(together(worlds), visibility.Filter{}, wide, time.Hour)
				}
			}
			for _, b := range benches {
				b.flush()
			}
			all := together(worlds)
			for _, b := range benches {
				for _, f := range []visibility.Filter{{}, {Source: "s1"}, {Destination: "d2"}, {Source: "s3", Destination: "d3"}, {Among: []string{"s1", "s4"}}} {
					b.check(all, f, wide, 24*time.Hour)
					b.check(all, f, visibility.Range{From: start, To: start.Add(3*time.Hour + time.Minute)}, 7*time.Minute)
				}
			}
		})
	}
}

// A write that the server carried out, or not, without an answer is repeated, and
// counted once.
func TestFleetUnknownOutcomes(t *testing.T) {
	server := mysqltest.Start(t)
	proxy := mysqltest.NewProxy(t, server.Address)
	benches := fleet(t, proxy.Address, server.Schema(), 2, start)
	worlds := []*world{newWorld(50, start), newWorld(51, start)}
	random, lost := rand.New(rand.NewPCG(5, 5)), 0
	var mu sync.Mutex
	trouble := func(command []byte) mysqltest.Fate {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case bytes.Contains(command, []byte("COMMIT")) && random.IntN(2) == 0:
			lost++
			return mysqltest.CutAnswer
		case random.IntN(20) == 0:
			return mysqltest.Cut
		}
		return mysqltest.Pass
	}
	for range 60 {
		for i, b := range benches {
			b.Record(worlds[i].events(20, 40*time.Second))
			b.now = worlds[i].now
		}
		proxy.Plan(trouble)
		for _, b := range benches {
			if b.Flush(t.Context()) == nil {
				_ = b.Tidy(t.Context())
			}
		}
		proxy.Plan(func([]byte) mysqltest.Fate { return mysqltest.Pass })
	}
	if lost < 20 {
		t.Fatalf("only %d answers were lost", lost)
	}
	for _, b := range benches {
		b.flush()
	}
	for _, b := range benches {
		b.check(together(worlds), visibility.Filter{}, wide, time.Hour)
		if gaps := b.gaps(wide); len(gaps) > 0 {
			t.Errorf("gaps %v", gaps)
		}
	}
}

// The death of a Director costs what it had not flushed; all see that it is missing,
// and what it had flushed is theirs to read, whether it comes back or not.
func TestFleetCrash(t *testing.T) {
	server := mysqltest.Start(t)
	benches := fleet(t, server.Address, server.Schema(), 2, start)
	worlds := []*world{newWorld(60, start), newWorld(61, start)}
	for i, b := range benches {
		b.Record(worlds[i].events(200, 10*time.Minute))
		b.now = worlds[i].now
		if err := b.Flush(t.Context()); err != nil { // not sealed
			t.Fatal(err)
		}
	}
	lost := worlds[1].facts
	benches[1].Record(worlds[1].events(30, time.Second))
	worlds[1].facts = lost
	benches[1].close()
	benches[0].now = start.Add(26 * time.Hour)
	benches[0].flush()
	benches[0].check(together(worlds), visibility.Filter{}, wide, time.Hour)
	benches[1].now = start.Add(27 * time.Hour)
	benches[1].open()
	benches[1].flush()
	for _, b := range benches {
		b.check(together(worlds), visibility.Filter{}, wide, time.Hour)
		if gaps := b.gaps(wide); len(gaps) != 1 {
			t.Errorf("gaps %v", gaps)
		}
	}
}

// A server that is away at the start, or later, holds nobody up: what is counted
// waits in memory, and what does not fit there is marked.
func TestFleetServerIsAway(t *testing.T) {
	server := mysqltest.Start(t)
	schema := server.Schema()
	server.Kill()
	b := &bench{t: t, folder: t.TempDir(), now: start}
	b.reopen = onServer(server.Address, schema, "late")(t, "")
	b.options.Late, b.record.MaxCells = true, 400
	b.open()
	t.Cleanup(b.close)
	w := newWorld(70, start)
	b.Record(w.events(100, time.Minute))
	b.now = w.now
	if err := b.Flush(t.Context()); err == nil {
		t.Fatal("it was stored nowhere")
	}
	if _, err := b.store.Summary(t.Context(), visibility.Filter{}, wide); err == nil {
		t.Error("a query was answered out of nothing")
	}
	server.Restart()
	b.flush()
	b.check(w, visibility.Filter{}, wide, time.Hour)

	server.Kill()
	b.Record(w.events(100, time.Minute))
	b.now = w.now
	if err := b.Flush(t.Context()); err == nil {
		t.Fatal("it was stored nowhere")
	}
	server.Restart()
	b.flush()
	b.check(w, visibility.Filter{}, wide, time.Hour)

	server.Kill()
	before := b.now
	for range 30 {
		b.Record(w.events(100, time.Minute))
		b.now = w.now
		if err := b.Flush(t.Context()); err == nil {
			t.Fatal("it was stored nowhere")
		}
	}
	server.Restart()
	b.flush()
	gaps := b.gaps(wide)
	if len(gaps) == 0 {
		t.Fatal("nothing is marked")
	}
	end := gaps[len(gaps)-1].To
	b.check(w, visibility.Filter{}, visibility.Range{From: start, To: before.Truncate(time.Minute)}, time.Hour)
	b.check(w, visibility.Filter{}, visibility.Range{From: end, To: w.now.Add(time.Minute)}, time.Minute)
}

// While the server hangs in the middle of a write, counting goes on, and nothing is
// lost or counted twice when it is over.
func TestFleetServerHangs(t *testing.T) {
	server := mysqltest.Start(t)
	proxy := mysqltest.NewProxy(t, server.Address)
	b, w := fleet(t, proxy.Address, server.Schema(), 1, start)[0], newWorld(75, start)
	b.Record(w.events(50, time.Minute))
	b.now = w.now
	hangs := make(chan struct{})
	var once sync.Once
	proxy.Plan(func(command []byte) mysqltest.Fate {
		if !bytes.Contains(command, []byte("COMMIT")) {
			return mysqltest.Pass
		}
		once.Do(func() { close(hangs) })
		return mysqltest.Hang
	})
	ctx, cancel := context.WithCancel(t.Context())
	flushed := make(chan error, 1)
	go func() { flushed <- b.Flush(ctx) }()
	<-hangs
	b.Record(w.events(500, time.Minute))
	cancel()
	if err := <-flushed; err == nil {
		t.Error("a write without an answer was taken for done")
	}
	proxy.Plan(func([]byte) mysqltest.Fate { return mysqltest.Pass })
	b.now = w.now
	b.flush()
	b.check(w, visibility.Filter{}, wide, time.Hour)
}

// Whoever is there drops the days of all, and the others forget them.
func TestFleetRetention(t *testing.T) {
	server := mysqltest.Start(t)
	schema := server.Schema()
	benches := fleet(t, server.Address, schema, 3, start)
	worlds := make([]*world, len(benches))
	for i, b := range benches {
		b.close()
		b.options.Retention, b.options.MaxQueues = 3*24*time.Hour, 60
		b.open()
		worlds[i] = newWorld(uint64(80+i), start)
		day := 0
		if i == 2 {
			day = -1 // of which only it has something
		}
		b.Record(worlds[i].ofDay(day))
		b.now = worlds[i].now
		b.flush()
	}
	benches[2].close() // for ever
	for day := 1; day < 12; day++ {
		for i, b := range benches[:2] {
			b.Record(worlds[i].ofDay(day))
			b.now = worlds[i].now
			b.flush()
		}
		now := benches[0].now
		r := visibility.Range{From: now.Truncate(24 * time.Hour), To: now.Add(time.Hour)}
		for _, b := range benches[:2] {
			b.check(together(worlds), visibility.Filter{}, r, time.Hour)
		}
	}
	if got := benches[0].summary(visibility.Range{From: start.Add(-48 * time.Hour), To: start.Add(time.Hour)}); got.Accepted != 0 {
		t.Error("the first days are still there")
	}
	tables := 0
	if err := server.Root().QueryRowContext(t.Context(), `SELECT COUNT(*) FROM information_schema.tables
		WHERE table_schema = ? AND table_name LIKE 'day%'`, schema).Scan(&tables); err != nil || tables > 2+4 {
		t.Errorf("%d tables, %v", tables, err)
	}
}

// Of two processes under one name only the later one writes.
func TestFleetSupersedes(t *testing.T) {
	server := mysqltest.Start(t)
	at := onServer(server.Address, server.Schema(), "director")
	first, second := newBench(t, at, start), newBench(t, at, start)
	w := newWorld(90, start)
	second.Record(w.events(100, time.Minute))
	second.now = w.now
	second.flush()
	first.Record(newWorld(91, start).events(100, time.Minute))
	first.now = w.now
	if err := first.Flush(t.Context()); !errors.Is(err, mysql.ErrSuperseded) {
		t.Errorf("the first of two wrote: %v", err)
	}
	second.check(w, visibility.Filter{}, wide, time.Hour)
}

// While others record, seal, restart and drop, a reader's numbers only grow.
func TestFleetIsReadAtOneMoment(t *testing.T) {
	server := mysqltest.Start(t)
	schema := server.Schema()
	writers := fleet(t, server.Address, schema, 2, start)
	reader := newBench(t, onServer(server.Address, schema, "reader"), start)
	worlds := []*world{newWorld(95, start), newWorld(96, start)}
	done := make(chan struct{})
	var writing, reading sync.WaitGroup
	for i, b := range writers {
		writing.Go(func() {
			for range 60 {
				b.Record(worlds[i].events(30, 3*time.Minute))
				b.now = worlds[i].now
				if err := errors.Join(b.Flush(t.Context()), b.Tidy(t.Context())); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, f := range []visibility.Filter{{}, {Source: "s1"}} {
		reading.Go(func() {
			last := int64(0)
			for {
				s, err := reader.store.Summary(t.Context(), f, wide)
				if err != nil || s.Accepted < last {
					t.Errorf("%d jobs after %d, %v", s.Accepted, last, err)
				}
				last = s.Accepted
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	reader.check(together(worlds), visibility.Filter{}, wide, time.Hour)
}

// Samples of all Directors are shown, the newest first, and codes of one number.
func TestFleetSamples(t *testing.T) {
	server := mysqltest.Start(t)
	benches := fleet(t, server.Address, server.Schema(), 2, start)
	queue := centrifuge.QueueKey{Source: "s", Destination: "d"}
	for i, b := range benches {
		for n := range 4 {
			b.now = start.Add(time.Duration(2*n+i) * time.Minute)
			b.Sample(&centrifuge.Job{Source: "s", Destination: "d", Endpoint: fmt.Sprintf("http://d/%d", 2*n+i)}, 1, delivery.Result{StatusCode: 503}, nil)
		}
		b.flush()
	}
	for _, b := range benches {
		samples, err := b.store.Samples(t.Context(), queue, nil)
		if err != nil || len(samples) != 5 || samples[0].Endpoint != "http://d/7" || samples[4].Endpoint != "http://d/3" {
			t.Errorf("samples %v, %v", samples, err)
		}
	}
}

// Each writer of a record finds the notes of the others, and its own last.
func TestNotesOfOthers(t *testing.T) {
	server := mysqltest.Start(t)
	benches := fleet(t, server.Address, server.Schema(), 3, start)
	for i, b := range benches {
		for day := range 3 {
			at := start.AddDate(0, 0, -day)
			if err := b.store.AddNote(t.Context(), at, fmt.Appendf(nil, "%d of %d", i, day)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, b := range benches {
		notes, err := b.store.LatestNotes(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string]int)
		for at, n := range notes {
			found[string(n.Data)] = at
		}
		for j := range benches {
			before, ok := found[fmt.Sprintf("%d of 1", j)]
			after, both := found[fmt.Sprintf("%d of 0", j)]
			if !ok || !both || before > after || i == j && after != len(notes)-1 {
				t.Errorf("writer %d found of %d: %v", i, j, found)
			}
		}
		if len(notes) != 2*len(benches) {
			t.Errorf("writer %d found %d notes, want %d", i, len(notes), 2*len(benches))
		}
	}
}
