package mysqltest

import (
	"bytes"
	"sync"
)

// startLog keeps what a server says, and tells when it takes connections.
type startLog struct {
	ready chan struct{} // closed then

	mu   sync.Mutex
	text bytes.Buffer
	said bool
}

func newStartLog() *startLog { return &startLog{ready: make(chan struct{})} }

func (l *startLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.text.Write(p)
	if !l.said && bytes.Contains(l.text.Bytes(), []byte("ready for connections")) {
		l.said = true
		close(l.ready)
	}
	return n, err
}

func (l *startLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
