package visibility

import (
	"context"
	"errors"
	"slices"

	"centrifuge"
)

// span is a part of a day, in minutes of it, that is read at one level.
type span struct {
	day      Day
	level    level
	from, to int
}

// plan divides the minutes into spans, each of the coarsest level that is sealed,
// fits, and is no coarser than coarsest. With a step no span crosses a multiple of it.
func (b *book) plan(ctx context.Context, from, to minute, step int) ([]span, error) {
	var spans []span
	err := b.eachDay(ctx, from, to, func(d Day) error {
		begin, end := int(max(from-d.first(), 0)), int(min(to-d.first(), minutesOfDay))
		sealed := b.whole[d]
		if sealed.day && begin == 0 && end == minutesOfDay && step%minutesOfDay == 0 {
			spans = append(spans, span{d, levelDay, 0, minutesOfDay})
			return nil
		}
		for at := begin; at < end; {
			next, l := min(end, (at/minutesOfHour+1)*minutesOfHour), levelMinute
			if next-at == minutesOfHour && sealed.hours[at/minutesOfHour] && step%minutesOfHour == 0 {
				l = levelHour
			}
			if n := len(spans); n > 0 && spans[n-1].day == d && spans[n-1].level == l && spans[n-1].to == at {
				spans[n-1].to = next
			} else {
				spans = append(spans, span{d, l, at, next})
			}
			at = next
		}
		return nil
	})
	return spans, err
}

// want is which parts of the cells are read.
type want uint8

const (
	wantCounts want = 1 << iota
	wantSketches
	wantAll = wantCounts | wantSketches
)

// scope is which cells are read: of one kind those with the ids, those of one block,
// or all if neither is given.
type scope struct {
	kind  kind
	ids   []uint32 // ascending, if not nil
	block *uint32  // of counts
}

func (c *scope) has(id uint32) bool {
	if c.ids != nil {
		_, ok := slices.BinarySearch(c.ids, id)
		return ok
	}
	return c.block == nil || id>>blockBits == *c.block
}

// visit reads the cells of the spans and adds each to the cell that into returns for
// its first minute and its id, none if that is nil.
func (b *book) visit(ctx context.Context, spans []span, c scope, what want, into func(minute, uint32) *cell) error {
	for _, sp := range spans {
		err := b.visitSpan(ctx, sp, c, what, into)
		if errors.Is(err, ErrCorrupt) {
			b.damaged.Store(int64(sp.day) + 1) // for the recorder to set aside, if it is its own
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *book) visitSpan(ctx context.Context, sp span, c scope, what want, into func(minute, uint32) *cell) error {
	if what&wantCounts != 0 {
		if err := b.visitBlocks(ctx, sp, c, countsOf(sp.level, c.kind), blockBits, (*cell).readCounts, into); err != nil {
			return err
		}
	}
	if what&wantSketches != 0 {
		if err := b.visitBlocks(ctx, sp, c, sketchesOf(sp.level, c.kind), sketchBits(sp.level), (*cell).readSketches, into); err != nil {
			return err
		}
	}
	if sp.level == levelMinute {
		return b.visitDeltas(ctx, sp, c, what, into)
	}
	return nil
}

func (b *book) visitBlocks(
	ctx context.Context, sp span, c scope, of space, bits int, read func(*cell, *reader), into func(minute, uint32) *cell,
) error {
	var scratch []byte
	each := func(k uint64, data []byte) error {
		data, err := b.packer.unpack(data, &scratch)
		if err != nil {
			return err
		}
		m, base := sp.day.first()+minute(startOf(k)), blockOf(k)<<bits
		r := reader{b: data}
		for r.more() {
			id := base + uint32(r.uvarint())
			var to *cell
			if c.has(id) {
				to = into(m, id)
			}
			read(to, &r)
		}
		return r.err
	}
	for first, last := range b.ranges(sp, c, bits) {
		if err := b.from.Scan(ctx, sp.day, key(of, first, sp.from), key(of, last, sp.to-1), func(k uint64, data []byte) error {
			if at := startOf(k); at < sp.from || at >= sp.to {
				return nil
			}
			return each(k, data)
		}); err != nil {
			return err
		}
	}
	return nil
}

// ranges yields the blocks that a scope is in, one at a time; but all at once if the
// span leaves nothing of a day out.
func (b *book) ranges(sp span, c scope, bits int) func(yield func(first, last uint32) bool) {
	return func(yield func(first, last uint32) bool) {
		switch {
		case c.ids != nil:
			for i, id := range c.ids {
				if block := id >> bits; (i == 0 || c.ids[i-1]>>bits != block) && !yield(block, block) {
					return
				}
			}
		case c.block != nil:
			first := *c.block << blockBits >> bits
			last := (*c.block<<blockBits + 1<<blockBits - 1) >> bits
			for block := first; block <= last; block++ {
				if !yield(block, block) {
					return
				}
			}
		case sp.from == 0 && sp.to == minutesOfDay:
			yield(0, b.blocks(c.kind)<<blockBits>>bits)
		default:
			for block := range b.blocks(c.kind) << blockBits >> bits {
				if !yield(block, block) {
					return
				}
			}
		}
	}
}

// visitDeltas reads what was flushed of minutes that are not sealed.
func (b *book) visitDeltas(ctx context.Context, sp span, c scope, what want, into func(minute, uint32) *cell) error {
	from, to := key(spaceDeltas, uint32(sp.from), 0), key(spaceDeltas, uint32(sp.to), 0)-1
	return b.from.Scan(ctx, sp.day, from, to, func(k uint64, data []byte) error {
		m := sp.day.first() + minute(blockOf(k))
		r := reader{b: data}
		for r.more() {
			id := uint32(r.uvarint())
			switch c.kind {
			case kindTotal:
				id = 0
			case kindDestination, kindSource:
				id = b.names.parents(id)[c.kind]
			case kindQueue:
			}
			var to, counts, sketches *cell
			if c.has(id) {
				to = into(m, id)
			}
			if what&wantCounts != 0 {
				counts = to
			}
			if what&wantSketches != 0 {
				sketches = to
			}
			counts.readCounts(&r)
			sketches.readSketches(&r)
		}
		return r.err
	})
}

// scopeOf finds the cells whose sum is what a filter selects, and false if it
// selects nothing that was ever recorded.
func (b *book) scopeOf(f Filter) (scope, bool) {
	one := func(k kind) (scope, bool) {
		id, ok := b.names.id(k, centrifuge.QueueKey{Source: f.Source, Destination: f.Destination})
		return scope{kind: k, ids: []uint32{id}}, ok
	}
	switch {
	case f.Among != nil && f.Source != "" && !slices.Contains(f.Among, f.Source):
		return scope{}, false
	case f.Source != "" && f.Destination != "":
		return one(kindQueue)
	case f.Source != "":
		return one(kindSource)
	case f.Among != nil:
		k := kindSource
		if f.Destination != "" {
			k = kindQueue
		}
		ids := make([]uint32, 0, len(f.Among))
		for _, source := range f.Among {
			if id, ok := b.names.id(k, centrifuge.QueueKey{Source: source, Destination: f.Destination}); ok {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		return scope{kind: k, ids: slices.Compact(ids)}, len(ids) > 0
	case f.Destination != "":
		return one(kindDestination)
	default:
		return scope{kind: kindTotal, ids: []uint32{0}}, true
	}
}
