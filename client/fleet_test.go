package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
)

// member is a Director of a fleet in memory. It keeps its transactions as a real one
// does; the network before it, and its death, are in the hands of the test.
type member struct {
	centrifugev1connect.UnimplementedJobServiceHandler

	mu           sync.Mutex
	jobDB        string
	load         uint32
	transactions map[string]pb.TransactionState
	submits      int             // that reached it
	refuse       func() error    // nil: nothing is refused
	lose         map[string]bool // calls whose answer is lost after it has done what it was asked for, by procedure
	down         bool            // nobody listens
	settled      string          // a JobDB all of whose transactions were brought here
}

func (m *member) Submit(_ context.Context, req *connect.Request[pb.SubmitRequest]) (*connect.Response[pb.SubmitResponse], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.submits++
	id := req.Msg.GetTransactionId()
	state, known := m.transactions[id]
	if !known {
		if want := req.Msg.GetJobdb(); want != m.jobDB {
			return nil, reason(connect.CodeFailedPrecondition, "FOREIGN_JOBDB")
		}
		if m.refuse != nil {
			return nil, m.refuse()
		}
		state = pb.TransactionState_TRANSACTION_STATE_COMMITTED
		if req.Msg.GetPrepare() {
			state = pb.TransactionState_TRANSACTION_STATE_PREPARED
		}
		m.transactions[id] = state
	}
	return connect.NewResponse(&pb.SubmitResponse{TransactionId: id, JobIds: []string{id + "-job"}, State: state, Jobdb: m.jobDB, Load: m.load}), nil
}

func (m *member) Commit(_ context.Context, req *connect.Request[pb.CommitRequest]) (*connect.Response[pb.CommitResponse], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range req.Msg.GetTransactionIds() {
		switch m.transactions[id] {
		case pb.TransactionState_TRANSACTION_STATE_PREPARED, pb.TransactionState_TRANSACTION_STATE_COMMITTED:
			m.transactions[id] = pb.TransactionState_TRANSACTION_STATE_COMMITTED
		case pb.TransactionState_TRANSACTION_STATE_ABORTED:
			return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("aborted"))
		default:
			return nil, connect.NewError(connect.CodeNotFound, errors.New("unknown"))
		}
	}
	return connect.NewResponse(&pb.CommitResponse{}), nil
}

func (m *member) Transactions(_ context.Context, req *connect.Request[pb.TransactionsRequest]) (*connect.Response[pb.TransactionsResponse], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	resp := &pb.TransactionsResponse{Jobdb: m.jobDB, Load: m.load, Settled: m.settled != "" && m.settled == req.Msg.GetJobdb()}
	for _, id := range req.Msg.GetIds() {
		state, known := m.transactions[id]
		if !known {
			state = pb.TransactionState_TRANSACTION_STATE_UNKNOWN
		}
		resp.Transactions = append(resp.Transactions, &pb.Transaction{Id: id, State: state, JobIds: []string{id + "-job"}})
	}
	return connect.NewResponse(resp), nil
}

func reason(code connect.Code, why string) error {
	err := connect.NewError(code, errors.New(why))
	if detail, detailErr := connect.NewErrorDetail(&errdetails.ErrorInfo{Reason: why}); detailErr == nil {
		err.AddDetail(detail)
	}
	return err
}

// change changes the member as its own death, or the test, does.
func (m *member) change(f func(*member)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

// tried reports whether a Submit has reached the member.
func (m *member) tried() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.submits > 0
}

func (m *member) has(id string) pb.TransactionState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.transactions[id]
}

// network carries calls to the members by their host names.
type network map[string]*member

func (n network) RoundTrip(req *http.Request) (*http.Response, error) {
	m := n[req.URL.Host]
	m.mu.Lock()
	down := m.down
	m.mu.Unlock()
	if down {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	_, handler := centrifugev1connect.NewJobServiceHandler(m)
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lose[req.URL.Path] {
		delete(m.lose, req.URL.Path)
		return nil, io.ErrUnexpectedEOF
	}
	return rec.Result(), nil
}

func newNetwork(n int) (network, []string) {
	hosts := network{}
	var urls []string
	for i := range n {
		host := fmt.Sprintf("director-%d", i)
		hosts[host] = &member{jobDB: fmt.Sprintf("jobdb-%d", i), transactions: map[string]pb.TransactionState{}, lose: map[string]bool{}}
		urls = append(urls, "http://"+host)
	}
	return hosts, urls
}

func newFleet(t *testing.T, o client.FleetOptions) *client.Fleet {
	t.Helper()
	f, err := client.NewFleet(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func batch(id string) *pb.SubmitRequest {
	return &pb.SubmitRequest{TransactionId: id, Jobs: []*pb.JobSpec{{Source: "a"}}}
}

// mustBeOnce checks that exactly one member has each transaction.
func (n network) mustBeOnce(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		has := 0
		for _, m := range n {
			if m.has(id) == pb.TransactionState_TRANSACTION_STATE_COMMITTED {
				has++
			}
		}
		if has != 1 {
			t.Errorf("%d Directors have transaction %s", has, id)
		}
	}
}

const committed = pb.TransactionState_TRANSACTION_STATE_COMMITTED

func TestFleetGoesRoundThoseThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts, urls := newNetwork(5)
		hosts["director-0"].down = true
		hosts["director-1"].refuse = func() error { return full("5") }
		hosts["director-2"].refuse = func() error { return reason(connect.CodeUnavailable, "NOT_STORED") }
		f := newFleet(t, client.FleetOptions{URLs: urls, Options: client.Options{Transport: hosts}})
		var ids []string
		for i := range 200 {
			ids = append(ids, fmt.Sprint("tx-", i))
			began := time.Now()
			if _, err := f.Submit(t.Context(), batch(ids[i])); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 0 {
				t.Errorf("submit %d waited %s although others were free", i, took)
			}
			time.Sleep(100 * time.Millisecond)
		}
		hosts.mustBeOnce(t, ids...)
		// Those that fail are asked again now and then, and not for each Submit.
		if n := hosts["director-2"].submits; n == 0 || n > 20 {
			t.Errorf("%d submits to one that does not serve", n)
		}
		hosts["director-2"].change(func(m *member) { m.refuse = nil })
		time.Sleep(time.Minute)
		for i := range 100 {
			if _, err := f.Submit(t.Context(), batch(fmt.Sprint("later-", i))); err != nil {
				t.Fatal(err)
			}
		}
		if n := hosts["director-2"].submits; n < 30 {
			t.Errorf("%d submits to one that serves again", n)
		}
	})
}

func TestFleetPrefersTheLessLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts, urls := newNetwork(2)
		hosts["director-0"].load = 100
		f := newFleet(t, client.FleetOptions{URLs: urls, Options: client.Options{Transport: hosts}})
		for i := range 100 {
			if _, err := f.Submit(t.Context(), batch(fmt.Sprint("tx-", i))); err != nil {
				t.Fatal(err)
			}
		}
		if n := hosts["director-0"].submits; n > 20 {
			t.Errorf("%d of 100 submits went to the loaded one", n)
		}
	})
}

// lost has the answer to a Submit lost; which member got it is returned.
func lost(t *testing.T, hosts network, f *client.Fleet, prepare bool, during func(got *member)) (*pb.SubmitResponse, error) {
	t.Helper()
	for _, m := range hosts {
		m.lose[centrifugev1connect.JobServiceSubmitProcedure] = true
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	type answer struct {
		resp *pb.SubmitResponse
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		req := batch("tx")
		req.Prepare = prepare
		resp, err := f.Submit(ctx, req)
		answers <- answer{resp, err}
	}()
	synctest.Wait()
	for _, m := range hosts {
		if m.tried() {
			during(m)
			break
		}
	}
	a := <-answers
	return a.resp, a.err
}

func TestLostAnswerIsAskedForAtTheSameDirector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts, urls := newNetwork(4)
		f := newFleet(t, client.FleetOptions{URLs: urls, Options: client.Options{Transport: hosts}})
		resp, err := lost(t, hosts, f, false, func(*member) {})
		if err != nil || resp.GetState() != committed || len(resp.GetJobIds()) != 1 {
			t.Fatalf("%v, %v", resp, err)
		}
		hosts.mustBeOnce(t, "tx")
	})
}

// The Director dies with what it has stored, comes back at its address with another
// JobDB, and the old one is drained into a third.
func TestLostAnswerIsFoundWhereTheJobDBWasDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts, urls := newNetwork(4)
		f := newFleet(t, client.FleetOptions{URLs: urls, Options: client.Options{Transport: hosts}})
		resp, err := lost(t, hosts, f, false, func(got *member) {
			got.change(func(m *member) { m.down, m.jobDB, m.transactions = true, "jobdb-9", map[string]pb.TransactionState{} })
			time.Sleep(5 * time.Second)
			got.change(func(m *member) { m.down = false })
			time.Sleep(10 * time.Second)
			for _, m := range hosts {
				if m != got {
					m.change(func(m *member) { m.transactions["tx"] = committed })
					break
				}
			}
		})
		if err != nil || resp.GetState() != committed || resp.GetJobIds()[0] != "tx-job" {
			t.Fatalf("%v, %v", resp, err)
		}
		hosts.mustBeOnce(t, "tx")
	})
}

// The Director dies without having stored the batch. When its JobDB is drained, that
// is certain, and another gets it; but not if it was to be prepared, as what is
// prepared may go another way than its JobDB.
func TestWhatWasNotStoredGoesElsewhere(t *testing.T) {
	for _, prepare := range []bool{false, true} {
		t.Run(fmt.Sprintf("prepare %t", prepare), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hosts, urls := newNetwork(4)
				f := newFleet(t, client.FleetOptions{URLs: urls, Options: client.Options{Transport: hosts}})
				_, err := lost(t, hosts, f, prepare, func(got *member) {
					got.change(func(m *member) { m.down, m.transactions = true, map[string]pb.TransactionState{} })
					time.Sleep(5 * time.Second)
					for _, m := range hosts {
						if m != got {
							m.change(func(m *member) { m.lose, m.settled = nil, got.jobDB })
						}
					}
				})
				if prepare {
					if _, ok := errors.AsType[*client.UnknownError](err); !ok {
						t.Errorf("got %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				hosts.mustBeOnce(t, "tx")
			})
		})
	}
}

// Nobody can tell: the client says so, and has not handed the batch to anybody else.
func TestOutcomeThatStaysUnknown(t *testing.T) {
	for name, die := range map[string]func(*member){
		"down":    func(m *member) { m.down = true },
		"another": func(m *member) { m.jobDB, m.transactions = "jobdb-9", map[string]pb.TransactionState{} },
		"not serving": func(m *member) {
			m.transactions, m.refuse = map[string]pb.TransactionState{}, func() error { return full("1") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hosts, urls := newNetwork(4)
				f := newFleet(t, client.FleetOptions{URLs: urls, Options: client.Options{Transport: hosts, RetryFor: time.Hour}})
				_, err := lost(t, hosts, f, false, func(got *member) { got.change(die) })
				if e, ok := errors.AsType[*client.UnknownError](err); !ok || e.TransactionID != "tx" || !errors.Is(err, client.ErrGaveUp) {
					t.Errorf("got %v", err)
				}
				asked := 0
				for _, m := range hosts {
					if m.tried() {
						asked++
					}
				}
				if asked != 1 {
					t.Errorf("%d Directors got the batch", asked)
				}
			})
		})
	}
}

// When everybody refuses it is certain that nothing was stored, and that is said.
func TestNothingIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts, urls := newNetwork(3)
		for _, m := range hosts {
			m.refuse = func() error { return full("2") }
		}
		hosts["director-1"].down = true
		f := newFleet(t, client.FleetOptions{URLs: urls, Options: client.Options{Transport: hosts, RetryFor: 20 * time.Second}})
		_, err := f.Submit(t.Context(), batch("tx"))
		if _, ok := errors.AsType[*client.UnknownError](err); ok || !errors.Is(err, client.ErrGaveUp) {
			t.Errorf("got %v", err)
		}
	})
}

func TestFleetCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts, urls := newNetwork(3)
		f := newFleet(t, client.FleetOptions{URLs: urls, Options: client.Options{Transport: hosts, RetryFor: 20 * time.Second}})
		prepare := func(id string) *member {
			req := batch(id)
			req.Prepare = true
			resp, err := f.Submit(t.Context(), req)
			if err != nil || resp.GetState() != pb.TransactionState_TRANSACTION_STATE_PREPARED {
				t.Fatalf("%v, %v", resp, err)
			}
			for _, m := range hosts {
				if m.has(id) != 0 {
					return m
				}
			}
			return nil
		}
		prepare("plain")
		lossy := prepare("lossy")
		lossy.change(func(m *member) { m.lose[centrifugev1connect.JobServiceCommitProcedure] = true })
		if err := f.Commit(t.Context(), "plain", "lossy"); err != nil {
			t.Error(err)
		}
		from := prepare("moved")
		from.change(func(m *member) { delete(m.transactions, "moved"); m.down = true })
		go func() {
			time.Sleep(5 * time.Second)
			for _, m := range hosts {
				if m != from {
					m.change(func(m *member) { m.transactions["moved"] = pb.TransactionState_TRANSACTION_STATE_PREPARED })
					break
				}
			}
		}()
		if err := f.Commit(t.Context(), "moved"); err != nil {
			t.Error(err)
		}
		hosts.mustBeOnce(t, "plain", "lossy", "moved")
		from.change(func(m *member) { m.down = false })
		prepare("aborted").change(func(m *member) { m.transactions["aborted"] = pb.TransactionState_TRANSACTION_STATE_ABORTED })
		if e, ok := errors.AsType[*client.AbortedError](f.Commit(t.Context(), "aborted")); !ok || e.TransactionID != "aborted" {
			t.Error("an aborted one was committed")
		}
		if e, ok := errors.AsType[*client.UnknownError](f.Commit(t.Context(), "nobody's")); !ok || e.TransactionID != "nobody's" {
			t.Error("nobody's was committed")
		}
		for i, tx := range f.Transactions(t.Context(), "plain", "aborted", "nobody's") {
			want := []pb.TransactionState{committed, pb.TransactionState_TRANSACTION_STATE_ABORTED, pb.TransactionState_TRANSACTION_STATE_UNKNOWN}[i]
			if tx.GetState() != want {
				t.Errorf("%s is %s", tx.GetId(), tx.GetState())
			}
		}
	})
}

// resolver tells what the test sends.
type resolver chan []string

func (r resolver) Watch(ctx context.Context, changed func([]string)) error {
	for {
		select {
		case urls := <-r:
			if urls == nil {
				return errors.New("the resolver failed")
			}
			changed(urls)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestFleetFollowsItsResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts, urls := newNetwork(3)
		r := make(resolver)
		f := newFleet(t, client.FleetOptions{Resolver: r, Options: client.Options{Transport: hosts}})
		go func() { // the first Submit waits for the first list
			time.Sleep(time.Second)
			r <- urls[:1]
		}()
		for i, step := range [][]string{urls[:1], urls[1:2], nil, urls[2:], {"not a url", urls[2]}} {
			if i > 0 {
				r <- step
				synctest.Wait()
			}
			if _, err := f.Submit(t.Context(), batch(fmt.Sprint("tx-", i))); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range []int{1, 2, 2} {
			if got := hosts[fmt.Sprint("director-", i)].submits; got != want {
				t.Errorf("Director %d got %d submits, want %d", i, got, want)
			}
		}
	})
}

func TestFleetOptions(t *testing.T) {
	for _, o := range []client.FleetOptions{{}, {URLs: []string{"director:7800"}}, {URLs: []string{client.DefaultURL}, Resolver: make(resolver)}} {
		if f, err := client.NewFleet(o); err == nil {
			f.Close()
			t.Errorf("%+v was accepted", o)
		}
	}
}
