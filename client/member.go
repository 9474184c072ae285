package client

import (
	"context"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"connectrpc.com/connect"

	"centrifuge"
	pb "centrifuge/gen/centrifuge/v1"
)

// member is a Director of a fleet, as far as it is known.
type member struct {
	url    string
	client *Client

	mu struct {
		sync.Mutex
		jobDB    string    // that it has said to be its own; empty if it is to be asked
		asked    bool      // whether it was asked since it last failed
		own      int       // our Submits under way
		reported uint32    // those of all its clients
		heard    time.Time // when
		failures uint32    // in a row
		until    time.Time // it is shunned
		err      error     // why
	}
}

func newMember(url string, o Options) (*member, error) {
	o.URL = url
	client, err := New(o)
	if err != nil {
		return nil, err
	}
	return &member{url: url, client: client}, nil
}

// What a Director has said of its load counts for this long.
const loadHolds = 5 * time.Second

// askTimeout bounds the small questions, so that a Director which hangs does not
// hold up what others can answer.
const askTimeout = 5 * time.Second

// load is how many Submits it has under way, as far as is known.
func (m *member) load(now time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.mu.heard) > loadHolds {
		return m.mu.own
	}
	return m.mu.own + int(m.mu.reported)
}

// shunned is until when nothing new is handed to it.
func (m *member) shunned() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.until
}

// failed hands nothing new to it for a time that grows with each failure in a row,
// and is not below least; then it is asked again who it is.
func (m *member) failed(err error, least time.Duration) {
	policy := centrifuge.RetryPolicy{MinBackoff: time.Second, MaxBackoff: 30 * time.Second}
	random := mathrand.New(mathrand.NewPCG(mathrand.Uint64(), mathrand.Uint64()))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.err = err
	m.mu.failures++
	m.mu.asked = false
	m.mu.until = time.Now().Add(max(least, policy.Backoff(m.mu.failures, random)))
}

// forget has it asked again who it is.
func (m *member) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.asked = false
}

func (m *member) lastError() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.err
}

// answered takes down what it said of itself.
func (m *member) answered(jobDB string, load uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.jobDB, m.mu.asked, m.mu.reported, m.mu.heard = jobDB, true, load, time.Now()
}

// served ends the shunning: who answers questions may still take no Submits.
func (m *member) served() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.failures, m.mu.until = 0, time.Time{}
}

// identify returns the JobDB that it has, which it is asked for if that is not
// known. One that is too old to say is taken to have none of a name.
func (m *member) identify(ctx context.Context) (jobDB string, err error) {
	m.mu.Lock()
	jobDB, asked := m.mu.jobDB, m.mu.asked
	m.mu.Unlock()
	if asked {
		return jobDB, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	resp, err := m.client.Jobs.Transactions(ctx, connect.NewRequest(&pb.TransactionsRequest{}))
	switch {
	case err == nil:
		m.answered(resp.Msg.GetJobdb(), resp.Msg.GetLoad())
		return resp.Msg.GetJobdb(), nil
	case connect.CodeOf(err) == connect.CodeUnimplemented && connect.IsWireError(err):
		m.answered("", 0)
		return "", nil
	}
	return "", err
}

// submit makes one call. The request names the JobDB whose transactions the
// Director must know.
func (m *member) submit(ctx context.Context, req *pb.SubmitRequest, jobDB string) (*pb.SubmitResponse, error) {
	m.mu.Lock()
	m.mu.own++
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.mu.own--
	}()
	resp, err := m.client.Jobs.Submit(ctx, connect.NewRequest(&pb.SubmitRequest{
		TransactionId: req.GetTransactionId(), Jobs: req.GetJobs(),
		Prepare: req.GetPrepare(), PrepareTtl: req.GetPrepareTtl(), Jobdb: jobDB,
	}))
	if err != nil {
		return nil, err
	}
	m.answered(resp.Msg.GetJobdb(), resp.Msg.GetLoad())
	m.served()
	return resp.Msg, nil
}
