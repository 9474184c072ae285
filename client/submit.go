package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"centrifuge"
	pb "centrifuge/gen/centrifuge/v1"
)

// waits are those between calls that are repeated.
var waits = centrifuge.RetryPolicy{MinBackoff: 100 * time.Millisecond, MaxBackoff: 10 * time.Second} //nolint:gochecknoglobals // a constant, were there such values

// maxRetryAfter bounds what a server can make a Submit wait.
const maxRetryAfter = time.Minute

// Submit submits a batch and returns when it is durable. While the Director is
// out of reach, not serving or nearly full, and whenever a call leaves open
// whether the batch was stored, the call is repeated under the same transaction
// id, so that the jobs are enqueued once; the id is made up if the request has
// none. Waits between calls grow exponentially with full jitter, and are never
// shorter than the server's Retry-After.
//
// The error is that of the last call, a [connect.Error] within. If it wraps
// [ErrGaveUp], the batch may or may not have been stored, and the same request
// with the transaction id that the error names may be submitted again at any time.
func (c *Client) Submit(ctx context.Context, req *pb.SubmitRequest) (*pb.SubmitResponse, error) {
	if req.GetTransactionId() == "" {
		req = &pb.SubmitRequest{
			TransactionId: rand.Text(), Jobs: req.GetJobs(), Prepare: req.GetPrepare(), PrepareTtl: req.GetPrepareTtl(),
		}
	}
	policy := waits
	random := mathrand.New(mathrand.NewPCG(mathrand.Uint64(), mathrand.Uint64()))
	until := time.Now().Add(c.retryFor)
	for attempt := uint32(1); ; attempt++ {
		resp, err := c.Jobs.Submit(ctx, connect.NewRequest(req))
		if err == nil {
			return resp.Msg, nil
		}
		if !repeatable(err) {
			return nil, fmt.Errorf("submit %s: %w", size(req), err)
		}
		wait := max(policy.Backoff(attempt, random), retryAfter(err))
		if ctx.Err() != nil || time.Now().Add(wait).After(until) {
			return nil, fmt.Errorf("submit %s as transaction %s: %w after %d calls: %w",
				size(req), req.GetTransactionId(), ErrGaveUp, attempt, err)
		}
		if c.onRetry != nil {
			c.onRetry(err, wait)
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, fmt.Errorf("submit %s as transaction %s: %w after %d calls: %w",
				size(req), req.GetTransactionId(), ErrGaveUp, attempt, err)
		}
	}
}

// ErrGaveUp means that a Submit was repeated until its time or its context ended
// and may or may not have been stored.
var ErrGaveUp = errors.New("gave up")

// repeatable reports whether the same call may fare better later: the Director
// did not serve it, or nobody knows whether it did.
func repeatable(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false // it will not be another one
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeResourceExhausted, connect.CodeAborted, // the Director says so
		connect.CodeUnknown, connect.CodeDeadlineExceeded, connect.CodeCanceled: // the connection or a proxy failed
		return true
	default:
		return false
	}
}

func retryAfter(err error) time.Duration {
	answer, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return 0
	}
	seconds, parseErr := strconv.ParseUint(answer.Meta().Get("Retry-After"), 10, 31)
	if parseErr != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
