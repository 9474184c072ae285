package visibility

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// Durations are kept as a DDSketch ("DDSketch: a fast and fully-mergeable quantile
// sketch with relative-error guarantees", VLDB 2019): a count for each bin, where
// bins grow by a fixed ratio. Its mapping and its store are the library's; only the
// bytes on the disk are ours, a third of the library's for the few values that a
// minute of a queue has (docs/adr/0010-rollups.md).
const (
	sketchAccuracy = 0.02 // a quantile is at most this share off
	sketchMin      = time.Microsecond
	sketchMax      = 1 << 40 * time.Microsecond // 12 days
	maxBin         = 1024                       // above the bin of sketchMax
)

// scale tells the bin of a duration and back.
type scale struct{ mapping.IndexMapping }

func newScale() (scale, error) {
	m, err := mapping.NewCubicallyInterpolatedMapping(sketchAccuracy)
	if err != nil {
		return scale{}, fmt.Errorf("make the scale of sketches: %w", err)
	}
	return scale{m}, nil
}

func (s scale) bin(d time.Duration) int {
	return s.Index(float64(min(max(d, sketchMin), sketchMax)) / float64(sketchMin))
}

func (s scale) duration(bin int) time.Duration {
	return time.Duration(s.Value(bin) * float64(sketchMin))
}

// sketch counts durations by bin. The zero sketch is empty.
//
// Most sketches are of a queue that had a few attempts in a few seconds: those lie in
// the sketch itself, as they came, so that ten thousands of them are no work for the
// collector.
type sketch struct {
	few  [8]uint16 // the bins of the first, if there are no more
	n    uint8     // of few
	bins *store.BufferedPaginatedStore
	many bool // all are in bins
}

func (s *sketch) add(bin int, count float64) {
	if !s.many && count == 1 && int(s.n) < len(s.few) {
		s.few[s.n] = uint16(bin)
		s.n++
		return
	}
	s.spill().AddWithCount(bin, count)
}

// spill sees to it that all are in bins.
func (s *sketch) spill() *store.BufferedPaginatedStore {
	if s.bins == nil {
		s.bins = store.NewBufferedPaginatedStore()
	}
	for _, bin := range s.few[:s.n] {
		s.bins.Add(int(bin))
	}
	s.n, s.many = 0, true
	return s.bins
}

// reset empties the sketch and keeps its memory.
func (s *sketch) reset() {
	s.n, s.many = 0, false
	if s.bins != nil {
		s.bins.Clear()
	}
}

func (s *sketch) merge(other *sketch) {
	for _, bin := range other.few[:other.n] {
		s.add(int(bin), 1)
	}
	if other.many {
		s.spill().MergeWith(other.bins)
	}
}

// quantiles reads the usual three.
func (s *sketch) quantiles(scale scale) Quantiles {
	bins := s.spill()
	if bins.IsEmpty() {
		return Quantiles{}
	}
	count := bins.TotalCount()
	at := func(q float64) time.Duration { return scale.duration(bins.KeyAtRank(q * (count - 1))) }
	return Quantiles{Count: int64(count), P50: at(0.50), P95: at(0.95), P99: at(0.99)}
}

// append writes the number of bins and, for each, how far it is from the one
// before, twice, plus one if a count follows: without it the count is 1.
func (s *sketch) append(b []byte) []byte {
	n := 0
	s.each(func(int, uint64) { n++ })
	b = binary.AppendUvarint(b, uint64(n))
	last := 0
	s.each(func(bin int, count uint64) {
		step := uint64(bin-last) << 1
		last = bin
		if count == 1 {
			b = binary.AppendUvarint(b, step)
		} else {
			b = binary.AppendUvarint(binary.AppendUvarint(b, step|1), count)
		}
	})
	return b
}

// each calls f for the bins in their order.
func (s *sketch) each(f func(bin int, count uint64)) {
	if s.many {
		s.bins.ForEach(func(bin int, count float64) bool { f(bin, uint64(count)); return false })
		return
	}
	sorted := s.few
	slices.Sort(sorted[:s.n])
	for i := 0; i < int(s.n); {
		first := i
		for ; i < int(s.n) && sorted[i] == sorted[first]; i++ {
		}
		f(int(sorted[first]), uint64(i-first))
	}
}

// read merges what append wrote.
func (s *sketch) read(r *reader) {
	n, bin := r.uvarint(), uint64(0)
	for range n {
		if r.err != nil {
			return
		}
		step, count := r.uvarint(), uint64(1)
		if step&1 != 0 {
			count = r.uvarint()
		}
		if bin += step >> 1; bin > maxBin {
			r.fail("a sketch has no bin %d", bin)
			return
		}
		if r.err == nil {
			s.add(int(bin), float64(count))
		}
	}
}
