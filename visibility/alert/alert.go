// Package alert says what asks for attention. Once a minute it applies rules to
// what was recorded and to how the Director stands, keeps each finding until it has
// been over for a while, and sends what begins and ends to webhooks, as jobs of
// Centrifuge itself. It can pause a queue whose credentials are refused.
//
// Which alerts fire is kept in the record, so that a restart neither tells of them again
// nor forgets to tell that they are over.
package alert

import (
	"context"
	"time"

	"centrifuge"
	"centrifuge/visibility"
)

// Severity is how much an alert matters.
type Severity string

// The severities.
const (
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Alert is one rule that holds of one thing, or did for a time.
type Alert struct {
	Rule        string // the name of the rule, as in the file of rules
	Severity    Severity
	Source      string // what it is about; both are empty if that is everything
	Destination string
	Text        string    // what is wrong, in a sentence
	Since       time.Time // when it began to fire
	Ended       time.Time // zero while it fires
}

// Scope is what an alert is about: a queue, a destination, or everything.
type Scope = centrifuge.QueueKey

// History is what was recorded; [visibility.Store] is one.
type History interface {
	Top(context.Context, visibility.By, visibility.Filter, visibility.Range, visibility.Order, int) ([]visibility.TopRow, error)
}

// Facts are how the Director stands.
type Facts struct {
	Oldest   time.Time // when the oldest pending job was accepted; zero if none is
	Off      int64     // by how many jobs the ledger is out of balance
	Breakers []Breaker // that are not closed
	Queues   []Depth   // that have jobs
}

// Breaker is one that is open, of a queue or, without a source, of a destination.
type Breaker struct {
	Scope Scope
	Until time.Time // nothing is sent before
}

// Depth is how many jobs wait in a queue.
type Depth struct {
	Queue  centrifuge.QueueKey
	Jobs   int64
	Paused bool
}

// Notice is a message to be delivered.
type Notice struct {
	Endpoint    string
	ContentType string
	Body        []byte
}
