package web

import (
	"net/http"
	"time"

	"centrifuge/visibility"
)

// span is a time that a page may show, up to now.
type span struct {
	Name  string // in the page's address
	Title string
	Long  time.Duration
	Step  time.Duration // of a chart's points
}

// spans are those of the range picker; the first is the default.
var spans = [...]span{
	{"1h", "hour", time.Hour, time.Minute},
	{"6h", "6 hours", 6 * time.Hour, 5 * time.Minute},
	{"24h", "24 hours", 24 * time.Hour, 15 * time.Minute},
	{"7d", "7 days", 7 * 24 * time.Hour, 2 * time.Hour},
	{"30d", "30 days", 30 * 24 * time.Hour, 6 * time.Hour},
}

// spanOf is the span of a name.
func spanOf(name string) (span, bool) {
	for _, s := range spans {
		if s.Name == name {
			return s, true
		}
	}
	return spans[0], false
}

// Range is the span's time as a query needs it.
func (s span) Range(now time.Time) visibility.Range { return visibility.Last(now, s.Long) }

// picker is the range picker of a page: the same page at each of the spans.
type picker struct {
	Chosen  span
	Choices []choice
}

type choice struct {
	Name    string
	Link    string
	Current bool
}

func pickerOf(r *http.Request) picker { return pickerFrom(r, spans[0].Name) }

// pickerFrom is the picker of a page that shows another span if none is asked for.
func pickerFrom(r *http.Request, usual string) picker {
	var p picker
	var known bool
	if p.Chosen, known = spanOf(r.URL.Query().Get("range")); !known {
		p.Chosen, _ = spanOf(usual)
	}
	for _, s := range spans {
		q := r.URL.Query()
		q.Set("range", s.Name)
		p.Choices = append(p.Choices, choice{Name: s.Name, Link: r.URL.Path + "?" + q.Encode(), Current: s == p.Chosen})
	}
	return p
}
