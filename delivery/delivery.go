// Package delivery makes one HTTP attempt for a job and judges what came back.
// It retries nothing, logs nothing and keeps no state but its connections.
package delivery

import (
	"time"

	"centrifuge"
)

// Result is what one attempt came to.
type Result struct {
	Outcome    centrifuge.Outcome
	StatusCode int                  // 0 if there was no status
	ErrorCode  centrifuge.ErrorCode // empty if a status decided
	Error      string               // the error's message, or the first bytes of a response that was not 2xx; valid UTF-8
	RetryAfter time.Duration        // how long the endpoint asks to be left alone, 0 if it does not say
	Duration   time.Duration        // from before dialling to after the last byte read
	Sent       bool                 // whether anything may have reached the endpoint
}
