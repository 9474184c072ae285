package director

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"centrifuge"
	"centrifuge/delivery"
)

// complete fills what a submitted job leaves out and checks the rest.
func complete(checker *delivery.Checker, job *centrifuge.Job, now time.Time) (field, reason string) {
	if job.Method == "" {
		job.Method = "POST"
	}
	if err := checker.Check(job); err != nil {
		if fe, ok := errors.AsType[*delivery.FieldError](err); ok {
			return fe.Field, fe.Reason
		}
		return "endpoint", err.Error()
	}
	if job.Destination == "" {
		u, err := url.Parse(job.Endpoint)
		if err != nil {
			return "endpoint", err.Error()
		}
		job.Destination = strings.ToLower(u.Host)
	}
	if reason := checkName(job.Source); reason != "" {
		return "source", reason
	}
	if reason := checkName(job.Destination); reason != "" {
		return "destination", reason
	}
	if len(job.Payload) > MaxPayload {
		return "payload", fmt.Sprintf("is %d bytes; at most %d are accepted", len(job.Payload), MaxPayload)
	}
	job.CreatedAt = now.UTC().Truncate(time.Millisecond)
	if job.ExpireAt.IsZero() {
		job.ExpireAt = job.CreatedAt.Add(centrifuge.DefaultTTL)
	}
	job.ExpireAt = job.ExpireAt.UTC().Truncate(time.Millisecond)
	switch ttl := job.ExpireAt.Sub(job.CreatedAt); {
	case ttl <= 0:
		return "expire_at", "is not in the future"
	case ttl > MaxTTL:
		return "expire_at", fmt.Sprintf("is %s ahead; at most %s are accepted", ttl, MaxTTL)
	}
	return checkSettings(&job.Settings)
}

func checkName(name string) (reason string) {
	switch {
	case name == "":
		return "is required"
	case len(name) > MaxName:
		return fmt.Sprintf("is %d bytes long; at most %d are accepted", len(name), MaxName)
	case !utf8.ValidString(name):
		return "is not valid UTF-8"
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "contains a control character"
	}
	return ""
}

func checkSettings(s *centrifuge.Settings) (field, reason string) {
	switch {
	case s.Timeout < 0, s.Timeout > 0 && s.Timeout < time.Millisecond:
		return "timeout", "is below 1 ms"
	case s.Timeout > MaxTimeout:
		return "timeout", fmt.Sprintf("is %s; at most %s are accepted", s.Timeout, MaxTimeout)
	case s.Encoding > centrifuge.EncodingZstd:
		return "encoding", "is unknown"
	case s.Retry.MinBackoff < 0:
		return "retry.min_backoff", "is negative"
	case s.Retry.MaxBackoff < 0:
		return "retry.max_backoff", "is negative"
	case s.Retry.MaxBackoff > 0 && s.Retry.MaxBackoff < s.Retry.MinBackoff:
		return "retry.max_backoff", "is below min_backoff"
	}
	return "", ""
}

func checkTransactionID(id string) error {
	if len(id) > MaxTransactionID {
		return &InvalidError{-1, "transaction_id", fmt.Sprintf("is %d bytes long; at most %d are accepted", len(id), MaxTransactionID)}
	}
	for _, c := range []byte(id) {
		if c < ' ' || c > '~' {
			return &InvalidError{-1, "transaction_id", "contains a character outside printable ASCII"}
		}
	}
	return nil
}
