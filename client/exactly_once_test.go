package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/client"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/fanout"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlite"
	"centrifuge/lease/leasetest"
	"centrifuge/rpc"
)

// receiver takes messages and remembers by which jobs each has come.
type receiver struct {
	url   string
	close func()

	mu   sync.Mutex
	jobs map[string]map[string]bool // by message
	came *sync.Cond
}

func newReceiver() *receiver {
	r := &receiver{jobs: make(map[string]map[string]bool)}
	r.came = sync.NewCond(&r.mu)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		message, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.jobs[string(message)] == nil {
			r.jobs[string(message)] = make(map[string]bool)
		}
		r.jobs[string(message)][req.Header.Get("Idempotency-Key")] = true
		r.came.Broadcast()
	}))
	r.url, r.close = server.URL, server.Close
	return r
}

// await waits for so many different messages and returns them, sorted.
func (r *receiver) await(n int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.jobs) < n {
		r.came.Wait()
	}
	var messages []string
	for message := range r.jobs {
		messages = append(messages, message)
	}
	slices.Sort(messages)
	return messages
}

// life is a Director on the JobDB in dir that listens on loopback, until it is
// killed.
type life struct {
	d       *director.Director
	dead    atomic.Bool
	deathAt string // "before" or "after": at the next commit of a transaction in state
	state   jobdb.TransactionState
	mu      sync.Mutex
	server  *httptest.Server
	end     func()
}

var errDead = errors.New("the process is dead")

// mortal is the JobDB of a life: after death nothing is persisted any more.
type mortal struct {
	jobdb.DB
	life *life
}

func (m *mortal) Commit(ctx context.Context, b *jobdb.Batch) error {
	if m.life.dead.Load() {
		return errDead
	}
	hit := m.life.doomed(b)
	if hit != "before" {
		if err := m.DB.Commit(ctx, b); err != nil || hit == "" {
			return err
		}
	}
	m.life.die()
	return errDead
}

// doomed reports whether the commit is the one at which the life is to end, and
// when.
func (l *life) doomed(b *jobdb.Batch) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, tx := range b.Transactions {
		if tx.State == l.state && l.deathAt != "" {
			at := l.deathAt
			l.deathAt = ""
			return at
		}
	}
	return ""
}

func (l *life) doom(at string, state jobdb.TransactionState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deathAt, l.state = at, state
}

// die ends the life at once: connections break, nothing is persisted.
func (l *life) die() {
	l.dead.Store(true)
	l.server.CloseClientConnections()
	_ = l.server.Listener.Close() // nobody listens any more
}

// live begins a life. The address is that of an earlier one, or empty.
func live(dir, address string, epoch uint64) (*life, error) {
	l := &life{}
	folder, err := archive.OpenFolder(filepath.Join(dir, "archive"))
	if err != nil {
		return nil, err
	}
	deliverer, err := delivery.New(delivery.Options{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		return nil, err
	}
	serving := make(chan struct{}, 1)
	l.d, err = director.New(director.Options{
		Logger: slog.New(slog.DiscardHandler),
		Acquire: func(context.Context) (director.Holding, error) {
			return director.Holding{
				Name: jobdb.Name(1), Lease: leasetest.New(epoch),
				Open: func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
					if l.dead.Load() {
						return nil, errDead
					}
					db, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "jobs.db"), Epoch: epoch})
					if err != nil {
						return nil, err
					}
					return &mortal{db, l}, nil
				},
			}, nil
		},
		Serving:   func() { serving <- struct{}{} },
		Deliverer: deliverer,
		Archive:   archive.New(folder),
	})
	if err != nil {
		return nil, err
	}
	uncounted := struct{ rpc.LedgerBackend }{} // nobody asks for it
	server, err := rpc.NewServer(rpc.Options{
		Backends: rpc.Backends{Jobs: l.d, Queues: fanout.New(fanout.Options{Own: l.d}), Archive: l.d, Ledger: uncounted}, Ready: l.d.Ready, Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		return nil, err
	}
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	l.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: server.Handler(), ReadHeaderTimeout: time.Minute}}
	l.server.Start()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := l.d.Run(ctx); err != nil && !l.dead.Load() {
			panic(err)
		}
	}()
	l.end = func() {
		cancel()
		<-ended
		l.server.Close()
		deliverer.Close()
		_ = folder.Close() // it was only written to by those who told
	}
	select {
	case <-serving:
		return l, nil
	case <-ended:
		l.end()
		return nil, errors.New("the Director ended before it served")
	}
}

// exampleDirector is a Director that the examples talk to, and a receiver.
func exampleDirector(dir string) (url string, r *receiver, stop func()) {
	l, err := live(dir, "", 1)
	if err != nil {
		panic(err)
	}
	r = newReceiver()
	return l.server.URL, r, func() {
		l.end()
		r.close()
	}
}

var errCrash = errors.New("the consumer crashed")

// crashing wraps what a consumer talks to, so that it dies at one of its steps: when
// it is about to take it, or when it has.
type crashing struct {
	positions
	fleet *client.Fleet
	at    func(step string) error
}

func (c *crashing) around(step string, do func() error) error {
	if err := c.at("before " + step); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return c.at("after " + step)
}

func (c *crashing) Save(ctx context.Context, p position) error {
	return c.around("save", func() error { return c.positions.Save(ctx, p) })
}

func (c *crashing) Submit(ctx context.Context, req *pb.SubmitRequest) (resp *pb.SubmitResponse, err error) {
	return resp, c.around("prepare", func() error {
		resp, err = c.fleet.Submit(ctx, req)
		return err
	})
}

func (c *crashing) Commit(ctx context.Context, ids ...string) error {
	return c.around("commit", func() error { return c.fleet.Commit(ctx, ids...) })
}

// Either side is killed at every step of the protocol, in its first round and in a
// later one. Each message becomes exactly one job and is delivered.
func TestConsumerMovesEachMessageOnce(t *testing.T) {
	type kill struct{ who, when string }
	var kills []kill
	for _, step := range []string{"prepare", "save", "commit"} {
		for _, when := range []string{"before ", "after "} {
			for _, who := range []string{"consumer", "director", "both"} {
				kills = append(kills, kill{who, when + step})
			}
		}
	}
	for _, when := range []string{"before", "after"} { // as it makes it durable
		kills = append(kills, kill{"preparing director", when}, kill{"committing director", when})
	}
	kills = append(kills, kill{"consumer, and what it prepared is aborted,", "before commit"}, kill{"nobody", "ever"})
	for _, k := range kills {
		for _, round := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s %s %d", k.who, k.when, round), func(t *testing.T) {
				t.Parallel()
				moveOnce(t, k.who, k.when, round)
			})
		}
	}
}

func moveOnce(t *testing.T, who, when string, round int) {
	t.Helper()
	dir := t.TempDir()
	receiver := newReceiver()
	defer receiver.close()
	epoch := uint64(1)
	l, err := live(dir, "", epoch)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { l.end() }()
	address := l.server.Listener.Addr().String()
	// restart begins another life in place of one that was killed.
	restart := func() {
		l.end()
		epoch += 100
		next, err := live(dir, address, epoch)
		if err != nil {
			t.Fatal(err)
		}
		l = next
	}
	store, err := openPositions(filepath.Join(dir, "consumer.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.db.Close()

	seen, killed := 0, who == "nobody"
	at := func(step string) error {
		if step == "before prepare" {
			seen++
		}
		if killed || seen < round {
			return nil
		}
		switch {
		case who == "preparing director" && step == "before prepare":
			l.doom(when, jobdb.TransactionPrepared)
		case who == "committing director" && step == "before commit":
			l.doom(when, jobdb.TransactionCommitted)
		case step != when:
			return nil
		}
		killed = true
		switch who {
		case "consumer":
			return errCrash
		case "director":
			l.die()
			restart()
		case "both":
			l.die()
			restart()
			return errCrash
		case "consumer, and what it prepared is aborted,":
			p, err := store.Load(t.Context())
			if err == nil {
				_, err = l.d.Abort(t.Context(), p.Transaction)
			}
			return errors.Join(errCrash, err)
		}
		return nil
	}
	messages := make([]string, 10)
	for i := range messages {
		messages[i] = fmt.Sprintf("message-%02d", i)
	}
	for begun := 0; ; begun++ { // as whoever keeps the consumer running does
		if begun == 20 {
			t.Fatalf("the consumer fails again and again: %v", err)
		}
		fleet, ferr := client.NewFleet(client.FleetOptions{
			URLs: []string{"http://" + address}, Options: client.Options{RetryFor: time.Second},
		})
		if ferr != nil {
			t.Fatal(ferr)
		}
		world := &crashing{positions: store, fleet: fleet, at: at}
		err = (&consumer{log: messages, store: world, fleet: world, endpoint: receiver.url}).run(t.Context())
		fleet.Close()
		if l.dead.Load() {
			restart()
		}
		if err == nil {
			break
		}
	}
	if !killed {
		t.Error("nobody was killed")
	}
	if got := receiver.await(len(messages)); !slices.Equal(got, messages) {
		t.Errorf("received %v", got)
	}
	for message, jobs := range receiver.jobs {
		if len(jobs) != 1 {
			t.Errorf("%s came as %d jobs", message, len(jobs))
		}
	}
	mustHoldEachOnce(t, l, filepath.Join(dir, "jobs.db"), epoch, messages)
}

// mustHoldEachOnce checks what is durable, when the Director has ended.
func mustHoldEachOnce(t *testing.T, l *life, path string, epoch uint64, messages []string) {
	t.Helper()
	l.end()
	l.end = func() {}
	db, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Epoch: epoch + 50})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var ids []centrifuge.ID
	for row, err := range db.Scan(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, row.ID)
	}
	loaded, err := db.Load(t.Context(), nil, ids)
	if err != nil {
		t.Fatal(err)
	}
	var held []string
	for _, one := range loaded {
		held = append(held, string(one.Job.Payload))
	}
	slices.Sort(held)
	if !slices.Equal(held, messages) {
		t.Errorf("the JobDB holds %v", held)
	}
}
