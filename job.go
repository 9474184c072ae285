package centrifuge

import "time"

// Defaults of a job that does not say otherwise.
const (
	DefaultTTL     = 4 * time.Hour    // from acceptance to the archive (post of 23 May 2018)
	DefaultTimeout = 10 * time.Second // one attempt, from dialling to the last byte read
)

// Job is one HTTP request to be made. It is immutable once accepted: what
// happens to it is told by its transitions.
type Job struct {
	ID          ID
	Source      string // who sends
	Destination string // whom it is for; with Source it names the virtual queue
	Endpoint    string // the URL
	Method      string
	Headers     []Header
	Payload     []byte
	Settings    Settings
	CreatedAt   time.Time // millisecond precision, UTC
	ExpireAt    time.Time // millisecond precision, UTC
	ReplayOf    ID        // the archived job that this one repeats, if any
}

// Queue is the virtual queue the job belongs to.
func (j *Job) Queue() QueueKey { return QueueKey{Source: j.Source, Destination: j.Destination} }

// Size is what the job weighs in a bounded cache, in bytes.
func (j *Job) Size() int {
	n := len(j.Payload) + len(j.Source) + len(j.Destination) + len(j.Endpoint) + len(j.Method)
	for _, h := range j.Headers {
		n += len(h.Name) + len(h.Value)
	}
	return n + 256 // the structs around them
}

// QueueKey names a virtual queue.
type QueueKey struct {
	Source      string
	Destination string
}

// Header is one header line of an outbound request.
type Header struct {
	Name  string
	Value string
}

// Settings are how a job wants to be delivered. The zero value means the
// defaults throughout.
type Settings struct {
	Timeout  time.Duration // of one attempt; 0 means [DefaultTimeout]
	Encoding Encoding      // of the outbound body
	Retry    RetryPolicy
}

// Encoding is how the outbound body is compressed on its way. Payloads are kept
// as they were given.
type Encoding uint8

// The encodings of an outbound body. Their numbers are stored and never change.
const (
	EncodingIdentity Encoding = 0
	EncodingGzip     Encoding = 1
	EncodingZstd     Encoding = 2
)

// String is the value of the Content-Encoding header, empty for identity.
func (e Encoding) String() string {
	switch e {
	case EncodingGzip:
		return "gzip"
	case EncodingZstd:
		return "zstd"
	default:
		return ""
	}
}
