package delivery

import (
	"fmt"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"

	"centrifuge"
)

// The headers that Centrifuge adds to every request, in canonical form.
const (
	headerJobID          = "Centrifuge-Job-Id"
	headerAttempt        = "Centrifuge-Attempt"
	headerIdempotencyKey = "Idempotency-Key"
	headerUserAgent      = "User-Agent"
	headerEncoding       = "Content-Encoding"
)

func checkHeaders(job *centrifuge.Job) error {
	if len(job.Headers) > MaxHeaders {
		return &FieldError{Field: "headers", Reason: fmt.Sprintf("are more than %d", MaxHeaders)}
	}
	size := 0
	for i := range job.Headers {
		h := &job.Headers[i]
		if size += len(h.Name) + len(h.Value); size > MaxHeaderBytes {
			return &FieldError{Field: "headers", Reason: fmt.Sprintf("are longer than %d bytes", MaxHeaderBytes)}
		}
		if !httpguts.ValidHeaderFieldName(h.Name) {
			return &FieldError{Field: "headers", Reason: fmt.Sprintf("contain the invalid name %q", h.Name)}
		}
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		if why := reserved(name, job.Settings.Encoding); why != "" {
			return &FieldError{Field: "headers", Reason: fmt.Sprintf("must not contain %s: %s", name, why)}
		}
		// The value is left out of the message: it may be a secret.
		if !validHeaderValue(h.Value) {
			return &FieldError{Field: "headers", Reason: "contain an invalid value of " + name}
		}
	}
	return nil
}

// reserved says why a job must not set a header, empty if it may.
func reserved(name string, encoding centrifuge.Encoding) string {
	switch name {
	case "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return "it is about one connection, not the request"
	case "Content-Length", "Expect", headerIdempotencyKey, headerUserAgent:
		return "it is set by Centrifuge"
	case "Host":
		return "the endpoint says it" // another one could get past a proxy's rules
	case headerEncoding:
		if encoding != centrifuge.EncodingIdentity {
			return "the job's encoding says it"
		}
	}
	switch {
	case strings.HasPrefix(name, "Proxy-"):
		return "it is for proxies"
	case strings.HasPrefix(name, "Centrifuge-"):
		return "it is set by Centrifuge"
	}
	return ""
}

func validHeaderValue(v string) bool { return httpguts.ValidHeaderFieldValue(v) }
