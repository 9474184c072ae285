package sim

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// tailLines is how many of the last events a report of a violation holds.
const tailLines = 120

// eventLog is what happened, in virtual time since the beginning. The whole of
// it goes to out, if there is one; the tail is kept.
type eventLog struct {
	began time.Time
	out   io.Writer

	// suspect is called with each line of the Director's own log.
	suspect func(line string)

	mu struct {
		sync.Mutex
		lines [tailLines]string
		n     int
	}
}

func newEventLog(out io.Writer) *eventLog { return &eventLog{began: time.Now(), out: out} }

func (l *eventLog) add(format string, args ...any) {
	line := fmt.Sprintf("%12.6fs  %s", time.Since(l.began).Seconds(), fmt.Sprintf(format, args...))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.lines[l.mu.n%tailLines] = line
	l.mu.n++
	if l.out != nil {
		_, _ = io.WriteString(l.out, line+"\n")
	}
}

// tail returns the last events, oldest first.
func (l *eventLog) tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var tail []string
	for i := max(0, l.mu.n-tailLines); i < l.mu.n; i++ {
		tail = append(tail, l.mu.lines[i%tailLines])
	}
	return tail
}

// Write takes a line of the Director's own log.
func (l *eventLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	l.add("log: %s", text)
	if l.suspect != nil {
		l.suspect(text)
	}
	return len(line), nil
}

// logger is a logger for the Director, whose lines become events.
func (l *eventLog) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
