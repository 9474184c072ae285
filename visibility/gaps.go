package visibility

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// addGap marks a time as missing.
func (s *Store) addGap(ctx context.Context, g Gap) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := DayOf(g.From); d.Start().Before(g.To); d++ {
		part := Gap{later(g.From, d.Start()), sooner(g.To, (d + 1).Start()), g.Why}
		var w Write
		s.putGap(&w, part)
		if err := s.o.Backend.Write(ctx, d, &w); err != nil {
			return fmt.Errorf("mark %s to %s as missing: %w", g.From, g.To, err)
		}
	}
	return nil
}

func (s *Store) putGap(w *Write, g Gap) {
	s.gaps++
	b := binary.AppendUvarint(nil, uint64(minuteOf(g.From).ofDay()))
	b = binary.AppendUvarint(b, uint64(minuteOf(g.To.Add(time.Minute-1))-minuteOf(g.From)))
	w.put(key(spaceGaps, uint32(minuteOf(g.From).ofDay()), int(s.gaps)), appendText(b, g.Why))
}

// Gaps returns the times within the range of which something is missing, the oldest
// first. Those that touch and have the same reason are one.
func (s *Store) Gaps(ctx context.Context, r Range) ([]Gap, error) {
	var gaps []Gap
	err := s.read(ctx, func(books []*book) (err error) {
		gaps, err = gapsOf(ctx, books, r)
		return err
	})
	return gaps, err
}

func gapsOf(ctx context.Context, books []*book, r Range) (gaps []Gap, err error) {
	for _, b := range books {
		if gaps, err = b.appendGaps(ctx, gaps, r); err != nil {
			return nil, fmt.Errorf("read what is missing: %w", err)
		}
	}
	slices.SortStableFunc(gaps, func(a, b Gap) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Why, b.Why))
	})
	joined := gaps[:0]
	for _, g := range gaps {
		if n := len(joined); n > 0 && !g.From.After(joined[n-1].To) && g.Why == joined[n-1].Why {
			joined[n-1].To = later(joined[n-1].To, g.To)
			continue
		}
		joined = append(joined, g)
	}
	return joined, nil
}

func (b *book) appendGaps(ctx context.Context, gaps []Gap, r Range) ([]Gap, error) {
	from, to := minuteOf(r.From), minuteOf(r.To)
	var parts []Part
	err := b.eachDay(ctx, from, to, func(d Day) error {
		parts = append(parts, Part{d, key(spaceGaps, 0, 0), key(spaceGaps, minutesOfDay, 0)})
		return nil
	})
	if err != nil {
		return gaps, err
	}
	err = b.gather(ctx, parts, func(d Day, _ uint64, data []byte) error {
		r := reader{b: data}
		begin := d.first() + minute(r.count())
		end := begin + minute(r.count())
		why := r.text()
		if r.err == nil && begin < to && end > from {
			gaps = append(gaps, Gap{max(begin, from).time(), min(end, to).time(), why})
		}
		return r.err
	})
	return gaps, err
}
