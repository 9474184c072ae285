package alert

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"centrifuge/visibility"
)

// Journal keeps notes for whoever looks next: this process after a restart, or another;
// [visibility.Store] is one.
type Journal interface {
	// AddNote appends a note to the day of a time, durably.
	AddNote(ctx context.Context, at time.Time, data []byte) error

	// LatestNotes returns the notes of the latest days that have any, the oldest
	// first of those of one process, and those of all processes that share it.
	LatestNotes(ctx context.Context, days int) ([]visibility.Note, error)
}

// note is what the journal has of one look: all alerts that fire since, so that the
// latest note is enough, and those that ended then. There is one when something
// changed, and one for each day that an alert fires in, so that the day of its
// beginning may be dropped.
type note struct {
	At     time.Time `json:"at"`
	Firing []Alert   `json:"firing"`
	Ended  []Alert   `json:"ended,omitempty"`
}

func (a *Alert) identity() identity {
	return identity{a.Rule, Scope{Source: a.Source, Destination: a.Destination}}
}

// keep notes what was told.
func (w *Watch) keep(ctx context.Context, now time.Time, told []Alert) error {
	today := visibility.DayOf(now)
	if len(told) == 0 && (today == w.keptOn || len(w.kept) == 0) {
		return nil
	}
	kept := maps.Clone(w.kept)
	n := note{At: now}
	for _, a := range told {
		if a.Ended.IsZero() {
			kept[a.identity()] = a
		} else {
			delete(kept, a.identity())
			n.Ended = append(n.Ended, a)
		}
	}
	n.Firing = slices.SortedFunc(maps.Values(kept), func(a, b Alert) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Destination, b.Destination), cmp.Compare(a.Source, b.Source))
	})
	data, err := json.Marshal(n)
	if err == nil {
		err = w.o.Journal.AddNote(ctx, now, data)
	}
	if err != nil {
		return fmt.Errorf("keep which alerts fire: %w", err)
	}
	w.kept, w.keptOn = kept, today
	return nil
}

// recall takes up, once, where whoever looked last has left off. Alerts that fired then
// do still, until their rules have not held for long enough.
func (w *Watch) recall(ctx context.Context, now time.Time) error {
	if w.recalled {
		return nil
	}
	kept, err := w.o.Journal.LatestNotes(ctx, 2) // the last day's, and what ended within a day
	if err != nil {
		return fmt.Errorf("recall which alerts fire: %w", err)
	}
	notes := make([]note, 0, len(kept))
	for i := range kept {
		var n note
		if err := json.Unmarshal(kept[i].Data, &n); err != nil {
			w.o.Logger.WarnContext(ctx, "a note of the alerts is damaged; what fires may be told again", "error", err)
			continue
		}
		notes = append(notes, n)
	}
	slices.SortStableFunc(notes, func(a, b note) int { return a.At.Compare(b.At) })
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range notes {
		clear(w.kept)
		for _, a := range notes[i].Firing {
			w.kept[a.identity()] = a
		}
		w.keptOn = visibility.DayOf(notes[i].At)
		for _, a := range notes[i].Ended {
			if !slices.ContainsFunc(w.mu.ended, func(b Alert) bool { return b.identity() == a.identity() && b.Ended.Equal(a.Ended) }) {
				w.mu.ended = append(w.mu.ended, a) // a note whose outcome was not known was added twice
			}
		}
	}
	for id, a := range w.kept {
		w.mu.alerts[id] = &state{alert: a, began: a.Since, held: now, fires: true}
		if id.rule == ruleAuth {
			w.refused[id] = now
		}
	}
	w.forgetLocked(now)
	w.recalled = true
	return nil
}
