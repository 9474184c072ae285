package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Filter chooses entries; the zero Filter chooses all. All fields that are given
// must match.
type Filter struct {
	Who, Action, Source, Destination string
	Since                            time.Time
}

// Page is a page of entries, the latest first.
type Page struct {
	Entries []Entry
	// Next is where the next page begins; empty if this is the last.
	Next string
	// Problems are the files and lines that could not be read.
	Problems []error
}

// fileName is the day of a file and its number within it.
var fileName = regexp.MustCompile(`^\d{4}-\d\d-\d\d-\d{4,}\.ndjson$`)

// List returns the entries before a place that a page named, or the latest if
// that is empty; limit of them at most. It may be called while the log is
// written to.
func (l *Log) List(f Filter, before string, limit int) (Page, error) {
	var page Page
	names, err := l.files()
	if err != nil {
		return page, fmt.Errorf("read the audit log: %w", err)
	}
	outcomes := map[string]line{} // of entries that are yet to come
	for _, name := range slices.Backward(names) {
		if !f.Since.IsZero() && name[:len(time.DateOnly)] < f.Since.UTC().Format(time.DateOnly) {
			return page, nil
		}
		entries, err := readFile(filepath.Join(l.dir, name), outcomes)
		if err != nil {
			page.Problems = append(page.Problems, err)
		}
		for _, e := range slices.Backward(entries) {
			if before != "" && e.ID >= before || !f.matches(&e) {
				continue
			}
			if len(page.Entries) == limit {
				page.Next = page.Entries[limit-1].ID
				return page, nil
			}
			page.Entries = append(page.Entries, e)
		}
	}
	return page, nil
}

func (f *Filter) matches(e *Entry) bool {
	return (f.Who == "" || f.Who == e.Who) &&
		(f.Action == "" || f.Action == e.Action) &&
		(f.Source == "" || f.Source == e.Source) &&
		(f.Destination == "" || f.Destination == e.Destination) &&
		!e.Time.Before(f.Since)
}

// files are the log's files, the oldest first.
func (l *Log) files() ([]string, error) {
	all, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range all {
		if fileName.MatchString(file.Name()) {
			names = append(names, file.Name())
		}
	}
	return names, nil // os.ReadDir sorts
}

// readFile reads the entries that were begun in a file. Outcomes that it holds of
// entries in files before it are added to outcomes, and those of its own that
// are there already are taken from it.
func readFile(path string, outcomes map[string]line) ([]Entry, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // it became too old just now
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read from
	entries, err := parse(file, strings.TrimSuffix(filepath.Base(path), suffix), outcomes)
	if err != nil {
		return entries, fmt.Errorf("%s: %w", path, err)
	}
	return entries, nil
}

func parse(r io.Reader, name string, outcomes map[string]line) ([]Entry, error) {
	var (
		entries  []Entry
		problems []error
		offset   int
	)
	lines := bufio.NewReader(r)
	for {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // half a line was never acknowledged: what it tells of was not begun, or has no outcome
		}
		if err != nil {
			problems = append(problems, err)
			break
		}
		id := fmt.Sprintf("%s:%08d", name, offset)
		offset += len(text)
		var ln line
		switch err := json.Unmarshal(bytes.TrimSpace(text), &ln); {
		case err != nil:
			problems = append(problems, fmt.Errorf("at byte %d: %w", offset-len(text), err))
		case ln.Of != "":
			outcomes[ln.Of] = ln
		case ln.Entry == nil || ln.Action == "":
			problems = append(problems, fmt.Errorf("at byte %d: no action", offset-len(text)))
		default:
			ln.ID = id
			entries = append(entries, *ln.Entry)
		}
	}
	for i := range entries {
		e := &entries[i]
		e.Outcome = Unknown
		if end, ok := outcomes[e.ID]; ok {
			e.Outcome, e.Jobs, e.Took = end.Outcome, end.Jobs, time.Duration(end.Seconds*float64(time.Second))
			delete(outcomes, e.ID)
		}
	}
	return entries, errors.Join(problems...)
}
