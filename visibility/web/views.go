package web

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"time"

	"centrifuge"
)

// views are the templates of the pages, each with the layout and the parts they
// share.
type views struct {
	pages map[string]*template.Template // by "overview"
}

func parseViews(f *files) (*views, error) {
	funcs := template.FuncMap{
		"file": f.url, "icon": icon,
		"count": count[int64], "counti": count[int], "count32": count[uint32], "rate": rate, "percent": percent,
		"duration": duration, "long": long, "size": size[int64], "sizei": size[int], "stamp": stamp, "moment": moment, "since": since,
		"plural": plural[int64], "plurali": plural[int], "digits": digits,
		"spark": spark, "mix": mix, "bar": bar, "outcomes": outcomes,
		"tab": newTab, "state": stateTag, "control": newControl, "healths": healths, "states": stateNames, "sinces": sinceChoices, "short": short,
		"fleetClass": fleetClass, "retryClass": retryClass, "json": toJSON, "link": link, "until": until, "less": func(all, part int64) string { return count(all - part) },
	}
	base, err := template.New("").Funcs(funcs).ParseFS(embedded, "templates/shared/*.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(embedded, "templates/*.html")
	if err != nil {
		return nil, err
	}
	v := &views{pages: make(map[string]*template.Template, len(names))}
	for _, name := range names {
		t, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if t, err = t.ParseFS(embedded, name); err != nil {
			return nil, err
		}
		v.pages[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	return v, nil
}

// render makes a part of a page: "layout" for all of it.
func (v *views) render(page, part string, data any) ([]byte, error) {
	t, ok := v.pages[page]
	if !ok {
		return nil, fmt.Errorf("no page %s", page)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, part, data); err != nil {
		return nil, fmt.Errorf("render %s of page %s: %w", part, page, err)
	}
	return b.Bytes(), nil
}

// tab is an entry of the navigation.
type tab struct {
	Section, Path, Title string
	Current              bool
	Count                int
}

func newTab(p *page, section, path, title string) tab {
	t := tab{Section: section, Path: path, Title: title, Current: p.Section == section}
	if section == "alerts" {
		t.Count = p.Firing
	}
	return t
}

// stateTag is the class that a state is shown with.
func stateTag(s centrifuge.State) string {
	switch s {
	case centrifuge.StateSucceeded:
		return "ok"
	case centrifuge.StateDiscarded:
		return "bad"
	case centrifuge.StateAwaitingRetry, centrifuge.StateArchiving, centrifuge.StateArchived:
		return "warn"
	case centrifuge.StateExecuting:
		return "accent"
	default:
		return ""
	}
}

// until writes how long it is to a moment, or nothing if it has passed.
func until(t, now time.Time) string {
	if !t.After(now) {
		return ""
	}
	return long(t.Sub(now))
}

// control is a button that opens a dialog.
type control struct{ Verb, Title, Icon, Link string }

func newControl(c scope, verb, title, icon string) control {
	return control{verb, title, icon, link("/do/"+verb, "source", c.Source, "destination", c.Destination)}
}

// healths are the words of health, for a filter.
func healths() []string {
	return []string{"Held back", "Failing", "Degraded", "Paused", "Healthy", "Idle"}
}

// sinceChoices are the times that the archive can be looked through.
func sinceChoices() []choice {
	var all []choice
	for _, s := range sinces {
		all = append(all, choice{Name: s.name, Link: s.title})
	}
	return all
}

// short is the first line of a text, cut to what fits on one.
func short(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if runes := []rune(text); len(runes) > 110 {
		return string(runes[:110]) + "…"
	}
	return text
}

// fleetClass is the class of a Director's or a JobDB's state.
func fleetClass(state string) string {
	switch state {
	case "serving", "active":
		return "ok"
	case "recovering", "draining", "full":
		return "warn"
	case "gone":
		return "bad"
	default:
		return ""
	}
}

// retryClass is the colour of a bar: what the first attempt delivered, and what
// retries did.
func retryClass(attempt int) string {
	if attempt == 1 {
		return "f-succeeded"
	}
	return "f-retried"
}
