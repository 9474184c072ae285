package visibility

import (
	"context"
	"errors"
)

// want is which parts of the cells are read.
type want uint8

const (
	wantCounts want = 1 << iota
	wantSketches
	wantAll = wantCounts | wantSketches
)

// visit reads the cells of the spans, at one go, and adds each to the cell that into
// returns for its first minute and its id, none if that is nil. The order is free.
func (b *book) visit(ctx context.Context, spans []span, c scope, what want, into func(minute, uint32) *cell) error {
	v := visitor{book: b, scope: c, what: what, into: into}
	if what == wantCounts {
		spans = v.fromMemory(spans)
	}
	return b.gather(ctx, v.parts(spans), v.entry)
}

// gather reads parts of the book in any order.
func (b *book) gather(ctx context.Context, parts []Part, f func(d Day, key uint64, data []byte) error) error {
	if g, ok := b.from.(Gatherer); ok {
		return g.Gather(ctx, parts, func(d Day, key uint64, data []byte) error { return b.notice(d, f(d, key, data)) })
	}
	for _, p := range parts {
		err := b.from.Scan(ctx, p.Day, p.From, p.To, func(key uint64, data []byte) error { return f(p.Day, key, data) })
		if err = b.notice(p.Day, err); err != nil {
			return err
		}
	}
	return nil
}

// notice notes that a day is damaged, for the recorder to set aside if it is its own.
func (b *book) notice(d Day, err error) error {
	if errors.Is(err, ErrCorrupt) {
		b.damaged.Store(int64(d) + 1)
	}
	return err
}

// visitor is a visit under way.
type visitor struct {
	*book
	scope
	what    want
	into    func(minute, uint32) *cell
	scratch []byte
}

// fromMemory adds the counts that are added up, and returns the spans that are left.
func (v *visitor) fromMemory(spans []span) (left []span) {
	for _, sp := range spans {
		if !sp.running {
			left = append(left, sp)
			continue
		}
		for id, c := range v.running.cells[v.kind] {
			if !v.has(id) {
				continue
			}
			if to := v.into(sp.day.first()+minute(sp.from), id); to != nil {
				to.mergeCounts(c)
			}
		}
	}
	return left
}

// parts are where the cells of the spans lie.
func (v *visitor) parts(spans []span) (parts []Part) {
	for _, sp := range spans {
		if v.what&wantCounts != 0 {
			parts = v.appendBlocks(parts, sp, countsOf(sp.level, v.kind), blockBits)
		}
		if v.what&wantSketches != 0 {
			parts = v.appendBlocks(parts, sp, sketchesOf(sp.level, v.kind), sketchBits(sp.level))
		}
		if sp.level == levelMinute { // what was flushed of minutes that are not sealed
			parts = append(parts, Part{sp.day, key(spaceDeltas, uint32(sp.from), 0), key(spaceDeltas, uint32(sp.to), 0) - 1})
		}
	}
	return parts
}

// appendBlocks appends the blocks that the scope is in, one at a time; but all at once
// if the span leaves nothing of a day out.
func (v *visitor) appendBlocks(parts []Part, sp span, of space, bits int) []Part {
	add := func(first, last uint32) {
		parts = append(parts, Part{sp.day, key(of, first, sp.from), key(of, last, sp.to-1)})
	}
	switch {
	case v.ids != nil:
		for i, id := range v.ids {
			if block := id >> bits; i == 0 || v.ids[i-1]>>bits != block {
				add(block, block)
			}
		}
	case v.block != nil:
		first := *v.block << blockBits >> bits
		last := (*v.block<<blockBits + 1<<blockBits - 1) >> bits
		for block := first; block <= last; block++ {
			add(block, block)
		}
	case sp.from == 0 && sp.to == minutesOfDay:
		add(0, v.blocks(v.kind)<<blockBits>>bits)
	default:
		for block := range v.blocks(v.kind) << blockBits >> bits {
			add(block, block)
		}
	}
	return parts
}

// entry adds what is kept under a key.
func (v *visitor) entry(d Day, k uint64, data []byte) error {
	switch of := spaceOf(k); {
	case of == spaceDeltas:
		return v.delta(d.first()+minute(blockOf(k)), data)
	case of >= spaceSketches:
		return v.cells(d, k, data, sketchBits(level(of-spaceSketches)/kinds), (*cell).readSketches)
	default:
		return v.cells(d, k, data, blockBits, (*cell).readCounts)
	}
}

func (v *visitor) cells(d Day, k uint64, data []byte, bits int, read func(*cell, *reader)) error {
	data, err := v.packer.unpack(data, &v.scratch)
	if err != nil {
		return err
	}
	m, base := d.first()+minute(startOf(k)), blockOf(k)<<bits
	r := reader{b: data}
	for r.more() {
		id := base + uint32(r.uvarint())
		var to *cell
		if v.has(id) {
			to = v.into(m, id)
		}
		read(to, &r)
	}
	return r.err
}

// delta adds one flush of a minute.
func (v *visitor) delta(m minute, data []byte) error {
	r := reader{b: data}
	for r.more() {
		id := uint32(r.uvarint())
		switch v.kind {
		case kindTotal:
			id = 0
		case kindDestination, kindSource:
			id = v.names.parents(id)[v.kind]
		case kindQueue:
		}
		var to, counts, sketches *cell
		if v.has(id) {
			to = v.into(m, id)
		}
		if v.what&wantCounts != 0 {
			counts = to
		}
		if v.what&wantSketches != 0 {
			sketches = to
		}
		counts.readCounts(&r)
		sketches.readSketches(&r)
	}
	return r.err
}
