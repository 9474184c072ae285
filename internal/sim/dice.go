package sim

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"
)

// dice are the random numbers for one purpose: those of the seed, the name of
// the purpose, and which of many it is. Whoever may act at the same moment as
// somebody else throws dice of their own, so that the order in which goroutines
// run changes as little as can be.
func dice(seed uint64, purpose string, which ...uint64) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(purpose)) // never fails
	stream := h.Sum64()
	for _, n := range which {
		stream = (stream ^ n) * 0x9e3779b97f4a7c15
		stream ^= stream >> 29
	}
	return rand.New(rand.NewPCG(seed, stream)) //nolint:gosec // repeatable on purpose
}

// between draws a duration from lo to hi.
func between(r *rand.Rand, lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(r.Int64N(int64(hi-lo)+1))
}

// oneOf draws one of the values.
func oneOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// happens is true in the given share of throws.
func happens(r *rand.Rand, share float64) bool { return r.Float64() < share }

// number makes a name usable as the number of dice.
func number(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum64()
}

// throws gives dice to those who come one after the other for the same purpose.
type throws struct {
	seed uint64

	mu struct {
		sync.Mutex
		n map[string]uint64
	}
}

func newThrows(seed uint64) *throws {
	t := &throws{seed: seed}
	t.mu.n = make(map[string]uint64)
	return t
}

func (t *throws) next(purpose string) *rand.Rand {
	t.mu.Lock()
	t.mu.n[purpose]++
	n := t.mu.n[purpose]
	t.mu.Unlock()
	return dice(t.seed, purpose, n)
}
