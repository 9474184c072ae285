package delivery

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"centrifuge"
	"centrifuge/delivery/http1"
)

// Deliver makes one attempt, the number'th of its job (the first is 1), and
// always returns its result: no error, no panic.
//
// The attempt ends after the job's timeout, or when ctx does: then the outcome
// is a retry with EINTERRUPTED. Once a status is known it decides the outcome,
// whatever becomes of the body. Redirects are not followed.
//
// Within an attempt the request may be sent again: on a new connection if the
// endpoint had closed the one that was kept alive, and, with HTTP/2, if the
// endpoint says that it did not process the stream. All copies have the same
// Idempotency-Key and Centrifuge-Attempt.
//
// The job must not be changed, not even after Deliver has returned: an endpoint
// that answers early is still being sent the payload.
func (c *Client) Deliver(ctx context.Context, job *centrifuge.Job, number uint32) (result Result) {
	begin := time.Now()
	var (
		a      *attempt
		header http.Header
	)
	defer func() {
		if p := recover(); p != nil {
			result = failed(a, centrifuge.ErrorInternal, fmt.Sprintf("panic: %v", p))
		}
		result.Duration = time.Since(begin)
		if c.observe != nil {
			c.observe(job, number, result, header)
		}
	}()

	t, err := c.target(job)
	if err != nil {
		return refused(err)
	}
	timeout := job.Settings.Timeout
	if timeout == 0 {
		timeout = centrifuge.DefaultTimeout
	}
	a = newAttempt(ctx, timeout)
	body, err := c.encode(job.Payload, job.Settings.Encoding)
	if err != nil {
		return refused(err)
	}
	resp, end, err := c.roundTrip(a, job, t, number, body)
	if err != nil {
		return judgeError(ctx, a, err)
	}
	defer end()
	header = resp.Header
	return c.judgeResponse(resp, t)
}

// roundTrip sends the request and returns when the response's head is there. Its body
// is to be closed before end is called.
func (c *Client) roundTrip(a *attempt, job *centrifuge.Job, t *target, number uint32, body []byte) (resp *http.Response, end func(), err error) {
	if c.proxy == nil && t.direct() {
		buf := c.requests.Get().(*[]byte)
		defer c.requests.Put(buf)
		*buf = append(c.appendHead((*buf)[:0], job, t, number, len(body)), body...)
		if len(*buf) <= http1.MaxRequest {
			resp, err = c.http1.RoundTrip(a, http1.Exchange{
				Host: t.host, Method: method(job), Request: *buf, Deadline: a.deadline, Sending: a.sending,
			})
			return resp, func() {}, err
		}
	}
	ctx, cancel := a.timed()
	resp, err = c.transport.RoundTrip(c.request(job, t, number, body).WithContext(ctx))
	if err != nil {
		cancel()
		return nil, nil, err
	}
	if resp.TLS != nil && resp.ProtoMajor == 1 {
		t.onlyHTTP1.Store(true)
	}
	return resp, cancel, nil
}

// target checks everything about a job that is known before connecting.
func (c *Client) target(job *centrifuge.Job) (*target, error) {
	t, err := c.targets.get(job.Endpoint)
	if err != nil {
		return nil, err
	}
	if err := checkRequest(job); err != nil {
		return nil, err
	}
	if c.proxy != nil {
		if err := c.guard.checkHost(t.url.Hostname()); err != nil {
			return nil, err
		}
	}
	return t, nil
}
