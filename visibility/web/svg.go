package web

import (
	"fmt"
	"html/template"
	"strings"

	"centrifuge/visibility"
)

// Small drawings, made here so that a table of hundreds needs no script. They are
// hidden from screen readers, for which the figures beside them are.

// spark draws a line through the values.
func spark(values []int64) template.HTML {
	const w, h = 100.0, 22.0
	var top int64 = 1
	for _, v := range values {
		top = max(top, v)
	}
	var line strings.Builder
	for i, v := range values {
		x := 0.0
		if len(values) > 1 {
			x = w * float64(i) / float64(len(values)-1)
		}
		fmt.Fprintf(&line, "%c%.1f %.1f", "ML"[min(i, 1)], x, h-1-(h-2)*float64(v)/float64(top))
	}
	if len(values) < 2 {
		line.Reset()
		fmt.Fprintf(&line, "M0 %.0fL%.0f %.0f", h-1, w, h-1)
	}
	return template.HTML(fmt.Sprintf( //nolint:gosec // made of numbers alone
		`<svg class="spark" viewBox="0 0 %.0f %.0f" preserveAspectRatio="none" aria-hidden="true"><path class="area" d="%sL%.0f %.0fL0 %.0fZ"/><path d="%s"/></svg>`,
		w, h, line.String(), w, h, h, line.String()))
}

// share is a part of a whole, with the class that gives it its colour.
type share struct {
	Class string
	Name  string
	Count int64
}

// outcomes are the parts of what attempts came to.
func outcomes(c visibility.Counts) []share {
	return []share{
		{"f-succeeded", "Succeeded", c.Succeeded},
		{"f-retried", "Retried", c.Retried},
		{"f-discarded", "Discarded", c.Discarded},
	}
}

// mix draws the parts of a whole side by side.
func mix(class string, parts []share) template.HTML {
	var total int64
	for _, p := range parts {
		total += p.Count
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="%s" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">`, class)
	x := 0.0
	for _, p := range parts {
		if p.Count > 0 {
			w := 1000 * float64(p.Count) / float64(total)
			fmt.Fprintf(&b, `<rect class="%s" x="%.1f" width="%.1f" height="10"/>`, p.Class, x, w)
			x += w
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // numbers, and classes of ours
}

// bar draws one part of a whole.
func bar(class string, part, whole int64) template.HTML {
	w := 0.0
	if whole > 0 {
		w = 1000 * float64(part) / float64(whole)
	}
	return template.HTML(fmt.Sprintf( //nolint:gosec // numbers, and a class of ours
		`<svg class="bar" viewBox="0 0 1000 6" preserveAspectRatio="none" aria-hidden="true"><rect class="f-track" width="1000" height="6"/><rect class="%s" width="%.1f" height="6"/></svg>`,
		class, w))
}
