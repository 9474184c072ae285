package centrifuge

import "slices"

// QueuePolicy is what an operator has said of a queue, of all queues of one
// source, or of one destination as a whole. Zero fields leave things as they
// are by default.
type QueuePolicy struct {
	Paused        bool        `json:"paused,omitempty"`         // nothing is sent; intake and expiry go on
	Rate          float64     `json:"rate,omitempty"`           // jobs a second; 0 is unlimited
	Burst         int         `json:"burst,omitempty"`          // jobs that may go at once after a lull; 0: one second's worth, at least 1
	Weight        float64     `json:"weight,omitempty"`         // share against its siblings; 0 means 1
	Concurrency   int         `json:"concurrency,omitempty"`    // requests in flight at most; 0: the Director's default
	BatchSize     int         `json:"batch_size,omitempty"`     // jobs a pick may hold; 0 means 1
	RetryStatuses []int       `json:"retry_statuses,omitempty"` // retried although they would be discarded
	Retry         RetryPolicy `json:"retry,omitzero"`           // for jobs that have none of their own
}

// RetriesStatus reports whether the policy widens the retried statuses by code.
func (p *QueuePolicy) RetriesStatus(code int) bool {
	return slices.Contains(p.RetryStatuses, code)
}
