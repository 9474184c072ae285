package visibility

import (
	"context"
	"errors"
	"fmt"
	"maps"
)

// errNotOpen is what queries fail with until the backend was there once.
var errNotOpen = errors.New("the record of deliveries could not be opened yet")

// library is the books of other writers, as far as they were read. Each writer
// seals what is its own, so that nobody waits for anybody and what comes late is
// the concern of who recorded it; a reader adds up what each tells.
type library struct {
	of     Others
	packer *packer

	// turn is held while the books are brought up to date and read: a book fits the
	// state of the record that it was read in.
	turn  chan struct{}
	books map[uint64]*otherBook
}

type otherBook struct {
	*book
	editions map[Day]Edition // of the days that were read
}

func newLibrary(of Others, p *packer) *library {
	return &library{of: of, packer: p, turn: make(chan struct{}, 1), books: make(map[uint64]*otherBook)}
}

// read calls f with all books, as they are at one moment.
func (l *library) read(ctx context.Context, f func([]*book) error) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return l.of.ReadOthers(ctx, func(others []OtherWriter) error {
		books := make([]*book, 0, len(others)+1)
		there := make(map[uint64]bool, len(others))
		for i := range others {
			b, err := l.refresh(ctx, &others[i])
			if err != nil {
				delete(l.books, others[i].Number) // it may be half read
				return fmt.Errorf("read the record of writer %d: %w", others[i].Number, err)
			}
			books, there[others[i].Number] = append(books, b), true
		}
		maps.DeleteFunc(l.books, func(writer uint64, _ *otherBook) bool { return !there[writer] })
		return f(books)
	})
}

// refresh brings a book up to date.
func (l *library) refresh(ctx context.Context, o *OtherWriter) (*book, error) {
	b := l.books[o.Number]
	if b == nil {
		b = &otherBook{newBook(nil, l.packer, maxID), make(map[Day]Edition)}
		l.books[o.Number] = b
	}
	b.from = o.View
	now := make(map[Day]Edition, len(o.Editions))
	for _, e := range o.Editions {
		now[e.Day] = e
	}
	for d, e := range b.editions { // before others take their numbers
		if now[d].Born != e.Born {
			b.forget(d)
			delete(b.editions, d)
		}
	}
	for d, e := range now {
		if b.editions[d] == e {
			continue
		}
		if err := b.learn(ctx, d); err != nil {
			return nil, err
		}
		b.editions[d] = e
	}
	return b.book, nil
}

// read calls f with the books of all writers, which stay as they are until it
// returns.
func (s *Store) read(ctx context.Context, f func([]*book) error) error {
	all := func(books []*book) error {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if !s.opened {
			return errNotOpen
		}
		return f(append(books, s.book))
	}
	if s.others == nil || !s.isOpen() {
		return all(nil)
	}
	return s.others.read(ctx, all)
}

func (s *Store) isOpen() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.opened
}
