package web

import (
	"strings"

	"centrifuge"
)

// curl is a command that makes the job's request once more by hand. A payload that is
// no text is to be put into a file.
func curl(job *centrifuge.Job, binary bool) string {
	method := job.Method
	if method == "" {
		method = "POST"
	}
	parts := []string{"curl -g -i -X " + quoted(method) + " " + quoted(job.Endpoint)}
	for _, h := range job.Headers {
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
