package web

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// Figures are written with the digits that say something, and their unit set
// apart. What these functions return holds nothing that came from outside.

// count writes a whole number, grouped by thousands.
func count[N int | int64 | uint32](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	sign := ""
	if text[0] == '-' {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}

// unit sets a figure's unit apart.
func unit(figure, unit string) template.HTML {
	return template.HTML(template.HTMLEscapeString(figure) + `<span class="unit">` + unit + `</span>`) //nolint:gosec // the unit is ours
}

// rate writes a number of events a second.
func rate(perSecond float64) template.HTML { return unit(digits(perSecond), "/s") }

// digits writes a number with about three significant digits.
func digits(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0.01:
		return "<0.01"
	case v < 10:
		return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), ".")
	case v < 100:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	default:
		return count(int64(math.Round(v)))
	}
}

// percent writes a share of 0 to 1. It says 100 only of all and 0 only of none.
func percent(share float64) template.HTML { return unit(percentDigits(share), "%") }

func percentDigits(share float64) string {
	p := share * 100
	switch {
	case p <= 0:
		return "0"
	case p >= 100:
		return "100"
	case p < 0.1:
		return "<0.1"
	case p > 99.9:
		return ">99.9"
	default:
		return strconv.FormatFloat(p, 'f', 1, 64)
	}
}

// duration writes how long something took, from microseconds to days.
func duration(d time.Duration) template.HTML {
	switch {
	case d <= 0:
		return unit("0", "ms")
	case d < time.Millisecond:
		return unit(digits(float64(d)/1e6), "ms")
	case d < 10*time.Second:
		if d < time.Second {
			return unit(digits(math.Round(float64(d)/1e5)/10), "ms")
		}
		return unit(digits(d.Seconds()), "s")
	default:
		return template.HTML(long(d)) //nolint:gosec // digits and units
	}
}

// long writes a length of time in its two greatest units.
func long(d time.Duration) string {
	d = d.Round(time.Second)
	days, hours, minutes, seconds := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60, int(d/time.Second)%60
	switch {
	case days > 0:
		return pair(days, "d", hours, "h")
	case hours > 0:
		return pair(hours, "h", minutes, "min")
	case minutes > 0:
		return pair(minutes, "min", seconds, "s")
	default:
		return fmt.Sprintf("%d s", seconds)
	}
}

func pair(a int, unitA string, b int, unitB string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unitA)
	}
	return fmt.Sprintf("%d %s %d %s", a, unitA, b, unitB)
}

// size writes a number of bytes.
func size[N int | int64](n N) template.HTML {
	v, i := float64(n), 0
	units := [...]string{"B", "KB", "MB", "GB", "TB"}
	for v >= 1000 && i < len(units)-1 {
		v /= 1000
		i++
	}
	return unit(digits(v), units[i])
}

// stamp is a moment: in UTC as it leaves the server, and put into the viewer's
// zone by the page.
func stamp(t time.Time) template.HTML { return clock(t, "", "2 Jan 15:04:05") }

// moment is a time of day to the millisecond, for what lies close together.
func moment(t time.Time) template.HTML { return clock(t, " data-fine", "15:04:05.000") }

func clock(t time.Time, attribute, layout string) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time%s datetime="%s" title="%s">%s</time>`, //nolint:gosec // made of a time alone
		attribute, t.Format("2006-01-02T15:04:05.000Z"), t.Format("2006-01-02 15:04:05.000 UTC"), t.Format(layout)))
}

// since writes how long ago a moment was.
func since(t, now time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return long(max(0, now.Sub(t)))
}

// plural writes a count of things, which are named in the singular.
func plural[N int | int64](n N, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case strings.HasSuffix(thing, "y"):
		return count(n) + " " + strings.TrimSuffix(thing, "y") + "ies"
	default:
		return count(n) + " " + thing + "s"
	}
}
