// Package audit keeps the log of every action that somebody took: who, what, on
// which queues, on how many jobs, when, from where, and what came of it.
//
// An action has two lines, each on the disk before the log's caller goes on: one
// before it is begun, one with its outcome. So nothing is done that the log does
// not know of, and an action whose process died in the middle is shown as one
// whose outcome is unknown.
//
// The log is a folder of files with a JSON object a line. Files are appended to,
// never changed, and removed whole: when they are older than the log keeps, and the
// oldest ones when all of them take more room than it may.
package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// DefaultKeep is how long actions are kept.
	DefaultKeep = 365 * 24 * time.Hour
	// DefaultMaxBytes is how much room the log takes.
	DefaultMaxBytes = 1 << 30

	maxFile = 4 << 20 // bytes, after which a next file is begun
	maxText = 1 << 10 // bytes of a text of an entry, which may come from a stranger
)

// Outcomes of an action.
const (
	Done    = "ok"
	Unknown = "unknown" // begun, and no outcome was written
)

// Entry is one action.
type Entry struct {
	// ID orders the entries of one log by when they were begun. The log gives it.
	ID string `json:"-"`
	// Time is when the action was begun, in UTC. The log gives it.
	Time time.Time `json:"time"`
	// Who acted, in which role, and from which address.
	Who     string `json:"who"`
	Role    string `json:"role"`
	Address string `json:"address,omitempty"`
	// Action is what was done, such as queue.retry.
	Action string `json:"action"`
	// Source and Destination are what it was done to; empty means all.
	Source      string `json:"source,omitempty"`
	Destination string `json:"destination,omitempty"`
	// Detail says what else was asked for: a policy, a filter.
	Detail string `json:"detail,omitempty"`

	// Outcome is Done, Unknown, or the error that the action ended with.
	Outcome string `json:"-"`
	// Jobs is how many jobs it concerned.
	Jobs int64 `json:"-"`
	// Took is how long it took.
	Took time.Duration `json:"-"`
}

// line is a line of a file: the beginning of an action, or its outcome.
type line struct {
	*Entry
	// Of is the entry whose outcome this is.
	Of      string  `json:"of,omitempty"`
	Outcome string  `json:"outcome,omitempty"`
	Jobs    int64   `json:"jobs,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}

// Options are what a log is made of. Dir is required.
type Options struct {
	// Dir is the log's folder; it is made if it is not there. One process writes it.
	Dir string
	// Keep is how long actions are kept. Default DefaultKeep.
	Keep time.Duration
	// MaxBytes is how much room the log takes, up to a file of 4 MiB more; an action
	// takes about 300 bytes. Default DefaultMaxBytes, at least 8 MiB.
	MaxBytes int64
	// Now tells the time. Default time.Now.
	Now func() time.Time
}

// Log is an open log. It is safe for concurrent use.
type Log struct {
	dir  string
	keep time.Duration
	max  int64
	now  func() time.Time

	// mu orders the appends, of which there are few: it is held while one
	// reaches the disk.
	mu struct {
		sync.Mutex
		file *os.File // nil: none yet
		name string
		size int64
	}
}

// Open opens the log of a folder, and removes what is too old, or too much, to be kept.
func Open(o Options) (*Log, error) {
	l := &Log{dir: o.Dir, keep: cmp.Or(o.Keep, DefaultKeep), max: max(cmp.Or(o.MaxBytes, DefaultMaxBytes), 2*maxFile), now: o.Now}
	if l.now == nil {
		l.now = time.Now
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	if err := l.expire(); err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	return l, nil
}

// Close closes the log's file. What was appended is on the disk already.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closeFile()
}

// Action is an action that was begun.
type Action struct {
	log   *Log
	id    string
	begun time.Time
}

// Begin writes that an action is about to be done. If it fails, the action must
// not be done.
func (l *Log) Begin(e Entry) (*Action, error) {
	e.Time = l.now().UTC().Truncate(time.Millisecond)
	for _, text := range []*string{&e.Who, &e.Address, &e.Source, &e.Destination, &e.Detail} {
		*text = clip(*text)
	}
	id, err := l.append(line{Entry: &e})
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return &Action{log: l, id: id, begun: e.Time}, nil
}

// End writes the outcome of the action and on how many jobs it was. If it fails,
// the action was done all the same, and is shown with an unknown outcome.
func (a *Action) End(jobs int64, outcome error) error {
	text := Done
	if outcome != nil {
		text = clip(cmp.Or(outcome.Error(), "failed"))
	}
	took := a.log.now().Sub(a.begun)
	if _, err := a.log.append(line{Of: a.id, Outcome: text, Jobs: jobs, Seconds: took.Seconds()}); err != nil {
		return fmt.Errorf("audit log: the action was done, and its outcome not written: %w", err)
	}
	return nil
}

// append writes a line and syncs it. It returns where the line is.
func (l *Log) append(ln line) (id string, err error) {
	text, err := json.Marshal(ln)
	if err != nil {
		return "", err
	}
	text = append(text, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.room(); err != nil {
		return "", err
	}
	id = fmt.Sprintf("%s:%08d", strings.TrimSuffix(l.mu.name, suffix), l.mu.size)
	if _, err = l.mu.file.Write(text); err == nil {
		err = l.mu.file.Sync()
	}
	if err != nil {
		// What of it is on the disk is not known: the next line goes to a new file.
		return "", errors.Join(err, l.closeFile())
	}
	l.mu.size += int64(len(text))
	return id, nil
}

const suffix = ".ndjson"

// room opens a file for the next line if there is none for it. Its caller holds
// the lock.
func (l *Log) room() error {
	day := l.now().UTC().Format(time.DateOnly)
	if l.mu.file != nil && l.mu.size < maxFile && strings.HasPrefix(l.mu.name, day) {
		return nil
	}
	if err := errors.Join(l.closeFile(), l.expire()); err != nil {
		return err
	}
	next, err := l.next(day)
	if err != nil {
		return err
	}
	for n := next; ; n++ {
		name := fmt.Sprintf("%s-%04d%s", day, n, suffix)
		file, err := os.OpenFile(filepath.Join(l.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := syncFolder(l.dir); err != nil {
			return errors.Join(err, file.Close())
		}
		l.mu.file, l.mu.name, l.mu.size = file, name, 0
		return nil
	}
}

// next is the number after that of the day's last file: those of files that were
// removed are not used again, since files are in the order of their names.
func (l *Log) next(day string) (int, error) {
	names, err := l.files()
	if err != nil || len(names) == 0 || !strings.HasPrefix(names[len(names)-1], day) {
		return 1, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(names[len(names)-1][len(day)+1:], suffix))
	return n + 1, err
}

func (l *Log) closeFile() error {
	if l.mu.file == nil {
		return nil
	}
	err := l.mu.file.Close()
	l.mu.file = nil
	return err
}

// expire removes the files whose day ended longer ago than the log keeps, and those
// before the latest that there is room for.
func (l *Log) expire() error {
	names, err := l.files()
	if err != nil {
		return err
	}
	room := l.max
	for _, name := range slices.Backward(names) {
		path := filepath.Join(l.dir, name)
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		room -= info.Size()
		day, err := time.Parse(time.DateOnly, name[:len(time.DateOnly)])
		if room >= 0 && (err != nil || !l.now().After(day.Add(24*time.Hour+l.keep))) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// syncFolder makes the names of a folder's files durable.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// clip bounds a text, which may come from a stranger, and makes it UTF-8.
func clip(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
