package visibility

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"centrifuge"
)

// The plain numbers of a cell. Their order is stored and never changes.
const (
	nAccepted = iota
	nMoved
	nExpired
	nFlushed
	nSpent
	nAcceptedBytes
	nDeliveredBytes
	numbers
)

// hasRetried is set in a cell's mask of numbers if attempts after the first
// delivered.
const hasRetried = 1 << numbers

// maxCodes is how many pairs of outcome and code a cell tells apart; what comes
// after them is counted under [ErrorOther].
const maxCodes = 48

// cell is everything that is counted of one queue (or source, destination, or all)
// in one span of time. Cells of the same kind add up. A cell is never copied.
type cell struct {
	n        [numbers]int64
	codes    []tally // attempts by outcome and code, see codeKey
	attempts []tally // deliveries by attempt number, without the first
	latency  sketch
	delay    sketch

	room [2]tally // that codes lies in while it is short
}

// tally is a small number of what has a key.
type tally struct {
	key uint32
	n   int64
}

func codeKey(o centrifuge.Outcome, code uint16) uint32 { return uint32(code)<<2 | uint32(o) }

func outcomeOf(key uint32) centrifuge.Outcome { return centrifuge.Outcome(key & 3) }

// addTally counts in a list that is short.
func addTally(list []tally, key uint32, n int64) []tally {
	for i := range list {
		if list[i].key == key {
			list[i].n += n
			return list
		}
	}
	return append(list, tally{key, n})
}

func (c *cell) code(key uint32, n int64) {
	if len(c.codes) >= maxCodes && !slices.ContainsFunc(c.codes, func(t tally) bool { return t.key == key }) {
		key = codeKey(outcomeOf(key), firstError)
	}
	if c.codes == nil {
		c.codes = c.room[:0]
	}
	c.codes = addTally(c.codes, key, n)
}

func (c *cell) deliveredBy(attempt uint32, n int64) {
	if attempt > 1 {
		c.attempts = addTally(c.attempts, min(attempt, MaxAttemptShown), n)
	}
}

// reset empties the cell and keeps its memory.
func (c *cell) reset() {
	c.n = [numbers]int64{}
	c.codes, c.attempts = c.codes[:0], c.attempts[:0]
	c.latency.reset()
	c.delay.reset()
}

func (c *cell) merge(other *cell) {
	c.mergeCounts(other)
	c.latency.merge(&other.latency)
	c.delay.merge(&other.delay)
}

func (c *cell) mergeCounts(other *cell) {
	for i, n := range other.n {
		c.n[i] += n
	}
	for _, t := range other.codes {
		c.code(t.key, t.n)
	}
	for _, t := range other.attempts {
		c.deliveredBy(t.key, t.n)
	}
}

// counts sums the cell up.
func (c *cell) counts() Counts {
	out := Counts{
		Accepted: c.n[nAccepted], Moved: c.n[nMoved],
		Expired: c.n[nExpired], Flushed: c.n[nFlushed], Spent: c.n[nSpent],
		Archived:      c.n[nExpired] + c.n[nFlushed] + c.n[nSpent],
		AcceptedBytes: c.n[nAcceptedBytes], DeliveredBytes: c.n[nDeliveredBytes],
	}
	for _, t := range c.codes {
		switch outcomeOf(t.key) {
		case centrifuge.OutcomeSucceeded:
			out.Succeeded += t.n
		case centrifuge.OutcomeRetry:
			out.Retried += t.n
		case centrifuge.OutcomeDiscarded:
			out.Discarded += t.n
		}
	}
	out.FirstAttempt = out.Succeeded
	for _, t := range c.attempts {
		out.FirstAttempt -= t.n
	}
	return out
}

// appendCounts writes all but the sketches.
func (c *cell) appendCounts(b []byte) []byte {
	mask := uint64(0)
	for i, n := range c.n {
		if n != 0 {
			mask |= 1 << i
		}
	}
	if len(c.attempts) > 0 {
		mask |= hasRetried
	}
	b = binary.AppendUvarint(b, mask)
	for _, n := range c.n {
		if n != 0 {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	b = appendTallies(b, c.codes)
	if len(c.attempts) > 0 {
		b = appendTallies(b, c.attempts)
	}
	return b
}

func appendTallies(b []byte, list []tally) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, t := range list {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(t.key)), uint64(t.n))
	}
	return b
}

// readCounts adds what appendCounts wrote; with a nil cell it skips it.
func (c *cell) readCounts(r *reader) {
	mask := r.uvarint()
	if mask >= hasRetried<<1 {
		r.fail("a cell has unknown numbers %#x", mask)
		return
	}
	for m := mask &^ hasRetried; m != 0; m &= m - 1 {
		if n := r.count(); c != nil {
			c.n[bits.TrailingZeros64(m)] += n
		}
	}
	for range r.uvarint() {
		if r.err != nil {
			return
		}
		if key, n := r.uvarint(), r.count(); c != nil && r.err == nil {
			c.code(uint32(min(key, maxCode<<2|3)), n)
		}
	}
	if mask&hasRetried == 0 {
		return
	}
	for range r.uvarint() {
		if r.err != nil {
			return
		}
		if key, n := r.uvarint(), r.count(); c != nil && r.err == nil {
			c.deliveredBy(uint32(min(key, MaxAttemptShown)), n)
		}
	}
}

// appendSketches writes how long the sketches are, so that they can be skipped, and
// then them.
func (c *cell) appendSketches(b []byte) []byte {
	// Their length is most often a byte long; otherwise they are moved.
	at := len(b)
	b = c.delay.append(c.latency.append(append(b, 0)))
	n := len(b) - at - 1
	if n < 0x80 {
		b[at] = byte(n)
		return b
	}
	var length [binary.MaxVarintLen64]byte
	return slices.Replace(b, at, at+1, length[:binary.PutUvarint(length[:], uint64(n))]...)
}

// readSketches adds what appendSketches wrote; with a nil cell it skips it.
func (c *cell) readSketches(r *reader) {
	both := reader{b: r.bytes(), err: r.err}
	if c == nil {
		return
	}
	c.latency.read(&both)
	c.delay.read(&both)
	if r.err == nil {
		r.err = both.err
	}
}
