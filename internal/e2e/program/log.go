package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// Log is what a process logs as JSON: how often it has said what, and the end of it.
type Log struct {
	mu struct {
		sync.Mutex
		rest    []byte // of a line that is not whole
		lines   []string
		said    map[string]int
		address string
	}
}

const keptLines = 60

func newLog() *Log {
	l := &Log{}
	l.mu.said = make(map[string]int)
	return l
}

// Write implements [io.Writer].
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.rest = append(l.mu.rest, p...)
	for {
		line, rest, whole := bytes.Cut(l.mu.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		l.mu.rest = rest
		l.mu.lines = append(l.mu.lines, string(line))
		if len(l.mu.lines) > keptLines {
			l.mu.lines = l.mu.lines[1:]
		}
		var record struct{ Msg, Address string }
		if json.Unmarshal(line, &record) != nil {
			continue
		}
		l.mu.said[record.Msg]++
		if record.Msg == "listening" {
			l.mu.address = record.Address
		}
	}
}

// Said is how many lines have had the message.
func (l *Log) Said(message string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.said[message]
}

// Address is where the process listens, once it does.
func (l *Log) Address() (address string, listens bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.address, l.mu.address != ""
}

// String is the end of the log.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("the end of its log:\n%s%s", strings.Join(l.mu.lines, "\n"), l.mu.rest)
}
