package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"

	"centrifuge/access"
)

// mapping says what the groups of an identity provider may do.
type mapping struct {
	// Claim is the claim that lists somebody's groups.
	Claim string `yaml:"claim"`
	// Name is the claim that people are called by.
	Name   string  `yaml:"name"`
	Grants []grant `yaml:"grants"`
}

// grant gives a group a role, for some sources or for all.
type grant struct {
	Group   string   `yaml:"group"`
	Role    string   `yaml:"role"`
	Sources []string `yaml:"sources"`

	role access.Role
}

// parseMapping reads a mapping, and refuses whatever it does not know: a misspelt
// "sources" must not grant all of them.
func parseMapping(content []byte) (*mapping, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	var m mapping
	if err := decoder.Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("holds more than one document")
	}
	if m.Claim == "" {
		m.Claim = "groups"
	}
	for i := range m.Grants {
		g := &m.Grants[i]
		var err error
		if g.role, err = access.ParseRole(g.Role); err != nil {
			return nil, fmt.Errorf("grants[%d].role: %w", i, err)
		}
		switch {
		case g.Group == "":
			return nil, fmt.Errorf("grants[%d].group: required", i)
		case g.Sources != nil && len(g.Sources) == 0:
			return nil, fmt.Errorf("grants[%d].sources: is empty; leave it out for all sources", i)
		case slices.Contains(g.Sources, ""):
			return nil, fmt.Errorf("grants[%d].sources: one of them is empty", i)
		}
	}
	if len(m.Grants) == 0 {
		return nil, errors.New("grants nothing to anybody")
	}
	return &m, nil
}

// principal is what the groups may do together: of the highest role that one of
// them is given, in all the sources that it is given for.
func (m *mapping) principal(name string, groups []string) (access.Principal, bool) {
	p := access.Principal{Name: name}
	for i := range m.Grants {
		g := &m.Grants[i]
		if g.role < p.Role || !slices.Contains(groups, g.Group) {
			continue
		}
		switch {
		case g.role > p.Role:
			p.Role, p.Sources = g.role, slices.Clone(g.Sources)
		case g.Sources == nil:
			p.Sources = nil
		case p.Sources != nil:
			p.Sources = union(p.Sources, g.Sources)
		}
	}
	return p, p.Role != access.Nobody
}

// known are the groups that a grant names, which are all that need be kept.
func (m *mapping) known(groups []string) []string {
	var known []string
	for i := range m.Grants {
		if group := m.Grants[i].Group; slices.Contains(groups, group) && !slices.Contains(known, group) {
			known = append(known, group)
		}
	}
	return known
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}
