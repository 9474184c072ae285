package visibility

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
)

// Note is something small that somebody keeps in the record, such as which alerts
// fire. The record does not look into it.
type Note struct {
	Day  Day
	Data []byte
}

// AddNote appends a note to the day of a time. When it returns nil the note is
// durable; after an error it may be there or not.
func (s *Store) AddNote(ctx context.Context, at time.Time, data []byte) error {
	d := DayOf(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.opened {
		return errNotOpen
	}
	next := uint32(0)
	from, to := notesOfDay()
	err := s.o.Backend.Scan(ctx, d, from, to, func(k uint64, _ []byte) error {
		next = blockOf(k) + 1
		return nil
	})
	if err == nil {
		var w Write
		w.put(key(spaceNotes, next, 0), s.packer.pack(data))
		err = s.o.Backend.Write(ctx, d, &w)
	}
	if err != nil {
		return fmt.Errorf("add a note to the record: %w", err)
	}
	return nil
}

// LatestNotes returns the notes of the latest days that have any, so many days at most,
// of each writer of the record: the oldest first of a writer's, and last those of this
// store's own recorder.
func (s *Store) LatestNotes(ctx context.Context, days int) ([]Note, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.opened {
		return nil, errNotOpen
	}
	var notes []Note
	add := func(from View, of []Day) error {
		latest, err := s.latestNotes(ctx, from, of, days)
		notes = append(notes, latest...)
		return err
	}
	if s.o.Others != nil {
		err := s.o.Others.ReadOthers(ctx, func(others []OtherWriter) error {
			for i := range others {
				var of []Day
				for _, e := range others[i].Editions {
					of = append(of, e.Day)
				}
				slices.Sort(of)
				if err := add(others[i], of); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the notes of others in the record: %w", err)
		}
	}
	all, err := s.o.Backend.Days(ctx)
	if err == nil {
		err = add(s.o.Backend, all)
	}
	if err != nil {
		return nil, fmt.Errorf("read the notes of the record: %w", err)
	}
	return notes, nil
}

// latestNotes are those of one writer's latest days that have any.
func (s *Store) latestNotes(ctx context.Context, v View, all []Day, days int) (notes []Note, err error) {
	from, to := notesOfDay()
	for _, d := range slices.Backward(all) {
		var scratch []byte
		var ofDay []Note
		err := v.Scan(ctx, d, from, to, func(_ uint64, data []byte) error {
			data, err := s.packer.unpack(data, &scratch)
			ofDay = append(ofDay, Note{d, bytes.Clone(data)})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("of %s: %w", d, err)
		}
		if len(ofDay) > 0 {
			notes = append(ofDay, notes...)
			if days--; days == 0 {
				break
			}
		}
	}
	return notes, nil
}

func notesOfDay() (from, to uint64) { return key(spaceNotes, 0, 0), key(spaceNotes+1, 0, 0) - 1 }
