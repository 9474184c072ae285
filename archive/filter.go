package archive

import (
	"strings"
	"time"

	"centrifuge"
)

// Filter chooses archived jobs. Each field that is not zero must hold; the zero
// Filter chooses all. [ParseFilter] reads one from text.
type Filter struct {
	From        time.Time // archived at or after
	To          time.Time // archived before
	Source      string
	Destination string
	Endpoint    string               // exact, or what it begins with if the last character is '*'
	StatusCode  int                  // of the last attempt
	ErrorCode   centrifuge.ErrorCode // of the last attempt, or the reason
	JobID       centrifuge.ID        // must have been made no more than an hour after it was archived
}

// from is the time before which no object need be looked at.
func (f *Filter) from() time.Time {
	from := f.From
	if !f.JobID.IsZero() {
		if made := f.JobID.Time().Add(-clockSkew); made.After(from) {
			from = made
		}
	}
	return from
}

// match reports whether the filter chooses the entry. Its time was decided by
// its object's.
func (f *Filter) match(e *Entry) bool {
	return (f.Source == "" || f.Source == e.Source) &&
		(f.Destination == "" || f.Destination == e.Destination) &&
		(f.Endpoint == "" || f.matchEndpoint(e.Endpoint)) &&
		(f.StatusCode == 0 || f.StatusCode == e.StatusCode) &&
		(f.ErrorCode == "" || f.ErrorCode == e.ErrorCode || f.ErrorCode == e.Reason) &&
		(f.JobID.IsZero() || f.JobID == e.JobID)
}

func (f *Filter) matchEndpoint(endpoint string) bool {
	if prefix, ok := strings.CutSuffix(f.Endpoint, "*"); ok {
		return strings.HasPrefix(endpoint, prefix)
	}
	return f.Endpoint == endpoint
}
