package schedule

import "math/bits"

const (
	tickMillis   = 50
	secondTicks  = 1000 / tickMillis
	wheelSeconds = 1 << 14 // 4 h 33 min; what is due later goes round again
)

// wheel holds the items that wait: a circular buffer of one-second buckets, and
// the current second spread over its ticks. Putting one in and taking one out
// are O(1), whatever the number that waits.
//
// The hand points at the tick that is being taken out. It never passes the time
// it is given, and every item lies at or after it.
type wheel struct {
	slab     *slab
	hand     uint32
	seconds  [wheelSeconds]list
	occupied [wheelSeconds / 64]uint64 // bit set: the bucket is not empty
	pour     list                      // of the current second, not spread over the ticks yet
	ticks    [secondTicks]list         // of the current second
	spread   int                       // items in ticks
}

func second(tick uint32) uint32 { return tick / secondTicks }

// add puts in an item that falls due at its due tick, or at once when that has
// passed.
func (w *wheel) add(it item) {
	due := max(it.due, w.hand)
	if second(due) == second(w.hand) {
		w.slab.push(&w.ticks[due%secondTicks], it)
		w.spread++
		return
	}
	bucket := second(due) % wheelSeconds
	w.slab.push(&w.seconds[bucket], it)
	w.occupied[bucket/64] |= 1 << (bucket % 64)
}

// next takes out one item that is due at the tick. Each item it moves or takes
// costs one of the budget; with the budget used up it returns false early.
func (w *wheel) next(tick uint32, budget *int) (item, bool) {
	for *budget > 0 {
		if it, ok := w.slab.pop(&w.pour); ok {
			*budget--
			w.add(it)
			continue
		}
		if w.hand > tick {
			return item{}, false
		}
		if it, ok := w.slab.pop(&w.ticks[w.hand%secondTicks]); ok {
			*budget--
			w.spread--
			return it, true
		}
		if w.hand == tick {
			return item{}, false
		}
		w.turn(tick)
	}
	return item{}, false
}

// turn moves the hand on, at most to the tick, over ticks where nothing is due.
func (w *wheel) turn(tick uint32) {
	if w.spread > 0 {
		w.hand++
		return
	}
	to := tick
	if s, ok := w.nextSecond(); ok {
		to = uint32(min(uint64(tick), s*secondTicks))
	}
	entered := second(to) != second(w.hand)
	w.hand = to
	if entered {
		w.enter()
	}
}

// enter takes up the bucket of the second that the hand has come to.
func (w *wheel) enter() {
	bucket := second(w.hand) % wheelSeconds
	w.slab.splice(&w.pour, &w.seconds[bucket])
	w.occupied[bucket/64] &^= 1 << (bucket % 64)
}

// nextSecond is the first second after the current one whose bucket is not
// empty. What lies there may be due in a later round.
func (w *wheel) nextSecond() (uint64, bool) {
	from := second(w.hand) + 1
	start := from % wheelSeconds
	for i := range uint32(len(w.occupied) + 1) {
		word := (start/64 + i) % uint32(len(w.occupied))
		set := w.occupied[word]
		if i == 0 {
			set &= ^uint64(0) << (start % 64)
		}
		if set == 0 {
			continue
		}
		bucket := word*64 + uint32(bits.TrailingZeros64(set))
		return uint64(from) + uint64((bucket-start)%wheelSeconds), true
	}
	return 0, false
}

// earliest is a tick before which nothing falls due, and false when nothing
// waits. It is exact within the current second and a second early beyond it.
func (w *wheel) earliest() (uint64, bool) {
	if w.pour.n > 0 {
		return uint64(w.hand), true
	}
	if w.spread > 0 {
		for tick := w.hand; ; tick++ {
			if w.ticks[tick%secondTicks].n > 0 {
				return uint64(tick), true
			}
		}
	}
	s, ok := w.nextSecond()
	return s * secondTicks, ok
}

// rewind turns the hand back to an earlier tick. Items keep the times at which
// they are due.
func (w *wheel) rewind(tick uint32) {
	var current list
	w.slab.splice(&current, &w.pour)
	for i := range w.ticks {
		w.slab.splice(&current, &w.ticks[i])
	}
	w.spread = 0
	w.hand = tick
	for it, ok := w.slab.pop(&current); ok; it, ok = w.slab.pop(&current) {
		w.add(it)
	}
}

// extract takes out the items that take accepts, in the order of their seconds,
// until it has had n of them.
func (w *wheel) extract(n int, take func(item) bool) {
	counted := func(it item) bool {
		if n == 0 || !take(it) {
			return false
		}
		n--
		return true
	}
	w.slab.extract(&w.pour, maxTick, counted)
	for i := range w.ticks {
		l := &w.ticks[(int(w.hand)+i)%secondTicks]
		before := l.n
		w.slab.extract(l, maxTick, counted)
		w.spread -= int(before - l.n)
	}
	for i := uint32(0); i < wheelSeconds && n > 0; i++ {
		bucket := (second(w.hand) + i) % wheelSeconds
		l := &w.seconds[bucket]
		if l.n == 0 {
			continue
		}
		w.slab.extract(l, maxTick, counted)
		if l.n == 0 {
			w.occupied[bucket/64] &^= 1 << (bucket % 64)
		}
	}
}
