package schedule

import "cmp"

// heap is a priority queue of small numbers (of queues, of destinations), the
// least key first, in which any of them can be found, moved and removed. A
// number is in it at most once.
type heap[K cmp.Ordered] struct {
	entries []entry[K]
	place   *places
	column  int // of this heap in place
}

type entry[K cmp.Ordered] struct {
	key K
	id  uint32
}

// places says where in each of up to four heaps a number is, counted from 1; 0 is
// nowhere. Heaps that hold the same kind of number share one, and those that
// never hold the same number share a column.
type places [][4]uint32

// The columns, for queues and for destinations.
const (
	columnActive = iota
	columnAside
	columnTimer
	columnExpires
)

// cover makes room for the number.
func (p *places) cover(id uint32) {
	for uint32(len(*p)) <= id {
		*p = append(*p, [4]uint32{})
	}
}

func (h *heap[K]) len() int           { return len(h.entries) }
func (h *heap[K]) top() entry[K]      { return h.entries[0] }
func (h *heap[K]) has(id uint32) bool { return (*h.place)[id][h.column] != 0 }
func (h *heap[K]) key(id uint32) K    { return h.entries[(*h.place)[id][h.column]-1].key }

// set puts the number in at the key, or moves it there.
func (h *heap[K]) set(id uint32, key K) {
	at := int((*h.place)[id][h.column]) - 1
	if at < 0 {
		at = len(h.entries)
		h.entries = append(h.entries, entry[K]{})
	}
	e := entry[K]{key: key, id: id}
	h.down(h.up(at, e), e)
}

// advance puts the number in at the key unless it is there at an earlier one.
func (h *heap[K]) advance(id uint32, key K) {
	if !h.has(id) || key < h.key(id) {
		h.set(id, key)
	}
}

// remove takes the number out, if it is in.
func (h *heap[K]) remove(id uint32) {
	at := int((*h.place)[id][h.column]) - 1
	if at < 0 {
		return
	}
	(*h.place)[id][h.column] = 0
	n := len(h.entries) - 1
	last := h.entries[n]
	h.entries = h.entries[:n]
	if at < n {
		h.down(h.up(at, last), last)
	}
}

const arity = 4 // a wide heap is shallow, and children share a cache line

// up moves the hole towards the root until e may lie in it.
func (h *heap[K]) up(at int, e entry[K]) int {
	for at > 0 {
		parent := (at - 1) / arity
		if h.entries[parent].key <= e.key {
			break
		}
		h.put(at, h.entries[parent])
		at = parent
	}
	return at
}

// down moves the hole towards the leaves until e may lie in it, and puts it there.
func (h *heap[K]) down(at int, e entry[K]) {
	for {
		first := at*arity + 1
		if first >= len(h.entries) {
			break
		}
		least := first
		for c := first + 1; c < min(first+arity, len(h.entries)); c++ {
			if h.entries[c].key < h.entries[least].key {
				least = c
			}
		}
		if e.key <= h.entries[least].key {
			break
		}
		h.put(at, h.entries[least])
		at = least
	}
	h.put(at, e)
}

func (h *heap[K]) put(at int, e entry[K]) {
	h.entries[at] = e
	(*h.place)[e.id][h.column] = uint32(at + 1)
}
