package delivery

import (
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"strconv"

	"centrifuge"
)

// request makes the request of an attempt. The job must have passed CheckJob.
func (c *Client) request(a *attempt, job *centrifuge.Job, t *target, number uint32) (*http.Request, error) {
	body, err := c.encode(job.Payload, job.Settings.Encoding)
	if err != nil {
		return nil, err
	}
	method := job.Method
	if method == "" {
		method = http.MethodPost
	}
	req := (&http.Request{
		Method:     method,
		URL:        t.url,
		Host:       t.url.Host,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     c.header(job, number),
		Body:       http.NoBody,
	}).WithContext(a)
	if len(body) > 0 {
		req.ContentLength = int64(len(body))
		// net/http repeats a request on a new connection if the endpoint had
		// closed the old one while it was idle, and does so for any method
		// because of the Idempotency-Key. An endpoint that closed a connection
		// cannot have acted on what came after.
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		// net/http knows this very type and sends it together with the headers,
		// in one write.
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	return req, nil
}

func (c *Client) header(job *centrifuge.Job, number uint32) http.Header {
	const ours = 5
	h := make(http.Header, len(job.Headers)+ours)
	values := make([]string, 0, len(job.Headers)+ours)
	one := func(value string) []string {
		values = append(values, value)
		return values[len(values)-1 : len(values) : len(values)]
	}
	for i := range job.Headers {
		name := textproto.CanonicalMIMEHeaderKey(job.Headers[i].Name)
		if before, ok := h[name]; ok {
			h[name] = append(before, job.Headers[i].Value)
		} else {
			h[name] = one(job.Headers[i].Value)
		}
	}
	id := one(job.ID.String())
	h[headerJobID] = id
	h[headerIdempotencyKey] = id
	h[headerAttempt] = one(strconv.FormatUint(uint64(number), 10))
	h[headerUserAgent] = c.userAgent
	if e := job.Settings.Encoding; e != centrifuge.EncodingIdentity && len(job.Payload) > 0 {
		h[headerEncoding] = one(e.String())
	}
	return h
}
