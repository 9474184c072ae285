package visibility

import (
	"context"
	"sync/atomic"
)

// book is the record of one writer, with what is known of it in memory.
type book struct {
	from   View
	packer *packer
	names  *names
	whole  map[Day]sealing // what of each day is sealed

	running running // empty in the book of another

	damaged atomic.Int64 // a day that turned out to be, plus 1; 0 for none
}

func newBook(from View, p *packer, limit int) *book {
	return &book{from: from, packer: p, names: newNames(limit), whole: make(map[Day]sealing)}
}

// learn reads the names of a day that are not known yet, and what of it is sealed.
func (b *book) learn(ctx context.Context, d Day) error {
	next := key(spaceNames, 0, b.names.day(d).rows)
	err := b.from.Scan(ctx, d, next, key(spaceNames, 0, 1<<16-1), func(_ uint64, data []byte) error {
		return b.names.readNames(d, data)
	})
	if err != nil {
		return err
	}
	b.whole[d], err = b.sealed(ctx, d)
	return err
}

// forget forgets a day that is no more.
func (b *book) forget(d Day) {
	b.names.drop(d)
	delete(b.whole, d)
}

// eachDay calls f for the days of the minutes that there is something of.
func (b *book) eachDay(ctx context.Context, from, to minute, f func(Day) error) error {
	days, err := b.from.Days(ctx)
	if err != nil {
		return err
	}
	for _, d := range days {
		if d.first() < to && (d+1).first() > from {
			if err := f(d); err != nil {
				return err
			}
		}
	}
	return nil
}
