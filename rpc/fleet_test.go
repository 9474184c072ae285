package rpc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"testing"
	"time"

	"connectrpc.com/connect"

	"centrifuge"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
	"centrifuge/jobdb"
	"centrifuge/lease"
	"centrifuge/manager"
)

// fakeDirector stands for what a Director is to a Manager.
type fakeDirector struct {
	accepted []director.Transfer
	err      error // of every call
}

func (f *fakeDirector) Status() director.Status { return director.Status{JobDB: jobdb.Name(2)} }

func (f *fakeDirector) Ledgers() ([]director.JobDBLedger, error) {
	return []director.JobDBLedger{
		{Name: jobdb.Name(1), Ledger: director.Ledger{
			Accepted: 36, Succeeded: 1, Discarded: 2, Archived: 3, Moved: 4,
			AwaitingScheduling: 5, Executing: 6, AwaitingRetry: 7, Archiving: 8,
		}, Retiring: true},
		{Name: jobdb.Name(2)},
	}, f.err
}

func (f *fakeDirector) Cycle(context.Context) (before, now string, err error) {
	return jobdb.Name(2), jobdb.Name(3), f.err
}

func (f *fakeDirector) Accept(_ context.Context, tr director.Transfer) error {
	f.accepted = append(f.accepted, tr)
	return f.err
}

// fakeFleet stands for a Manager.
type fakeFleet struct {
	asked []string
	err   error
}

func (f *fakeFleet) Fleet(context.Context) (manager.Fleet, error) {
	since := time.UnixMilli(1_700_000_000_123).UTC()
	return manager.Fleet{
		Directors: []manager.Director{
			{Name: "a", Address: "10.0.0.1:7800", JobDB: jobdb.Name(2)}, {Name: "b", Err: errors.New("no route \xff")},
		},
		Servers: []jobdb.Server{{Name: "10.1.0.1:3306"}, {Name: "10.1.0.2:3306", Err: errors.New("refused")}},
		JobDBs: []manager.JobDB{
			{Record: manager.Record{
				Name: jobdb.Name(1), Server: "10.1.0.1:3306", State: manager.StateDraining, Owner: "a", Target: jobdb.Name(2),
				Since: map[manager.State]time.Time{manager.StateDraining: since},
			}, Bytes: 7, Counted: true, Ledger: manager.Ledger{Accepted: 3, Moved: 1, AwaitingRetry: 2}, Running: true, Err: errors.New("cut")},
			{Record: manager.Record{Name: jobdb.Name(2), State: manager.StateLive}},
		},
		MaxBytes: 1 << 30, MaxAge: time.Hour,
	}, f.err
}

func (f *fakeFleet) Cycle(_ context.Context, name string) (before, now string, err error) {
	f.asked = append(f.asked, "cycle "+name)
	return jobdb.Name(1), jobdb.Name(2), f.err
}

func (f *fakeFleet) Drain(_ context.Context, name string) (manager.State, error) {
	f.asked = append(f.asked, "drain "+name)
	return manager.StateReleased, f.err
}

func (f *fakeFleet) Books(context.Context) (manager.Books, error) {
	return manager.Books{
		Total: manager.Ledger{Accepted: 5, Succeeded: 4, Executing: 1}, Uncounted: []string{jobdb.Name(2)},
	}, f.err
}

func withFleet(b Backends) Backends {
	b.Own = &fakeOwn{}
	b.Name, b.Director, b.Fleet = "a", &fakeDirector{}, &fakeFleet{}
	return b
}

func TestFleetService(t *testing.T) {
	fleet := &fakeFleet{}
	address := serve(t, Options{Backends: Backends{Fleet: fleet}}) // as a Manager serves it, and nothing else
	c := centrifugev1connect.NewFleetServiceClient(http.DefaultClient, "http://"+address)
	got, err := c.Get(t.Context(), connect.NewRequest(&pb.FleetServiceGetRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	m := got.Msg
	if len(m.GetDirectors()) != 2 || m.GetDirectors()[0].GetJobdb() != jobdb.Name(2) || m.GetDirectors()[1].GetError() != "no route \ufffd" ||
		len(m.GetServers()) != 2 || m.GetServers()[1].GetError() != "refused" || m.GetMaxBytes() != 1<<30 || m.GetMaxAge().AsDuration() != time.Hour {
		t.Errorf("got %v", m)
	}
	draining, live := m.GetJobdbs()[0], m.GetJobdbs()[1]
	if draining.GetState() != pb.JobDBState_JOB_DB_STATE_DRAINING || draining.GetTarget() != jobdb.Name(2) || draining.GetLedger().GetPending() != 2 ||
		draining.GetSince().AsTime().UnixMilli() != 1_700_000_000_123 || draining.GetError() != "cut" || !draining.GetMoving() {
		t.Errorf("got %v", draining)
	}
	if live.GetState() != pb.JobDBState_JOB_DB_STATE_LIVE || live.GetLedger() != nil || live.GetSince() != nil {
		t.Errorf("got %v", live)
	}
	books, err := c.Ledger(t.Context(), connect.NewRequest(&pb.FleetServiceLedgerRequest{}))
	if err != nil || books.Msg.GetBalanced() || books.Msg.GetTotal().GetPending() != 1 || len(books.Msg.GetUncounted()) != 1 {
		t.Errorf("got %v, %v", books, err)
	}
	cycled, err := c.Cycle(t.Context(), connect.NewRequest(&pb.FleetServiceCycleRequest{Director: "a"}))
	if err != nil || cycled.Msg.GetBefore() != jobdb.Name(1) || cycled.Msg.GetNow() != jobdb.Name(2) {
		t.Errorf("got %v, %v", cycled, err)
	}
	drained, err := c.Drain(t.Context(), connect.NewRequest(&pb.FleetServiceDrainRequest{Jobdb: jobdb.Name(1)}))
	if err != nil || drained.Msg.GetState() != pb.JobDBState_JOB_DB_STATE_RELEASED {
		t.Errorf("got %v, %v", drained, err)
	}
	if want := []string{"cycle a", "drain jobdb-000001"}; !reflect.DeepEqual(fleet.asked, want) {
		t.Errorf("asked %v, want %v", fleet.asked, want)
	}
	for cause, want := range map[error]connect.Code{
		fmt.Errorf("x: %w", manager.ErrUnknown): connect.CodeNotFound, lease.ErrHeld: connect.CodeUnavailable,
		director.ErrRetiring: connect.CodeUnavailable, errors.New("secret"): connect.CodeInternal,
		connect.NewError(connect.CodeUnavailable, errors.New("of the Director")): connect.CodeUnavailable,
	} {
		fleet.err = cause
		if _, err := c.Drain(t.Context(), connect.NewRequest(&pb.FleetServiceDrainRequest{})); connect.CodeOf(err) != want {
			t.Errorf("%v was answered with %v, want %v", cause, err, want)
		}
	}
	jobs := centrifugev1connect.NewJobServiceClient(http.DefaultClient, "http://"+address)
	if _, err := jobs.Submit(t.Context(), connect.NewRequest(&pb.SubmitRequest{})); connect.CodeOf(err) != connect.CodeUnimplemented {
		t.Errorf("a Manager that accepts no jobs answered %v", err)
	}
}

func peer(t *testing.T, d *fakeDirector) *Peer {
	t.Helper()
	address := serve(t, Options{Backends: Backends{Name: "a", Director: d, Fleet: &fakeFleet{}}})
	return NewPeer(centrifugev1connect.NewDirectorServiceClient(http.DefaultClient, "http://"+address))
}

func TestPeer(t *testing.T) {
	d := &fakeDirector{}
	p := peer(t, d)
	status, err := p.Status(t.Context())
	ledgers, _ := d.Ledgers()
	want := manager.Director{Name: "a", JobDB: jobdb.Name(2), Ledgers: map[string]manager.Ledger{
		jobdb.Name(1): manager.Ledger(ledgers[0].Ledger), jobdb.Name(2): {},
	}}
	if err != nil || !reflect.DeepEqual(status, want) {
		t.Errorf("got %+v, %v, want %+v", status, err, want)
	}
	if before, now, err := p.Cycle(t.Context()); err != nil || before != jobdb.Name(2) || now != jobdb.Name(3) {
		t.Errorf("cycled from %q to %q, %v", before, now, err)
	}
	d.err = fmt.Errorf("x: %w", director.ErrUnavailable)
	if status, err := p.Status(t.Context()); err != nil || status.JobDB != jobdb.Name(2) {
		t.Errorf("a Director without ledgers answers %+v, %v", status, err)
	}
	if _, _, err := p.Cycle(t.Context()); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

// Every field of a transfer arrives as it was.
func TestTransferArrives(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	id := centrifuge.ID{0: 1, 19: 2}
	tr := director.Transfer{
		From: jobdb.Name(1), To: jobdb.Name(2),
		Jobs: []jobdb.Trace{
			{
				Job: centrifuge.Job{
					ID: id, Source: "s ö", Destination: "d", Endpoint: "https://e.example/p?q=1", Method: "PUT",
					Headers: []centrifuge.Header{{Name: "X-A", Value: "1"}, {Name: "X-A", Value: ""}}, Payload: []byte{0, 255, 1},
					Settings: centrifuge.Settings{
						Timeout: 3 * time.Second, Encoding: centrifuge.EncodingZstd,
						Retry: centrifuge.RetryPolicy{MinBackoff: time.Second, MaxBackoff: time.Minute, MaxAttempts: 9},
					},
					CreatedAt: at, ExpireAt: at.Add(time.Hour), ReplayOf: centrifuge.ID{5: 5},
				},
				Transitions: []centrifuge.Transition{
					{JobID: id, State: centrifuge.StateAwaitingScheduling, Time: at},
					{JobID: id, State: centrifuge.StateExecuting, Attempt: 1, Time: at.Add(time.Second)},
					{
						JobID: id, State: centrifuge.StateAwaitingRetry, Attempt: 1, Time: at.Add(2 * time.Second), RetryAt: at.Add(time.Minute),
						StatusCode: 503, ErrorCode: centrifuge.ErrorTimedOut, Error: "later", Duration: 7 * time.Nanosecond,
					},
				},
			},
			{Job: centrifuge.Job{ID: centrifuge.ID{9}, CreatedAt: at, ExpireAt: at}},
		},
		Policies: []jobdb.Policy{{
			Scope: centrifuge.QueueKey{Destination: "d"}, Time: at,
			Policy: centrifuge.QueuePolicy{
				Paused: true, Rate: 1.5, Burst: 2, Weight: 3, Concurrency: 4, RetryStatuses: []int{404, 451},
				Retry: centrifuge.RetryPolicy{MaxAttempts: math.MaxUint32},
			},
		}},
		Transactions: []jobdb.Transaction{
			{ID: "t1", State: jobdb.TransactionCommitted, JobIDs: []centrifuge.ID{id, {8}}, CreatedAt: at},
			{ID: "t2", State: jobdb.TransactionPrepared, CreatedAt: at, Deadline: at.Add(time.Minute), Drafts: []byte{1, 0, 255}},
			{ID: "t3", State: jobdb.TransactionAborted, CreatedAt: at},
		},
	}
	d := &fakeDirector{}
	if err := peer(t, d).Accept(t.Context(), tr); err != nil {
		t.Fatal(err)
	}
	if len(d.accepted) != 1 || !reflect.DeepEqual(d.accepted[0], tr) {
		t.Errorf("arrived\n%+v, sent\n%+v", d.accepted, tr)
	}
}

func TestTransferErrors(t *testing.T) {
	d := &fakeDirector{}
	p := peer(t, d)
	tr := director.Transfer{From: jobdb.Name(1), To: jobdb.Name(2)}
	d.err = fmt.Errorf("x: %w", director.ErrWrongJobDB)
	if err := p.Accept(t.Context(), tr); !errors.Is(err, director.ErrWrongJobDB) {
		t.Errorf("got %v", err)
	}
	d.err = &director.InvalidError{Index: 3, Field: "transitions", Reason: "are none"}
	if _, ok := errors.AsType[*director.InvalidError](p.Accept(t.Context(), tr)); !ok {
		t.Error("an invalid transfer is not told as such")
	}
	for _, cause := range []error{director.ErrUnavailable, &director.ExhaustedError{Reason: "x"}, errors.New("x"), context.DeadlineExceeded} {
		d.err = cause
		err := p.Accept(t.Context(), tr)
		if _, invalid := errors.AsType[*director.InvalidError](err); err == nil || invalid || errors.Is(err, director.ErrWrongJobDB) {
			t.Errorf("%v was told as %v", cause, err)
		}
	}
	gone := NewPeer(centrifugev1connect.NewDirectorServiceClient(http.DefaultClient, "http://127.0.0.1:1"))
	if err := gone.Accept(t.Context(), tr); err == nil || errors.Is(err, director.ErrWrongJobDB) {
		t.Errorf("nobody there: %v", err)
	}
}

// What no Director would send is refused before one sees it.
func TestHostileTransfers(t *testing.T) {
	d := &fakeDirector{}
	address := serve(t, Options{Backends: Backends{Director: d, Fleet: &fakeFleet{}}})
	const id, at = "1srOrx2ZWZBpBUvZwXKQmoEYga2", "2026-01-01T00:00:00Z"
	job := func(more string) string {
		return `{"jobs": [{"job": {"id": "` + id + `", "createdAt": "` + at + `", "expireAt": "` + at + `"}` + more + `}]}`
	}
	if status, _, content := post(t, address, "/centrifuge.v1.DirectorService/Accept", job("")); status != http.StatusOK {
		t.Fatalf("a plain job: %s", content)
	}
	for _, request := range []string{
		`{"jobs": [{}]}`, `{"jobs": [{"job": {"id": "` + id + `"}}]}`, `{"jobs": [{"job": {"id": "x"}}]}`,
		job(`, "transitions": [{}]`), job(`, "transitions": [{"state": 99, "time": "` + at + `"}]`),
		job(`, "transitions": [{"state": -1, "time": "` + at + `"}]`),
		job(`, "transitions": [{"state": 2, "time": "` + at + `", "duration": "-1s"}]`),
		`{"transactions": [{"id": "t", "time": "` + at + `"}]}`, `{"transactions": [{"id": "t", "state": 1, "time": "` + at + `"}]}`,
		`{"transactions": [{"state": 3, "time": "` + at + `"}]}`, `{"transactions": [{"id": "t", "state": 3, "time": "` + at + `", "jobIds": ["x"]}]}`,
		`{"policies": [{"time": "0001-01-01T00:00:00Z"}]}`,
	} {
		status, _, content := post(t, address, "/centrifuge.v1.DirectorService/Accept", request)
		if status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", request, status, content)
		}
	}
	if len(d.accepted) != 1 {
		t.Errorf("%d transfers reached the Director", len(d.accepted))
	}
}
