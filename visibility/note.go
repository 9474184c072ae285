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

// LatestNotes returns the notes of this store's own recorder, not of others, of the
// latest days that have any: of so many days at most, the oldest note first.
func (s *Store) LatestNotes(ctx context.Context, days int) ([]Note, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.opened {
		return nil, errNotOpen
	}
	all, err := s.o.Backend.Days(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the notes of the record: %w", err)
	}
	var notes []Note
	from, to := notesOfDay()
	for _, d := range slices.Backward(all) {
		var scratch []byte
		var ofDay []Note
		err := s.o.Backend.Scan(ctx, d, from, to, func(_ uint64, data []byte) error {
			data, err := s.packer.unpack(data, &scratch)
			ofDay = append(ofDay, Note{d, bytes.Clone(data)})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read the notes of %s: %w", d, err)
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
