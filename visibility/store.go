package visibility

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"centrifuge"
)

// StoreOptions are what a [Store] is made of. Backend is required; other zero
// fields mean the defaults.
type StoreOptions struct {
	Backend Backend

	// Others, if there are any, are read together with what this store's recorder
	// writes. Each keeps to MaxQueues for itself.
	Others Others

	// Late lets the backend be away when the store is opened: it is then opened by
	// the recorder's first flush that succeeds, and until then queries fail.
	Late bool

	// Retention is how long a day is kept after it is over. Default 30 days.
	Retention time.Duration

	// MaxQueues is how many queues are told apart over the retention, and how many
	// sources and destinations; what goes beyond is counted as [Other]. Default
	// 100,000.
	MaxQueues int

	Now func() time.Time // default time.Now

	// Logger hears of days that had to be given up. Default: none.
	Logger *slog.Logger
}

// Store keeps what was recorded and answers queries. Its methods are safe for
// concurrent use. Queries see what a [Recorder] has flushed: all but the last few
// seconds.
//
// What is flushed of a minute is kept as it comes until the minute is over. Then it
// is sealed: added up by queue, source, destination and in all, in blocks. Hours are
// made of minutes, and days of hours, in the same form, so that a query over a month
// reads few rows.
type Store struct {
	o     StoreOptions
	scale scale

	// mu is held for writing while the backend changes, for reading by queries: they
	// see a minute before or after its sealing.
	mu     sync.RWMutex
	opened bool
	*book  // what the recorder writes

	others *library // what other writers do; nil if there are none

	// The recorder's goroutine alone uses these.
	open   map[minute]bool // minutes that are not sealed
	summed minute          // the hour that was last added up anew
	hours  map[minute]bool // first minutes of hours that are not sealed
	days   map[Day]bool    // days that are not sealed
	flush  uint16          // of the last flush; tells those of a minute apart
	gaps   uint16          // likewise of gaps
}

// OpenStore opens what the backend holds. A day that cannot be read is set
// aside, and marked as missing.
func OpenStore(ctx context.Context, o StoreOptions) (*Store, error) {
	o.Retention = cmp.Or(o.Retention, 30*24*time.Hour)
	o.MaxQueues = cmp.Or(o.MaxQueues, 100_000)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	scale, err := newScale()
	if err != nil {
		return nil, err
	}
	packer, err := newPacker()
	if err != nil {
		return nil, err
	}
	s := &Store{
		o: o, scale: scale, book: newBook(o.Backend, &packer, o.MaxQueues),
		open: make(map[minute]bool), hours: make(map[minute]bool), days: make(map[Day]bool),
	}
	if o.Others != nil {
		s.others = newLibrary(o.Others, &packer)
	}
	if err := s.ready(ctx); err != nil {
		if !o.Late {
			return nil, err
		}
		o.Logger.Warn("the record of deliveries cannot be opened yet; what is counted is kept in memory for now", "error", err)
	}
	return s, nil
}

// ready reads what the backend holds, if that was not possible yet. The recorder's
// goroutine alone calls it.
func (s *Store) ready(ctx context.Context) error {
	if s.opened {
		return nil
	}
	s.book = newBook(s.o.Backend, s.packer, s.o.MaxQueues) // the last time may have ended halfway
	days, err := s.o.Backend.Days(ctx)
	if err != nil {
		return fmt.Errorf("list the days of the record: %w", err)
	}
	for _, d := range days {
		err := s.load(ctx, d)
		if errors.Is(err, ErrCorrupt) {
			s.o.Logger.Error("a day of the record of deliveries is damaged; it is set aside and marked as missing", "day", d.String(), "error", err)
			err = s.giveUp(ctx, d, s.o.Now())
		}
		if err != nil {
			return fmt.Errorf("open the record of %s: %w", d, err)
		}
	}
	s.names.rest()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = true
	return nil
}

// load learns a day's names, and what of it is not sealed.
func (s *Store) load(ctx context.Context, d Day) error {
	if err := s.learn(ctx, d); err != nil {
		return err
	}
	b := s.o.Backend
	err := b.Scan(ctx, d, key(spaceDeltas, 0, 0), key(spaceDeltas, minutesOfDay, 0), func(k uint64, _ []byte) error {
		s.open[d.first()+minute(blockOf(k))] = true
		s.flush = max(s.flush, uint16(startOf(k)))
		return nil
	})
	if err != nil {
		return err
	}
	err = b.Scan(ctx, d, key(spaceGaps, 0, 0), key(spaceGaps, minutesOfDay, 0), func(k uint64, _ []byte) error {
		s.gaps = max(s.gaps, uint16(startOf(k)))
		return nil
	})
	if err != nil {
		return err
	}
	sealed := s.whole[d]
	if sealed.day {
		s.running.begin((d + 1).first())
		return nil
	}
	s.days[d] = true
	total := countsOf(levelMinute, kindTotal)
	return b.Scan(ctx, d, key(total, 0, 0), key(total, 0, minutesOfDay), func(k uint64, _ []byte) error {
		s.running.begin(d.first() + minute(startOf(k)) + 1)
		if hour := startOf(k) / minutesOfHour; !sealed.hours[hour] {
			s.hours[d.first()+minute(hour*minutesOfHour)] = true
		}
		return nil
	})
}

// giveUp sets a day aside that cannot be read, and marks it as missing up to now.
func (s *Store) giveUp(ctx context.Context, d Day, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.o.Backend.SetAside(ctx, d); err != nil {
		return err
	}
	s.forget(d)
	var w Write
	s.putGap(&w, Gap{d.Start(), sooner((d + 1).Start(), later(now, d.Start().Add(time.Minute))), "the record of this day was damaged or taken away"})
	return s.o.Backend.Write(ctx, d, &w)
}

// retain drops the oldest day if it is past the retention: one for each call, so
// that a clock which is wrong for a while does not cost the whole record. It is
// dropped for all writers, since one that has ended does not drop its own.
func (s *Store) retain(ctx context.Context, now time.Time) error {
	days, err := s.o.Backend.Days(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	for d := range s.whole { // what another has dropped
		if s.past(d, now) && !slices.Contains(days, d) {
			s.forget(d)
		}
	}
	s.mu.Unlock()
	if s.o.Others != nil {
		err := s.o.Others.ReadOthers(ctx, func(others []OtherWriter) error {
			for i := range others {
				for _, e := range others[i].Editions {
					days = append(days, e.Day)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(days) == 0 || !s.past(slices.Min(days), now) {
		return nil
	}
	oldest := slices.Min(days)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.o.Backend.Drop(ctx, oldest); err != nil {
		return fmt.Errorf("drop the record of %s: %w", oldest, err)
	}
	s.forget(oldest)
	return nil
}

// past reports whether a day is past the retention.
func (s *Store) past(d Day, now time.Time) bool {
	return !(d + 1).Start().Add(s.o.Retention).After(now)
}

func (s *Store) forget(d Day) {
	s.book.forget(d)
	if s.running.from.day() == d {
		s.running.begin(s.running.upTo)
	}
	maps.DeleteFunc(s.open, func(m minute, _ bool) bool { return m.day() == d })
	maps.DeleteFunc(s.hours, func(m minute, _ bool) bool { return m.day() == d })
	delete(s.days, d)
}

// Close closes the backend.
func (s *Store) Close() error { return s.o.Backend.Close() }

// nextFlush numbers a flush.
func (s *Store) nextFlush() uint16 {
	s.flush++
	return s.flush
}

// add stores one flush of a minute. It may be repeated as it was, under the same
// number, when it failed: what is there already is not counted twice.
func (s *Store) add(ctx context.Context, m minute, flush uint16, cells map[centrifuge.QueueKey]*cell) error {
	d := m.day()
	var w Write
	s.mu.Lock()
	defer s.mu.Unlock()
	var delta []byte
	names := s.names.use(d)
	for queue, c := range cells {
		delta = binary.AppendUvarint(delta, uint64(names.give(queue)[kindQueue]))
		delta = c.appendSketches(c.appendCounts(delta))
	}
	w.put(key(spaceDeltas, uint32(m.ofDay()), int(flush)), delta)
	names.put(&w)
	s.unseal(&w, m)
	s.running.late(m)
	if err := s.o.Backend.Write(ctx, d, &w); err != nil {
		return fmt.Errorf("store what was counted of %s: %w", m.time().Format(time.RFC3339), err)
	}
	names.done()
	s.open[m], s.days[d] = true, true
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
