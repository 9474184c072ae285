package main

import (
	"context"
	"errors"
	"strings"

	"centrifuge/access/links"
	"centrifuge/lease/consul"
)

// consulNotes keeps the notes of a fleet's customers' links as keys of Consul, so that
// a link that is revoked at one Director is revoked at all.
type consulNotes struct {
	client *consul.Client
	prefix string
}

var _ links.Notes = (*consulNotes)(nil)

// Write implements [links.Notes].
func (n *consulNotes) Write(ctx context.Context, name string, content []byte) error {
	_, err := n.client.PutPair(ctx, consul.Pair{Key: n.prefix + name, Value: content})
	if errors.Is(err, consul.ErrConflict) {
		return nil // it is there
	}
	return err
}

// Read implements [links.Notes].
func (n *consulNotes) Read(ctx context.Context) (map[string][]byte, error) {
	pairs, _, err := n.client.Pairs(ctx, n.prefix, 0)
	notes := make(map[string][]byte, len(pairs))
	for _, p := range pairs {
		notes[strings.TrimPrefix(p.Key, n.prefix)] = p.Value
	}
	return notes, err
}

// Remove implements [links.Notes].
func (n *consulNotes) Remove(ctx context.Context, name string) error {
	pairs, _, err := n.client.Pairs(ctx, n.prefix+name, 0)
	for _, p := range pairs {
		if p.Key != n.prefix+name {
			continue
		}
		if err := n.client.DeletePair(ctx, p); err != nil && !errors.Is(err, consul.ErrConflict) {
			return err
		}
	}
	return err
}
