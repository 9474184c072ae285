package visibility

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// sealing says which spans of a day are sealed: those that have a total.
type sealing struct {
	day   bool
	hours [24]bool
}

func (b *book) sealed(ctx context.Context, d Day) (out sealing, err error) {
	total := countsOf(levelHour, kindTotal)
	err = b.from.Scan(ctx, d, key(total, 0, 0), key(total, 0, minutesOfDay-1), func(k uint64, _ []byte) error {
		out.hours[startOf(k)/minutesOfHour] = true
		return nil
	})
	if err != nil {
		return out, err
	}
	total = countsOf(levelDay, kindTotal)
	err = b.from.Scan(ctx, d, key(total, 0, 0), key(total, 0, 0), func(uint64, []byte) error {
		out.day = true
		return nil
	})
	return out, err
}

// seal seals the minutes before a minute, and the hours and days that are complete
// with that. What comes later of a sealed span opens it again.
func (s *Store) seal(ctx context.Context, before minute) error {
	for _, m := range slices.Sorted(maps.Keys(s.open)) {
		if m >= before {
			break
		}
		if err := s.sealMinute(ctx, m); err != nil {
			return fmt.Errorf("seal the minute %s: %w", m.time(), err)
		}
	}
	if err := s.sumUp(ctx, before); err != nil {
		return err
	}
	for _, m := range slices.Sorted(maps.Keys(s.hours)) {
		if m+minutesOfHour > before {
			break
		}
		if err := s.sealSpan(ctx, m, levelHour, levelMinute); err != nil {
			return fmt.Errorf("seal the hour of %s: %w", m.time(), err)
		}
		delete(s.hours, m)
	}
	for _, d := range slices.Sorted(maps.Keys(s.days)) {
		if (d + 1).first() > before {
			break
		}
		if err := s.sealSpan(ctx, d.first(), levelDay, levelHour); err != nil {
			return fmt.Errorf("seal the day %s: %w", d, err)
		}
		delete(s.days, d)
	}
	return nil
}

// cells are those of one span, by kind and id.
type cells [kinds]map[uint32]*cell

func (c *cells) of(k kind, id uint32) *cell {
	if c[k] == nil {
		c[k] = make(map[uint32]*cell)
	}
	at := c[k][id]
	if at == nil {
		at = &cell{}
		c[k][id] = at
	}
	return at
}

// unseal opens the hour and the day of a minute that something came late of: they
// are read from their minutes, which is right whether the write succeeds or not, until
// they are sealed again.
func (s *Store) unseal(w *Write, m minute) {
	d, hour := m.day(), m.ofDay()/minutesOfHour
	whole := s.whole[d]
	if !whole.hours[hour] && !whole.day {
		return
	}
	for l, start := range map[level]int{levelHour: hour * minutesOfHour, levelDay: 0} {
		total := key(countsOf(l, kindTotal), 0, start)
		w.delete(total, total)
	}
	whole.hours[hour], whole.day = false, false
	s.whole[d] = whole
}

// sealMinute adds up the flushes of a minute, and what it may have been sealed with
// before.
func (s *Store) sealMinute(ctx context.Context, m minute) error {
	d, at := m.day(), m.ofDay()
	one := []span{{day: d, level: levelMinute, from: at, to: at + 1}}
	var all cells
	queues := func(_ minute, id uint32) *cell { return all.of(kindQueue, id) }
	if err := s.visit(ctx, one, scope{kind: kindQueue}, wantAll, queues); err != nil {
		return err
	}
	for id, c := range all[kindQueue] {
		for k, parent := range s.names.parents(id) {
			if kind(k) != kindQueue {
				all.of(kind(k), parent).merge(c)
			}
		}
		all.of(kindTotal, 0).merge(c)
	}
	var w Write
	w.delete(key(spaceDeltas, uint32(at), 0), key(spaceDeltas, uint32(at), 1<<16-1))
	s.putCells(&w, levelMinute, at, &all)
	if err := s.write(ctx, d, &w, func(*sealing) { s.running.sealed(m, &all) }); err != nil {
		return err
	}
	delete(s.open, m)
	s.hours[d.first()+minute(at-at%minutesOfHour)], s.days[d] = true, true
	return nil
}

// sealSpan adds up an hour or a day from the level below. It takes one block at a
// time, so that its memory is that of what it writes.
func (s *Store) sealSpan(ctx context.Context, m minute, l, below level) error {
	d, at := m.day(), m.ofDay()
	whole := []span{{day: d, level: below, from: at, to: at + l.minutes()}}
	var w Write
	for k := range kind(kinds) {
		for block := range s.blocks(k) {
			var part cells
			into := func(_ minute, id uint32) *cell { return part.of(k, id) }
			if err := s.visit(ctx, whole, scope{kind: k, block: &block}, wantAll, into); err != nil {
				return err
			}
			s.putCells(&w, l, at, &part)
		}
	}
	if len(w.Put) == 0 {
		return nil
	}
	return s.write(ctx, d, &w, func(whole *sealing) {
		if l == levelDay {
			whole.day = true
		} else {
			whole.hours[at/minutesOfHour] = true
		}
	})
}

// write changes a day and, with that, what of it is sealed.
func (s *Store) write(ctx context.Context, d Day, w *Write, seal func(*sealing)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.o.Backend.Write(ctx, d, w); err != nil {
		// Its outcome is not known. Minutes are there in any case, and sealed anew.
		s.whole[d] = sealing{}
		return err
	}
	whole := s.whole[d]
	seal(&whole)
	s.whole[d] = whole
	return nil
}

// blocks is how many blocks of counts a kind has.
func (b *book) blocks(k kind) uint32 {
	if k == kindTotal {
		return 1
	}
	return uint32(len(b.names.kinds[k].keys)-1)>>blockBits + 1
}

// putCells writes the cells of one span in blocks.
func (s *Store) putCells(w *Write, l level, start int, all *cells) {
	for k := range kind(kinds) {
		ids := slices.Sorted(maps.Keys(all[k]))
		put := func(of space, bits int, appendCell func(*cell, []byte) []byte) {
			for first := 0; first < len(ids); {
				block := ids[first] >> bits
				var data []byte
				for ; first < len(ids) && ids[first]>>bits == block; first++ {
					data = binary.AppendUvarint(data, uint64(ids[first]&(1<<bits-1)))
					data = appendCell(all[k][ids[first]], data)
				}
				w.put(key(of, block, start), s.packer.pack(data))
			}
		}
		put(countsOf(l, k), blockBits, (*cell).appendCounts)
		put(sketchesOf(l, k), sketchBits(l), (*cell).appendSketches)
	}
}
