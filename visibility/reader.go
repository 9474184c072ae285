package visibility

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrCorrupt means that what is stored is damaged or was not written by this
// program.
var ErrCorrupt = errors.New("the record of deliveries is damaged")

// reader reads what was stored, and remembers the first thing wrong with it; from
// then on it reads zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) more() bool { return r.err == nil && len(r.b) > 0 }

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
	}
	r.b = nil
}

func (r *reader) uvarint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // nearly always
		v := r.b[0]
		r.b = r.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("a number is cut short")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a number that is added to others.
func (r *reader) count() int64 {
	v := r.uvarint()
	if v > 1<<56 {
		r.fail("%d is not a count", v)
		return 0
	}
	return int64(v)
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail("a text is cut short")
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string { return string(r.bytes()) }

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
