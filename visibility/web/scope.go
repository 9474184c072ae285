package web

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/schedule"
	"centrifuge/visibility"
)

func notFound(text string) error { return &textError{text, ErrNotFound} }

// textError is a text that is shown, of a kind that is told apart.
type textError struct {
	text string
	kind error
}

func (e *textError) Error() string { return e.text }
func (e *textError) Unwrap() error { return e.kind }

// scope is what a page is about: a queue, all queues of a source, or of a
// destination.
type scope struct {
	Source      string
	Destination string
}

func (c scope) key() centrifuge.QueueKey    { return centrifuge.QueueKey(c) }
func (c scope) selector() schedule.Selector { return schedule.Selector(c) }

// filter is the scope as a query needs it, without sources that the principal may
// not see.
func (c scope) filter(p access.Principal) visibility.Filter {
	return visibility.Filter{Source: c.Source, Destination: c.Destination, Among: p.Sources}
}

// Is is which of the three it is.
func (c scope) Is() string {
	switch {
	case c.Source == "":
		return "destination"
	case c.Destination == "":
		return "source"
	default:
		return "queue"
	}
}

// Text names the scope in a sentence.
func (c scope) Text() string {
	switch c.Is() {
	case "destination":
		return "destination " + c.Destination
	case "source":
		return "source " + c.Source
	default:
		return c.Source + " → " + c.Destination
	}
}

// Link is the scope's page.
func (c scope) Link() string {
	return link("/"+c.Is(), "source", c.Source, "destination", c.Destination)
}

// scopeOf reads the scope that a request is about, and refuses one that the
// principal may not see.
func scopeOf(r *http.Request) (scope, error) {
	c := scope{Source: r.FormValue("source"), Destination: r.FormValue("destination")}
	if c == (scope{}) {
		return c, invalid("name a source, a destination, or both")
	}
	if len(c.Source) > 1024 || len(c.Destination) > 1024 {
		return c, invalid("no name is that long")
	}
	p := access.From(r.Context())
	if c.Source == "" {
		return c, nil // what is shown of it is only the principal's own
	}
	if !p.MayView(c.Source) {
		return c, p.Denied(access.View, c.Source)
	}
	return c, nil
}

// mayOperate reports whether the principal may act on all of the scope.
func (c scope) mayOperate(p access.Principal) bool { return p.MayOperate(c.Source) }

// mayMatch refuses to match endpoints with secrets for whoever is not shown these:
// they could be guessed character by character.
func mayMatch(p access.Principal, endpoint string) error {
	if !p.Has(access.Operate) && strings.ContainsAny(endpoint, "?@") {
		return invalid("only operators may search for endpoints with a query or a password; search for what comes before, with * after it")
	}
	return nil
}

// visible reports whether the principal may see a queue.
func visible(p access.Principal, key centrifuge.QueueKey) bool {
	return p.Sources == nil || slices.Contains(p.Sources, key.Source)
}

// whatFailed wraps an error of a backend with what was asked of it.
func whatFailed(what string, err error) error {
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrInvalid) || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}
