package director

import (
	"errors"
	"fmt"
	"time"

	"centrifuge"
)

// ErrUnavailable means that the Director does not serve at the moment, or that
// it cannot tell whether a Submit was made durable. Repeating a Submit with the
// same transaction id is safe.
var ErrUnavailable = errors.New("the director is not serving; repeat the call with the same transaction id")

// ErrNotServing is an [ErrUnavailable] of which it is known that nothing was done.
var ErrNotServing = fmt.Errorf("nothing was stored: %w", ErrUnavailable)

// ErrNotFound means that there is no such job.
var ErrNotFound = errors.New("no such job")

// GoneError is an [ErrNotFound] of a job that there may have been: what would know of
// it was dropped.
type GoneError struct{ Reason string }

func (e *GoneError) Error() string { return e.Reason }

// Unwrap makes it an ErrNotFound.
func (e *GoneError) Unwrap() error { return ErrNotFound }

// InvalidError says which job of a Submit is refused, and why. Nothing of the
// Submit was stored.
type InvalidError struct {
	Index  int    // of the job, -1 if it is not about one
	Field  string // as the wire schema names it
	Reason string
}

func (e *InvalidError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("%s: %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("jobs[%d].%s: %s", e.Index, e.Field, e.Reason)
}

// ExistsError says that a job's id is taken. Nothing of the Submit was stored.
type ExistsError struct {
	Index int
	ID    centrifuge.ID
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("jobs[%d].id: a job %s was accepted before", e.Index, e.ID)
}

// ExhaustedError says that memory or disk is nearly full. Nothing of the Submit
// was stored.
type ExhaustedError struct {
	Reason     string
	RetryAfter time.Duration
}

func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("%s; try again in %s", e.Reason, e.RetryAfter)
}
