package delivery

import (
	"fmt"
	"time"

	"golang.org/x/net/http/httpguts"

	"centrifuge"
)

// Bounds of a job's request. The payload is bounded by who accepts it.
const (
	MaxMethod      = 32              // bytes
	MaxHeaders     = 100             // lines
	MaxHeaderBytes = 32 << 10        // of all names and values together
	MaxTimeout     = 5 * time.Minute // of one attempt
)

// FieldError says which field of a job is at fault, by its name in the API
// (endpoint, method, headers, timeout, encoding), and why.
type FieldError struct {
	Field  string
	Reason string
}

func (e *FieldError) Error() string { return e.Field + " " + e.Reason }

// CheckJob returns a *FieldError if no request can be made of the job, whatever
// its endpoint does. It is what [Client.Deliver] refuses as EBADREQUEST, so that
// it can be refused before the job is accepted. An empty method means POST.
func CheckJob(job *centrifuge.Job) error {
	return new(Checker).Check(job)
}

// Checker is [CheckJob] for many jobs, one after the other. An endpoint that follows
// itself, as it does in most batches, is parsed once.
type Checker struct {
	endpoint string // the last that was found good
}

// Check returns what [CheckJob] returns.
func (c *Checker) Check(job *centrifuge.Job) error {
	if job.Endpoint != c.endpoint || c.endpoint == "" {
		if _, err := parseEndpoint(job.Endpoint); err != nil {
			return err
		}
		c.endpoint = job.Endpoint
	}
	return checkRequest(job)
}

// checkRequest is CheckJob without the endpoint.
func checkRequest(job *centrifuge.Job) error {
	if err := checkMethod(job.Method); err != nil {
		return err
	}
	if err := checkHeaders(job); err != nil {
		return err
	}
	if t := job.Settings.Timeout; t < 0 || t > MaxTimeout {
		return &FieldError{Field: "timeout", Reason: fmt.Sprintf("is not between 0 and %v", MaxTimeout)}
	}
	if job.Settings.Encoding > centrifuge.EncodingZstd {
		return &FieldError{Field: "encoding", Reason: "is unknown"}
	}
	return nil
}

func checkMethod(method string) error {
	switch {
	case method == "":
		return nil
	case len(method) > MaxMethod:
		return &FieldError{Field: "method", Reason: fmt.Sprintf("is longer than %d bytes", MaxMethod)}
	case !httpguts.ValidHeaderFieldName(method): // both are tokens (RFC 9110, 5.6.2)
		return &FieldError{Field: "method", Reason: "is not a token"}
	case method == "CONNECT":
		return &FieldError{Field: "method", Reason: "must not be CONNECT"}
	}
	return nil
}
