package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"centrifuge"
)

// Record is a job as it is archived: the whole of it, and what became of it.
type Record struct {
	Job           centrifuge.Job
	Attempts      uint32               // attempts begun
	Reason        centrifuge.ErrorCode // why it is here: EXPIRED, FLUSHED or ATTEMPTS
	StatusCode    int                  // of the last failed attempt, 0 if there was no response
	ErrorCode     centrifuge.ErrorCode // of the last failed attempt
	Error         string               // of the last failed attempt
	LastAttemptAt time.Time            // zero if there was no attempt
	ArchivedAt    time.Time            // the time in the object's name, whatever Write was given
	Transitions   []centrifuge.Transition
}

// format is the version of the lines in this package's objects. Fields may be
// added to a version; readers ignore those they do not know.
const format = 1

type recordLine struct {
	Format      int              `json:"v"`
	ID          centrifuge.ID    `json:"id"`
	Source      string           `json:"source"`
	Destination string           `json:"destination"`
	Endpoint    string           `json:"endpoint"`
	Method      string           `json:"method"`
	Headers     []headerLine     `json:"headers,omitempty"`
	Payload     []byte           `json:"payload"`
	Settings    settingsLine     `json:"settings,omitzero"`
	CreatedAt   instant          `json:"created_at,omitzero"`
	ExpireAt    instant          `json:"expire_at,omitzero"`
	ReplayOf    centrifuge.ID    `json:"replay_of,omitzero"`
	Attempts    uint32           `json:"attempts"`
	Reason      string           `json:"reason"`
	StatusCode  int              `json:"status_code,omitempty"`
	ErrorCode   string           `json:"error_code,omitempty"`
	Error       string           `json:"error,omitempty"`
	LastAttempt instant          `json:"last_attempt_at,omitzero"`
	ArchivedAt  instant          `json:"archived_at,omitzero"`
	Transitions []transitionLine `json:"transitions,omitempty"`
}

type headerLine struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type settingsLine struct {
	Timeout     millis `json:"timeout_ms,omitempty"`
	Encoding    string `json:"encoding,omitempty"`
	MinBackoff  millis `json:"min_backoff_ms,omitempty"`
	MaxBackoff  millis `json:"max_backoff_ms,omitempty"`
	MaxAttempts uint32 `json:"max_attempts,omitempty"`
}

type transitionLine struct {
	Seq        uint64  `json:"seq"`
	State      string  `json:"state"`
	Attempt    uint32  `json:"attempt"`
	Time       instant `json:"time,omitzero"`
	RetryAt    instant `json:"retry_at,omitzero"`
	StatusCode int     `json:"status_code,omitempty"`
	ErrorCode  string  `json:"error_code,omitempty"`
	Error      string  `json:"error,omitempty"`
	Duration   millis  `json:"duration_ms,omitempty"`
}

func newRecordLine(r *Record) (recordLine, error) {
	j := &r.Job
	line := recordLine{
		Format: format, ID: j.ID, Source: j.Source, Destination: j.Destination,
		Endpoint: j.Endpoint, Method: j.Method, Payload: j.Payload,
		Settings: settingsLine{
			Timeout:     millis(j.Settings.Timeout),
			Encoding:    j.Settings.Encoding.String(),
			MinBackoff:  millis(j.Settings.Retry.MinBackoff),
			MaxBackoff:  millis(j.Settings.Retry.MaxBackoff),
			MaxAttempts: j.Settings.Retry.MaxAttempts,
		},
		CreatedAt: instant(j.CreatedAt), ExpireAt: instant(j.ExpireAt), ReplayOf: j.ReplayOf,
		Attempts: r.Attempts, Reason: string(r.Reason), StatusCode: r.StatusCode,
		ErrorCode: string(r.ErrorCode), Error: r.Error,
		LastAttempt: instant(r.LastAttemptAt), ArchivedAt: instant(r.ArchivedAt),
	}
	if line.Payload == nil {
		line.Payload = []byte{} // "" in JSON, where nil would be null and jq's @base64d fail
	}
	for _, h := range j.Headers {
		line.Headers = append(line.Headers, headerLine(h))
	}
	for i := range r.Transitions {
		t := &r.Transitions[i]
		if !t.State.Valid() {
			return line, fmt.Errorf("transition %d has no valid state: %s", t.Seq, t.State)
		}
		line.Transitions = append(line.Transitions, transitionLine{
			Seq: t.Seq, State: t.State.String(), Attempt: t.Attempt, Time: instant(t.Time),
			RetryAt: instant(t.RetryAt), StatusCode: t.StatusCode, ErrorCode: string(t.ErrorCode),
			Error: t.Error, Duration: millis(t.Duration),
		})
	}
	return line, nil
}

func parseRecord(b []byte) (Record, error) {
	var line recordLine
	if err := json.Unmarshal(b, &line); err != nil {
		return Record{}, err
	}
	if err := checkLine(line.Format, line.ID); err != nil {
		return Record{}, err
	}
	encoding, err := parseEncoding(line.Settings.Encoding)
	if err != nil {
		return Record{}, err
	}
	r := Record{
		Job: centrifuge.Job{
			ID: line.ID, Source: line.Source, Destination: line.Destination,
			Endpoint: line.Endpoint, Method: line.Method, Payload: line.Payload,
			Settings: centrifuge.Settings{
				Timeout:  time.Duration(line.Settings.Timeout),
				Encoding: encoding,
				Retry: centrifuge.RetryPolicy{
					MinBackoff:  time.Duration(line.Settings.MinBackoff),
					MaxBackoff:  time.Duration(line.Settings.MaxBackoff),
					MaxAttempts: line.Settings.MaxAttempts,
				},
			},
			CreatedAt: time.Time(line.CreatedAt), ExpireAt: time.Time(line.ExpireAt), ReplayOf: line.ReplayOf,
		},
		Attempts: line.Attempts, Reason: centrifuge.ErrorCode(line.Reason), StatusCode: line.StatusCode,
		ErrorCode: centrifuge.ErrorCode(line.ErrorCode), Error: line.Error,
		LastAttemptAt: time.Time(line.LastAttempt), ArchivedAt: time.Time(line.ArchivedAt),
	}
	if len(line.Payload) == 0 {
		r.Job.Payload = nil
	}
	for _, h := range line.Headers {
		r.Job.Headers = append(r.Job.Headers, centrifuge.Header(h))
	}
	for _, t := range line.Transitions {
		state, err := centrifuge.ParseState(t.State)
		if err != nil {
			return Record{}, err
		}
		r.Transitions = append(r.Transitions, centrifuge.Transition{
			JobID: line.ID, Seq: t.Seq, State: state, Attempt: t.Attempt, Time: time.Time(t.Time),
			RetryAt: time.Time(t.RetryAt), StatusCode: t.StatusCode, ErrorCode: centrifuge.ErrorCode(t.ErrorCode),
			Error: t.Error, Duration: time.Duration(t.Duration),
		})
	}
	return r, nil
}

func checkLine(v int, id centrifuge.ID) error {
	switch {
	case v > format:
		return fmt.Errorf("written by a newer version: format %d, this program reads up to %d", v, format)
	case v < format:
		return fmt.Errorf("format %d is none of this program's", v)
	case id.IsZero():
		return errors.New("a line has no job id")
	}
	return nil
}

func parseEncoding(name string) (centrifuge.Encoding, error) {
	for _, e := range [...]centrifuge.Encoding{
		centrifuge.EncodingIdentity, centrifuge.EncodingGzip, centrifuge.EncodingZstd,
	} {
		if e.String() == name {
			return e, nil
		}
	}
	return 0, fmt.Errorf("unknown encoding %q", name)
}
