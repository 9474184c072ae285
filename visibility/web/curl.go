package web

import (
	"slices"
	"strings"

	"centrifuge"
)

const hidden = "REDACTED"

// redacted are the headers without what looks like a secret.
func redacted(headers []centrifuge.Header) []centrifuge.Header {
	shown := slices.Clone(headers)
	for i := range shown {
		name := strings.ToLower(shown[i].Name)
		for _, secret := range [...]string{"auth", "cookie", "token", "secret", "signature", "password", "api-key", "apikey", "credential", "session"} {
			if strings.Contains(name, secret) {
				shown[i].Value = hidden
			}
		}
	}
	return shown
}

// curl is a command that makes the job's request once more by hand. Secrets in its
// headers are left out; a payload that is no text is to be put into a file.
func curl(job *centrifuge.Job, headers []centrifuge.Header, binary bool) string {
	method := job.Method
	if method == "" {
		method = "POST"
	}
	parts := []string{"curl -g -i -X " + quoted(method) + " " + quoted(job.Endpoint)}
	for _, h := range headers {
		parts = append(parts, "-H "+quoted(h.Name+": "+h.Value))
	}
	parts = append(parts, "-H "+quoted("Idempotency-Key: "+job.ID.String()))
	switch {
	case len(job.Payload) == 0:
	case binary:
		parts = append(parts, "--data-binary @payload")
	default:
		parts = append(parts, "--data-raw "+quoted(string(job.Payload)))
	}
	return strings.Join(parts, " \\\n  ")
}

// quoted is a word of a POSIX shell, whatever is in it.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
