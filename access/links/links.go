// Package links remembers which customers' links were made and which of them were
// revoked. It does not make them: what a link says is sealed into it.
//
// Everything is a note of its own that is written once and never changed: one when a
// link is made, one when it is revoked. The notes of a link are thrown away when it
// has expired.
package links

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

var (
	// ErrUnknown means that no such link was made here, or that it has expired.
	ErrUnknown = errors.New("there is no such link")

	// ErrUnchecked means that it cannot be told at the moment which links were
	// revoked.
	ErrUnchecked = errors.New("whether the link was revoked cannot be told at the moment")
)

// Notes keeps short texts by name, for all instances that make links for each other.
// Names have letters, digits and dots. Its methods are safe for concurrent use.
type Notes interface {
	// Write writes a note durably. If there is one of that name already, that stays.
	Write(ctx context.Context, name string, content []byte) error

	// Read returns all notes by name.
	Read(ctx context.Context) (map[string][]byte, error)

	// Remove removes a note, if it is there.
	Remove(ctx context.Context, name string) error
}

// Link is a link that was made.
type Link struct {
	ID     string    `json:"id"`
	Source string    `json:"source"`
	Made   time.Time `json:"made"`
	By     string    `json:"by"` // who made it
	Until  time.Time `json:"until"`

	Revocation Revocation `json:"-"`
}

// Revoked reports whether the link was.
func (l *Link) Revoked() bool { return !l.Revocation.Time.IsZero() }

// NewID returns an id for a link, which nobody can guess.
func NewID() string { return strings.ToLower(rand.Text()[:10]) }

// Revocation says when a link was revoked and by whom; zero if it was not.
type Revocation struct {
	Time time.Time `json:"time"`
	By   string    `json:"by"`
}

// A note is named after its link, and what follows says what it is.
const (
	madeSuffix    = ".made"
	revokedSuffix = ".revoked"
)

const (
	freshFor = time.Second // for so long notes that were read are not read again
	staleFor = time.Minute // for so long they do while they cannot be read again
	patience = 2 * time.Second
)

// Register knows the links of its notes. It is safe for concurrent use.
type Register struct {
	notes Notes
	now   func() time.Time

	mu struct {
		sync.Mutex
		read  time.Time // when the notes were read last
		tried time.Time // when that was tried last for a request
		links []Link
	}
}

// New returns the register of the links that the notes are about. The clock may be
// nil: then it is the system's.
func New(notes Notes, now func() time.Time) *Register {
	if now == nil {
		now = time.Now
	}
	return &Register{notes: notes, now: now}
}

// Add notes that a link is made. It must succeed before the link is given out.
func (r *Register) Add(ctx context.Context, l Link) error {
	if err := r.write(ctx, l.ID+madeSuffix, l); err != nil {
		return fmt.Errorf("note that a customer's link is made: %w", err)
	}
	return nil
}

// Revoke has the link end. When it returns nil no Register of these notes that can
// read them lets it through for longer than a second. Revoking it again changes
// nothing. The error is [ErrUnknown] if there is no such link.
func (r *Register) Revoke(ctx context.Context, id, by string) error {
	if _, err := r.Find(ctx, id); err != nil {
		return err
	}
	if err := r.write(ctx, id+revokedSuffix, Revocation{r.now().UTC().Truncate(time.Second), by}); err != nil {
		return fmt.Errorf("revoke the link %s: %w", id, err)
	}
	return nil
}

func (r *Register) write(ctx context.Context, name string, note any) error {
	content, err := json.Marshal(note)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.tried = time.Time{} // the next request sees it
	return r.notes.Write(ctx, name, content)
}

// Find returns a link that has not expired, or [ErrUnknown].
func (r *Register) Find(ctx context.Context, id string) (Link, error) {
	all, err := r.List(ctx)
	if err != nil {
		return Link{}, err
	}
	if at := slices.IndexFunc(all, func(l Link) bool { return l.ID == id }); at >= 0 {
		return all[at], nil
	}
	return Link{}, ErrUnknown
}

// List returns the links that have not expired, the newest first, those that were
// revoked included. The notes of the others it throws away.
func (r *Register) List(ctx context.Context) ([]Link, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(ctx); err != nil {
		return nil, err
	}
	return slices.Clone(r.mu.links), nil
}

// Revoked reports whether a link was revoked. One that the register does not know was
// not. While the notes cannot be read it says what it knows for a minute, and then
// [ErrUnchecked].
func (r *Register) Revoked(ctx context.Context, id string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	var failed error
	if now.Sub(r.mu.tried) >= freshFor || r.mu.read.IsZero() {
		r.mu.tried = now
		patient, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		failed = r.refresh(patient)
	}
	if r.mu.read.IsZero() || now.Sub(r.mu.read) >= staleFor {
		return false, errors.Join(ErrUnchecked, failed)
	}
	return slices.ContainsFunc(r.mu.links, func(l Link) bool { return l.ID == id && l.Revoked() }), nil
}

// refresh reads the notes. Its caller holds the lock, so that many requests read them
// once.
func (r *Register) refresh(ctx context.Context) error {
	notes, err := r.notes.Read(ctx)
	if err != nil {
		return fmt.Errorf("read which links were made: %w", err)
	}
	now := r.now()
	var all []Link
	for name, content := range notes {
		id, made := strings.CutSuffix(name, madeSuffix)
		if !made {
			continue
		}
		var l Link
		if err := json.Unmarshal(content, &l); err != nil || l.ID != id {
			return fmt.Errorf("read which links were made: the note %s is damaged", name)
		}
		if revoked, ok := notes[id+revokedSuffix]; ok {
			if err := json.Unmarshal(revoked, &l.Revocation); err != nil || l.Revocation.Time.IsZero() {
				return fmt.Errorf("read which links were revoked: the note %s is damaged", id+revokedSuffix)
			}
		}
		if now.Before(l.Until) {
			all = append(all, l)
			continue
		}
		// The one that is found by goes last.
		for _, name := range [...]string{id + revokedSuffix, id + madeSuffix} {
			if _, there := notes[name]; !there {
				continue
			}
			if err := r.notes.Remove(ctx, name); err != nil {
				return fmt.Errorf("forget a link that has expired: %w", err)
			}
		}
	}
	slices.SortFunc(all, func(a, b Link) int {
		if order := b.Made.Compare(a.Made); order != 0 {
			return order
		}
		return strings.Compare(a.ID, b.ID)
	})
	r.mu.links, r.mu.read = all, now
	return nil
}
