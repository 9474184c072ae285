package delivery

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"net/textproto"
	"strconv"

	"centrifuge"
)

func method(job *centrifuge.Job) string { return cmp.Or(job.Method, http.MethodPost) }

// appendHead appends the head of the request as it is sent over HTTP/1.1. The job must
// have passed CheckJob: nothing in it can end a line.
func (c *Client) appendHead(b []byte, job *centrifuge.Job, t *target, number uint32, length int) []byte {
	line := func(name, value string) {
		b = append(b, name...)
		b = append(b, ": "...)
		b = append(b, value...)
		b = append(b, "\r\n"...)
	}
	b = append(b, method(job)...)
	b = append(b, ' ')
	b = append(b, t.uri...)
	b = append(b, " HTTP/1.1\r\n"...)
	line("Host", t.url.Host)
	line(headerUserAgent, c.userAgent[0])
	if length > 0 || expectsBody(method(job)) {
		line("Content-Length", strconv.Itoa(length))
	}
	for i := range job.Headers {
		line(textproto.CanonicalMIMEHeaderKey(job.Headers[i].Name), job.Headers[i].Value)
	}
	id := job.ID.String()
	line(headerJobID, id)
	line(headerAttempt, strconv.FormatUint(uint64(number), 10))
	line(headerIdempotencyKey, id)
	if e := job.Settings.Encoding; e != centrifuge.EncodingIdentity && length > 0 {
		line(headerEncoding, e.String())
	}
	return append(b, "\r\n"...)
}

// expectsBody reports whether a request without a body says so (RFC 9110, 8.6).
func expectsBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// request makes the request of an attempt for net/http. The job must have passed
// CheckJob.
func (c *Client) request(job *centrifuge.Job, t *target, number uint32, body []byte) *http.Request {
	req := &http.Request{
		Method:     method(job),
		URL:        t.url,
		Host:       t.url.Host,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     c.header(job, number),
		Body:       http.NoBody,
	}
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
	return req
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
