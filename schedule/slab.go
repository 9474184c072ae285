package schedule

import "math"

// Sizes of the slab. Three items a block make a list of one job cheap (there are
// a hundred thousand of those) at an eighth of overhead for the long ones.
const (
	blockItems = 3
	pageBits   = 10
	pageBlocks = 1 << pageBits
)

// list is a FIFO of items whose blocks lie in a slab. The zero list is empty.
type list struct {
	head, tail uint32 // blocks, counted from 1; 0 is none
	n          uint32
}

// block is a link of a list. Its first item is at lo, the last before hi.
type block struct {
	next     uint32
	earliest uint32 // no item of the block expires before this tick
	lo, hi   uint8
	items    [blockItems]item
}

// page is what the slab takes from and gives back to the Go heap.
type page struct {
	blocks [pageBlocks]block
	free   uint32 // first free block of this page, counted from 1 over the slab
	used   uint32
}

// slab holds the blocks of all lists in pointer-free pages. A list grows and
// shrinks a block at a time and is never copied; a page without a used block is
// given back, but for one that is kept against thrashing.
type slab struct {
	pages  []*page
	vacant []uint32 // indices of pages that were given back
	open   []uint32 // pages with free blocks, and stale entries; the last is used first
	empty  int      // pages without a used block
}

func (s *slab) at(b uint32) *block { return &s.pages[(b-1)>>pageBits].blocks[(b-1)&(pageBlocks-1)] }

// push appends the item to the list.
func (s *slab) push(l *list, it item) {
	var b *block
	if l.tail != 0 {
		b = s.at(l.tail)
	}
	if b == nil || b.hi == blockItems {
		fresh := s.alloc()
		if b == nil {
			l.head = fresh
		} else {
			b.next = fresh
		}
		l.tail = fresh
		b = s.at(fresh)
	}
	b.items[b.hi] = it
	b.hi++
	b.earliest = min(b.earliest, it.expire)
	l.n++
}

// first is what pop would take.
func (s *slab) first(l *list) (item, bool) {
	if l.n == 0 {
		return item{}, false
	}
	b := s.at(l.head)
	return b.items[b.lo], true
}

// pop takes the first item out of the list.
func (s *slab) pop(l *list) (item, bool) {
	if l.n == 0 {
		return item{}, false
	}
	b := s.at(l.head)
	it := b.items[b.lo]
	b.lo++
	l.n--
	if b.lo == b.hi {
		gone := l.head
		l.head = b.next
		if l.head == 0 {
			l.tail = 0
		}
		s.release(gone)
	}
	return it, true
}

// splice moves all of src to the end of dst without touching an item.
func (s *slab) splice(dst, src *list) {
	switch {
	case src.n == 0:
		return
	case dst.n == 0:
		*dst = *src
	default:
		s.at(dst.tail).next = src.head
		dst.tail = src.tail
		dst.n += src.n
	}
	*src = list{}
}

// extract takes out of the list the items that expire at or before the tick and
// that take accepts, in order, and returns a tick before which none of the
// others expires. Blocks without such an item cost one comparison.
func (s *slab) extract(l *list, tick uint32, take func(item) bool) (earliest uint32) {
	earliest = math.MaxUint32
	var last uint32
	for at := l.head; at != 0; {
		b := s.at(at)
		next := b.next
		if b.earliest <= tick {
			s.sift(l, b, tick, take)
		}
		if b.lo == b.hi {
			s.unlink(l, last, at, next)
		} else {
			earliest = min(earliest, b.earliest)
			last = at
		}
		at = next
	}
	return earliest
}

// sift is extract for one block.
func (s *slab) sift(l *list, b *block, tick uint32, take func(item) bool) {
	kept := b.lo
	b.earliest = math.MaxUint32
	for i := b.lo; i < b.hi; i++ {
		it := b.items[i]
		if it.expire <= tick && take(it) {
			l.n--
			continue
		}
		b.items[kept] = it
		kept++
		b.earliest = min(b.earliest, it.expire)
	}
	b.hi = kept
}

func (s *slab) unlink(l *list, last, at, next uint32) {
	if last == 0 {
		l.head = next
	} else {
		s.at(last).next = next
	}
	if next == 0 {
		l.tail = last
	}
	s.release(at)
}

// alloc returns an empty block.
func (s *slab) alloc() uint32 {
	for n := len(s.open); n > 0; n = len(s.open) {
		p := s.pages[s.open[n-1]]
		if p == nil || p.free == 0 {
			s.open = s.open[:n-1] // stale, or full
			continue
		}
		return s.take(p)
	}
	return s.take(s.grow())
}

func (s *slab) take(p *page) uint32 {
	at := p.free
	b := s.at(at)
	p.free = b.next
	*b = block{earliest: math.MaxUint32}
	if p.used == 0 {
		s.empty--
	}
	p.used++
	return at
}

// grow adds a page whose blocks are all free.
func (s *slab) grow() *page {
	index := uint32(len(s.pages))
	if n := len(s.vacant); n > 0 {
		index = s.vacant[n-1]
		s.vacant = s.vacant[:n-1]
	} else {
		s.pages = append(s.pages, nil)
	}
	p := &page{free: index<<pageBits + 1}
	for i := range uint32(pageBlocks - 1) {
		p.blocks[i].next = p.free + i + 1
	}
	s.pages[index] = p
	s.open = append(s.open, index)
	s.empty++
	return p
}

func (s *slab) release(at uint32) {
	index := (at - 1) >> pageBits
	p := s.pages[index]
	if p.free == 0 {
		s.open = append(s.open, index)
	}
	s.at(at).next = p.free
	p.free = at
	p.used--
	if p.used > 0 {
		return
	}
	if s.empty > 0 {
		s.pages[index] = nil
		s.vacant = append(s.vacant, index)
		return
	}
	s.empty++
}
