package archive

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/segmentio/ksuid"

	"centrifuge"
)

// Entry is what a listing says of an archived job.
type Entry struct {
	Object      string // the archive object that holds the job
	JobID       centrifuge.ID
	Source      string
	Destination string
	Endpoint    string
	Reason      centrifuge.ErrorCode // EXPIRED, FLUSHED or ATTEMPTS
	StatusCode  int                  // of the last failed attempt, 0 if there was no response
	ErrorCode   centrifuge.ErrorCode // of the last failed attempt
	Attempts    uint32
	PayloadSize int       // bytes
	CreatedAt   time.Time // millisecond precision, UTC
	ArchivedAt  time.Time // millisecond precision, UTC
	ReplayedAs  centrifuge.ID
	ReplayedAt  time.Time // zero if it was not replayed

	// Doubtful says that a mark of the object is damaged: the job may have been
	// replayed, though ReplayedAs is zero.
	Doubtful bool
}

// ReplayID is the ID under which to submit the archived job again. It is always
// the same for an entry, so that a replay that ended between its Submit and
// [Archive.MarkReplayed] is recognised when it runs again. Its time is that of
// the archiving.
func (e *Entry) ReplayID() (centrifuge.ID, error) {
	sum := sha256.Sum256(append([]byte("replay of "), e.JobID[:]...))
	id, err := ksuid.FromParts(e.ArchivedAt, sum[:16])
	if err != nil {
		return centrifuge.ID{}, fmt.Errorf("make the replay id of job %s: %w", e.JobID, err)
	}
	return centrifuge.ID(id), nil
}

// indexLine has what is listed and filtered by, and no more. The time of
// archiving is in the object's name.
type indexLine struct {
	Format      int           `json:"v"`
	ID          centrifuge.ID `json:"id"`
	Source      string        `json:"source"`
	Destination string        `json:"destination"`
	Endpoint    string        `json:"endpoint"`
	Reason      string        `json:"reason"`
	StatusCode  int           `json:"status_code,omitempty"`
	ErrorCode   string        `json:"error_code,omitempty"`
	Attempts    uint32        `json:"attempts"`
	PayloadSize int           `json:"payload_bytes"`
	CreatedAt   instant       `json:"created_at,omitzero"`
}

func newIndexLine(r *Record) indexLine {
	return indexLine{
		Format: format, ID: r.Job.ID, Source: r.Job.Source, Destination: r.Job.Destination,
		Endpoint: r.Job.Endpoint, Reason: string(r.Reason), StatusCode: r.StatusCode,
		ErrorCode: string(r.ErrorCode), Attempts: r.Attempts, PayloadSize: len(r.Job.Payload),
		CreatedAt: instant(r.Job.CreatedAt),
	}
}

func (l *indexLine) entry() Entry {
	return Entry{
		JobID: l.ID, Source: l.Source, Destination: l.Destination,
		Endpoint: l.Endpoint, Reason: centrifuge.ErrorCode(l.Reason), StatusCode: l.StatusCode,
		ErrorCode: centrifuge.ErrorCode(l.ErrorCode), Attempts: l.Attempts, PayloadSize: l.PayloadSize,
		CreatedAt: time.Time(l.CreatedAt),
	}
}

func parseEntry(b []byte) (Entry, error) {
	var line indexLine
	if err := json.Unmarshal(b, &line); err != nil {
		return Entry{}, err
	}
	if err := checkLine(line.Format, line.ID); err != nil {
		return Entry{}, err
	}
	return line.entry(), nil
}
