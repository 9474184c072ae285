package sim

import (
	"context"
	"net/url"
	"time"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/director"
)

// deliverer makes the Deliverer of a process: the real client on the network of
// the world, or something that asks the world directly and is faster.
func (w *world) deliverer(http bool) (d director.Deliverer, closing func(), err error) {
	if !http {
		return direct{w}, func() {}, nil
	}
	client, err := delivery.New(delivery.Options{DialContext: w.network.dial})
	if err != nil {
		return nil, nil, err
	}
	return client, client.Close, nil
}

// direct delivers to the world without HTTP.
type direct struct{ world *world }

// Deliver implements [director.Deliverer].
func (d direct) Deliver(ctx context.Context, job *centrifuge.Job, attempt uint32) delivery.Result {
	u, err := url.Parse(job.Endpoint)
	if err != nil {
		return delivery.Result{Outcome: centrifuge.OutcomeDiscarded, ErrorCode: centrifuge.ErrorBadRequest, Error: err.Error()}
	}
	began := time.Now()
	reply := d.world.answer(u.Hostname(), job.ID, job.Source, attempt)
	r := delivery.Result{Sent: true}
	fail := func(code centrifuge.ErrorCode) {
		r.Outcome, r.ErrorCode, r.Error = centrifuge.ClassifyError(code), code, "simulated"
	}
	switch reply.temper {
	case refusing:
		r.Sent = false
		fail(centrifuge.ErrorConnRefused)
		return r
	case hanging:
		reply.latency = time.Hour
	case well, failing, slow, limiting, resetting, rejecting, babbling:
	}
	timeout := job.Settings.Timeout
	if timeout == 0 {
		timeout = centrifuge.DefaultTimeout
	}
	wait := reply.latency
	if wait > timeout {
		wait = timeout + d.world.run.apart("timed out", job, attempt)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		fail(centrifuge.ErrorInterrupted)
		r.Duration = time.Since(began)
		return r
	case <-timer.C:
	}
	switch {
	case reply.latency > timeout:
		fail(centrifuge.ErrorTimedOut)
	case reply.temper == resetting:
		fail(centrifuge.ErrorConnReset)
	case reply.temper == babbling:
		fail(centrifuge.ErrorBadResponse)
	default:
		r.StatusCode, r.RetryAfter = reply.status, reply.retryAfter
		r.Outcome = centrifuge.ClassifyStatus(reply.status)
		if r.Outcome == centrifuge.OutcomeSucceeded {
			d.world.run.witness.accepts(job.ID)
		} else {
			r.Error = "simulated"
		}
	}
	r.Duration = time.Since(began)
	return r
}
