package archive

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"centrifuge"
)

// ParseFilter reads a filter from terms of the form key=value, each key at most
// once:
//
//	source=a  destination=b     exact
//	endpoint=https://x/*        exact, or what it begins with
//	status=503                  of the last attempt
//	error=ETIMEDOUT             of the last attempt, or why it was archived (EXPIRED)
//	since=2h  until=30m         archived that long ago; also 7d, or an RFC 3339 time
//	job=ID                      one job
//
// Times that are given as an age are counted back from now.
func ParseFilter(terms []string, now time.Time) (Filter, error) {
	var f Filter
	seen := map[string]bool{}
	for _, term := range terms {
		key, value, ok := strings.Cut(term, "=")
		switch {
		case !ok:
			return Filter{}, fmt.Errorf("filter term %q: want key=value", term)
		case seen[key]:
			return Filter{}, fmt.Errorf("filter term %q: %s is given twice", term, key)
		case value == "":
			return Filter{}, fmt.Errorf("filter term %q: the value is empty", term)
		}
		seen[key] = true
		if err := f.set(key, value, now); err != nil {
			return Filter{}, fmt.Errorf("filter term %q: %w", term, err)
		}
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		return Filter{}, fmt.Errorf("filter: since (%s) is not before until (%s), so nothing can match",
			f.From.Format(time.RFC3339), f.To.Format(time.RFC3339))
	}
	return f, nil
}

func (f *Filter) set(key, value string, now time.Time) (err error) {
	switch key {
	case "source":
		f.Source = value
	case "destination":
		f.Destination = value
	case "endpoint":
		f.Endpoint = value
	case "status":
		f.StatusCode, err = strconv.Atoi(value)
		if err != nil || f.StatusCode < 1 || f.StatusCode > 999 {
			return errors.New("want a status code from 1 to 999; jobs that got no response are found by error=CODE")
		}
	case "error":
		f.ErrorCode = centrifuge.ErrorCode(strings.ToUpper(value))
		if !slices.Contains(centrifuge.ErrorCodes[:], f.ErrorCode) {
			return fmt.Errorf("unknown error code; want one of %v", centrifuge.ErrorCodes)
		}
	case "since":
		f.From, err = parseTime(value, now)
	case "until":
		f.To, err = parseTime(value, now)
	case "job":
		f.JobID, err = centrifuge.ParseID(value)
		if err == nil && f.JobID.IsZero() {
			err = errors.New("the zero id names no job")
		}
	default:
		return errors.New("unknown key; want source, destination, endpoint, status, error, since, until or job")
	}
	return err
}

// parseTime reads a time, or an age before now.
func parseTime(value string, now time.Time) (time.Time, error) {
	age, err := time.ParseDuration(value)
	if days, ok := strings.CutSuffix(value, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		age = time.Duration(n) * 24 * time.Hour
	}
	if err == nil && age >= 0 {
		return now.Add(-age).UTC().Truncate(time.Millisecond), nil
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil || t.Year() < 1970 || t.Year() > 9998 {
		return time.Time{}, errors.New("want an age such as 90s, 2h or 7d, or a time such as 2026-11-22T20:00:00Z")
	}
	return t.UTC().Truncate(time.Millisecond), nil
}
