package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	pb "centrifuge/gen/centrifuge/v1"
)

// Submit submits a batch and returns when it is durable, or prepared if the request
// says so.
//
// While a Director refuses or cannot be reached, another one is tried. Once a call
// has left open whether its Director stored the batch, no other gets it: the call is
// repeated there under the same transaction id, for as long as that Director has the
// same JobDB, and all others are asked for the transaction, which comes to one of
// them if that Director is gone and its JobDB is drained. Only when one that has all
// of that JobDB's transactions does not know this one, the batch is handed to
// another. So it is enqueued at most once.
//
// An error is an [*UnknownError] if that is not settled before ctx ends or RetryFor
// is over. After any other error nothing is stored.
func (f *Fleet) Submit(ctx context.Context, req *pb.SubmitRequest) (*pb.SubmitResponse, error) {
	if req.GetTransactionId() == "" {
		req = &pb.SubmitRequest{
			TransactionId: rand.Text(), Jobs: req.GetJobs(), Prepare: req.GetPrepare(), PrepareTtl: req.GetPrepareTtl(),
		}
	}
	t := f.try()
	for changes := 0; ; {
		m, wait, err := f.pick(ctx)
		if err == nil && wait > 0 {
			err = fmt.Errorf("no Director can be reached: %w", m.lastError())
		}
		if err == nil {
			var jobDB string
			if jobDB, err = m.identify(ctx); err == nil {
				begun := time.Now()
				var resp *pb.SubmitResponse
				resp, err = m.submit(ctx, req, jobDB)
				switch outcomeOf(err) {
				case done:
					f.stored(req, m)
					return resp, nil
				case refused:
					return nil, submitError(req, err)
				case unknown:
					m.failed(err, 0)
					resp, err = f.resolve(ctx, t, m, jobDB, req, begun, err)
					if !errors.Is(err, errNotStored) {
						return resp, err
					}
					continue
				case foreign: // it went over to another JobDB a moment ago
					m.forget()
					if changes++; changes <= maxChanges {
						continue
					}
				case notStored:
				}
			} else if outcomeOf(err) == refused {
				return nil, submitError(req, err)
			}
			m.failed(err, retryAfter(err))
			if f.others(ctx, m) > 0 && t.inTime(ctx, 0) {
				continue // at once: each of them that fails is shunned
			}
			wait = retryAfter(err)
		}
		if err := t.wait(ctx, wait, err); err != nil {
			return nil, fmt.Errorf("submit %s as transaction %s, of which nothing was stored: %w", size(req), req.GetTransactionId(), err)
		}
	}
}

// maxChanges is how many times a Director may turn out to have another JobDB than it
// had said before that counts as a failure.
const maxChanges = 3

// errNotStored means that a Submit whose outcome was unknown has not been stored.
var errNotStored = errors.New("it was not stored")

// settledFor is how long after a Submit was begun it can be told by its absence that
// it was not stored. Directors bring along the transactions of 15 minutes.
const settledFor = 10 * time.Minute

// resolve finds out what became of a Submit that was begun then, and that m may have
// stored while its JobDB was the one of that name. It returns [errNotStored] if it
// has become certain that nobody has, or will.
func (f *Fleet) resolve(
	ctx context.Context, t *try, m *member, jobDB string, req *pb.SubmitRequest, begun time.Time, cause error,
) (*pb.SubmitResponse, error) {
	id := req.GetTransactionId()
	gone := false // m does not know the transactions of that JobDB any more
	for {
		if err := t.wait(ctx, retryAfter(cause), cause); err != nil {
			return nil, &UnknownError{id, err}
		}
		if !gone {
			resp, err := m.submit(ctx, req, jobDB)
			switch outcomeOf(err) {
			case done:
				f.stored(req, m)
				return resp, nil
			case foreign:
				gone = true
			case refused:
				if code := connect.CodeOf(err); code == connect.CodeUnauthenticated || code == connect.CodePermissionDenied {
					return nil, &UnknownError{id, err}
				}
				return nil, submitError(req, err)
			case notStored, unknown: // what the first call did is as unknown as before
			}
			cause = err
		}
		known, settled := f.ask(ctx, []string{id}, jobDB)
		found := known[id]
		switch state := found.tx.GetState(); {
		case state == pb.TransactionState_TRANSACTION_STATE_COMMITTED,
			state == pb.TransactionState_TRANSACTION_STATE_PREPARED && req.GetPrepare():
			f.stored(req, found.at)
			return &pb.SubmitResponse{TransactionId: id, JobIds: found.tx.GetJobIds(), State: state, Deadline: found.tx.GetDeadline()}, nil
		case state == pb.TransactionState_TRANSACTION_STATE_ABORTED:
			return nil, &AbortedError{id}
		case found.tx == nil && settled && !req.GetPrepare() && time.Since(begun) < settledFor:
			return nil, errNotStored
		}
	}
}

// stored remembers where a prepared transaction is.
func (f *Fleet) stored(req *pb.SubmitRequest, m *member) {
	if req.GetPrepare() {
		f.settle(req.GetTransactionId(), m)
	}
}

// others is how many other Directors could take a Submit now.
func (f *Fleet) others(ctx context.Context, m *member) (n int) {
	members, err := f.all(ctx)
	if err != nil {
		return 0
	}
	now := time.Now()
	for _, other := range members {
		if other != m && !other.shunned().After(now) {
			n++
		}
	}
	return n
}

func submitError(req *pb.SubmitRequest, err error) error {
	return fmt.Errorf("submit %s as transaction %s: %w", size(req), req.GetTransactionId(), err)
}

// try is one thing that is attempted until it is done, its time is over or its
// context ends.
type try struct {
	f       *Fleet
	until   time.Time
	attempt uint32
	random  *mathrand.Rand
}

func (f *Fleet) try() *try {
	return &try{
		f: f, until: time.Now().Add(f.o.RetryFor),
		random: mathrand.New(mathrand.NewPCG(mathrand.Uint64(), mathrand.Uint64())),
	}
}

// wait waits for the next attempt, or returns the error why there is none.
func (t *try) wait(ctx context.Context, least time.Duration, cause error) error {
	t.attempt++
	wait := max(t.f.policy.Backoff(t.attempt, t.random), least)
	if !t.inTime(ctx, wait) {
		return fmt.Errorf("%w after %d calls: %w", ErrGaveUp, t.attempt, orNobody(cause))
	}
	if t.f.o.OnRetry != nil && cause != nil {
		t.f.o.OnRetry(cause, wait)
	}
	if err := sleep(ctx, wait); err != nil {
		return fmt.Errorf("%w after %d calls: %w", ErrGaveUp, t.attempt, orNobody(cause))
	}
	return nil
}

// inTime reports whether another attempt may begin after the wait.
func (t *try) inTime(ctx context.Context, wait time.Duration) bool {
	return ctx.Err() == nil && !time.Now().Add(wait).After(t.until)
}

var errNobodyKnows = errors.New("no Director knows it")

func orNobody(err error) error {
	if err == nil {
		return errNobodyKnows
	}
	return err
}

func size(req *pb.SubmitRequest) string {
	return fmt.Sprintf("%d jobs (%d bytes)", len(req.GetJobs()), proto.Size(req))
}
