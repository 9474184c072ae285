package local

import (
	"context"
	"fmt"
	"sync"
	"time"

	"centrifuge/lease"
)

// Part is the lease of one thing in a folder, within the process that holds the
// folder's. It is never lost before that is closed.
type Part struct {
	folder *Lease
	name   string
	done   chan struct{}

	mu struct {
		sync.Mutex
		epoch uint64
		over  bool
	}
}

var _ lease.Lease = (*Part)(nil)

// Part leases what is called name in the folder, without waiting. If it is leased,
// the error wraps [lease.ErrHeld]. Its epochs are the folder's, and so higher than
// any before.
func (l *Lease) Part(name string) (*Part, error) {
	p := &Part{folder: l, name: name, done: make(chan struct{})}
	if err := l.join(p); err != nil {
		return nil, fmt.Errorf("lease %s in folder %s: %w", name, l.dir, err)
	}
	if _, err := p.Advance(context.Background()); err != nil {
		l.leave(p)
		return nil, fmt.Errorf("lease %s in folder %s: %w", name, l.dir, err)
	}
	return p, nil
}

// Parts returns the names of what is leased in the folder.
func (l *Lease) Parts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := make([]string, 0, len(l.mu.parts))
	for name := range l.mu.parts {
		names = append(names, name)
	}
	return names
}

func (l *Lease) join(p *Part) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return lease.ErrLost
	}
	if l.mu.parts[p.name] != nil {
		return lease.ErrHeld
	}
	if l.mu.parts == nil {
		l.mu.parts = make(map[string]*Part)
	}
	l.mu.parts[p.name] = p
	return nil
}

func (l *Lease) leave(p *Part) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.parts[p.name] == p {
		delete(l.mu.parts, p.name)
	}
}

// Epoch implements [lease.Lease].
func (p *Part) Epoch() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.epoch
}

// Advance implements [lease.Lease]. It does not wait for anything but the disk.
func (p *Part) Advance(ctx context.Context) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.over {
		return 0, fmt.Errorf("advance the epoch of %s: %w", p.name, lease.ErrLost)
	}
	epoch, err := p.folder.Advance(ctx)
	if err != nil {
		return 0, err
	}
	p.mu.epoch = epoch
	return epoch, nil
}

// TTL implements [lease.Lease]: the kernel ends it with the process.
func (p *Part) TTL() time.Duration { return 0 }

// Done implements [lease.Lease].
func (p *Part) Done() <-chan struct{} { return p.done }

// Held implements [lease.Lease].
func (p *Part) Held() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.mu.over
}

// Close implements [lease.Lease].
func (p *Part) Close(context.Context) error {
	p.end()
	p.folder.leave(p)
	return nil
}

func (p *Part) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mu.over {
		p.mu.over = true
		close(p.done)
	}
}
