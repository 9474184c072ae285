package sqlbody

import (
	"encoding/binary"
	"fmt"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// Headers and settings are kept as bytes that any value survives, which JSON
// does not offer: strings as a varint of their length and their bytes, numbers
// as varints. What is empty has no bytes.

func appendHeaders(dst []byte, headers []centrifuge.Header) []byte {
	for i := range headers {
		dst = appendString(dst, headers[i].Name)
		dst = appendString(dst, headers[i].Value)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func parseHeaders(b []byte) ([]centrifuge.Header, error) {
	if len(b) == 0 {
		return nil, nil
	}
	headers := make([]centrifuge.Header, 0, 4)
	for rest := string(b); len(rest) > 0; { // the headers share this one string
		var h centrifuge.Header
		var ok bool
		if h.Name, rest, ok = cutString(rest); !ok {
			return nil, fmt.Errorf("headers of a job: %w", jobdb.ErrCorrupt)
		}
		if h.Value, rest, ok = cutString(rest); !ok {
			return nil, fmt.Errorf("headers of a job: %w", jobdb.ErrCorrupt)
		}
		headers = append(headers, h)
	}
	return headers, nil
}

func cutString(s string) (head, rest string, ok bool) {
	n, size := binary.Uvarint([]byte(s[:min(len(s), binary.MaxVarintLen64)]))
	if size <= 0 || n > uint64(len(s)-size) {
		return "", "", false
	}
	end := size + int(n)
	return s[size:end], s[end:], true
}

func appendSettings(dst []byte, s *centrifuge.Settings) []byte {
	if *s == (centrifuge.Settings{}) {
		return dst
	}
	for _, n := range [...]int64{
		int64(s.Timeout), int64(s.Encoding),
		int64(s.Retry.MinBackoff), int64(s.Retry.MaxBackoff), int64(s.Retry.MaxAttempts),
	} {
		dst = binary.AppendVarint(dst, n)
	}
	return dst
}

// parseSettings takes what is missing at the end to be zero, so that a setting
// can be added.
func parseSettings(b []byte) (centrifuge.Settings, error) {
	var n [5]int64
	for i := 0; i < len(n) && len(b) > 0; i++ {
		value, size := binary.Varint(b)
		if size <= 0 {
			return centrifuge.Settings{}, fmt.Errorf("settings of a job: %w", jobdb.ErrCorrupt)
		}
		n[i], b = value, b[size:]
	}
	return centrifuge.Settings{
		Timeout:  time.Duration(n[0]),
		Encoding: centrifuge.Encoding(n[1]),
		Retry: centrifuge.RetryPolicy{
			MinBackoff:  time.Duration(n[2]),
			MaxBackoff:  time.Duration(n[3]),
			MaxAttempts: uint32(n[4]),
		},
	}, nil
}

func appendIDs(dst []byte, ids []centrifuge.ID) []byte {
	for i := range ids {
		dst = append(dst, ids[i][:]...)
	}
	return dst
}

func parseIDs(b []byte) ([]centrifuge.ID, error) {
	const size = len(centrifuge.ID{})
	if len(b)%size != 0 {
		return nil, fmt.Errorf("%d bytes of job ids: %w", len(b), jobdb.ErrCorrupt)
	}
	ids := make([]centrifuge.ID, len(b)/size)
	for i := range ids {
		ids[i] = centrifuge.ID(b[i*size:])
	}
	return ids, nil
}

func parseID(b []byte) (centrifuge.ID, error) {
	if len(b) != len(centrifuge.ID{}) {
		return centrifuge.ID{}, fmt.Errorf("job id of %d bytes: %w", len(b), jobdb.ErrCorrupt)
	}
	return centrifuge.ID(b), nil
}

// blob and text bind what is empty as NULL, which costs the least.
func blob(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// optionalMilli keeps the zero time as 0, and so the instant 1970-01-01 as none.
func optionalMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromOptionalMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return fromMilli(ms)
}
