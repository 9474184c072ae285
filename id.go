package centrifuge

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/segmentio/ksuid"
)

// ID names a job for ever: a KSUID, whose first four bytes are the second of
// its making and whose other sixteen are random. IDs sort by that second, as
// bytes and as text. The zero ID names nothing.
type ID [20]byte

// ParseID reads the 27 characters of base62 that [ID.String] writes.
func ParseID(s string) (ID, error) {
	id, err := ksuid.Parse(s)
	if err != nil {
		return ID{}, fmt.Errorf("parse id %q: want 27 characters of base62 (a KSUID): %w", s, err)
	}
	return ID(id), nil
}

// String is the ID as 27 characters of base62.
func (id ID) String() string { return ksuid.KSUID(id).String() }

// AppendText appends what [ID.String] returns; it never fails.
func (id ID) AppendText(b []byte) ([]byte, error) { return ksuid.KSUID(id).Append(b), nil }

// MarshalText implements [encoding.TextMarshaler]; it never fails.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// UnmarshalText implements [encoding.TextUnmarshaler] with the rules of [ParseID].
func (id *ID) UnmarshalText(b []byte) error {
	parsed, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// Time is the second in which the ID was made, as its maker said it.
func (id ID) Time() time.Time { return ksuid.KSUID(id).Time() }

// IsZero reports whether the ID names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders IDs by their bytes, and so by their second first.
func (id ID) Compare(other ID) int { return ksuid.Compare(ksuid.KSUID(id), ksuid.KSUID(other)) }

// IDs makes IDs that increase strictly, so that rows keyed by them are appended
// to the right edge of a B-tree instead of being scattered over it. The random
// part is drawn anew each second and counted up within it. It is safe for
// concurrent use.
type IDs struct {
	random io.Reader

	mu struct {
		sync.Mutex
		last ID
	}
}

// NewIDs makes IDs from a source of randomness, [crypto/rand.Reader] outside tests.
func NewIDs(random io.Reader) *IDs { return &IDs{random: random} }

// Next returns an ID for the second of now. While the clock stands or goes back
// it continues from the last ID.
func (g *IDs) Next(now time.Time) (ID, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var zeros [16]byte
	next, err := ksuid.FromParts(now, zeros[:])
	if err != nil {
		return ID{}, fmt.Errorf("make an id: %w", err)
	}
	if id := ID(next); second(id) > second(g.mu.last) {
		if _, err := io.ReadFull(g.random, id[4:]); err != nil {
			return ID{}, fmt.Errorf("make an id: read randomness: %w", err)
		}
		id[4] &= 0x7f // room to count up within the second
		g.mu.last = id
		return id, nil
	}
	g.mu.last = ID(ksuid.KSUID(g.mu.last).Next())
	return g.mu.last, nil
}

func second(id ID) uint32 { return binary.BigEndian.Uint32(id[:4]) }
