package archive

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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

// needles are texts that the index line of every job which the filter chooses
// contains: equal values are equal in JSON, as one encoder writes all of it. A
// line without one of them need not be parsed, which costs many times more than
// looking for them.
func (f *Filter) needles() [][]byte {
	var needles [][]byte
	add := func(field, value, end string) {
		// What is not UTF-8 is replaced in a line, in one of two spellings.
		if value != "" && !strings.ContainsRune(value, utf8.RuneError) {
			needles = append(needles, []byte(field+strings.TrimSuffix(quote(value), `"`)+end))
		}
	}
	if !f.JobID.IsZero() {
		add(`"id":`, f.JobID.String(), `"`)
	}
	add(`"source":`, f.Source, `"`)
	add(`"destination":`, f.Destination, `"`)
	if prefix, ok := strings.CutSuffix(f.Endpoint, "*"); ok {
		add(`"endpoint":`, prefix, "")
	} else {
		add(`"endpoint":`, f.Endpoint, `"`)
	}
	if f.StatusCode != 0 {
		needles = append(needles, []byte(`"status_code":`+strconv.Itoa(f.StatusCode)))
	}
	add("", string(f.ErrorCode), `"`)
	return needles
}

// quote writes a string as lineWriter does.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // neither a string nor a strings.Builder can fail
	return strings.TrimSuffix(b.String(), "\n")
}

func containsAll(line []byte, needles [][]byte) bool {
	for _, n := range needles {
		if !bytes.Contains(line, n) {
			return false
		}
	}
	return true
}
