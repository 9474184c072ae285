package http1

import (
	"slices"
	"sync"
	"time"
)

// pool holds the idle connections. Of one host the latest is taken first, so that
// those which are not needed grow old.
type pool struct {
	mu     sync.Mutex
	hosts  map[Host][]*conn // oldest first; none is empty
	total  int
	reaper *time.Timer // armed while there are connections
	closed bool
}

// take returns an idle connection to the host, nil if there is none.
func (p *pool) take(host Host) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := p.hosts[host]
	if len(conns) == 0 {
		return nil
	}
	last := len(conns) - 1
	c := conns[last]
	conns[last] = nil
	p.set(host, conns[:last])
	p.total--
	return c
}

// set replaces the connections of a host.
func (p *pool) set(host Host, conns []*conn) {
	if len(conns) == 0 {
		delete(p.hosts, host)
		return
	}
	p.hosts[host] = conns
}

// keep puts a connection into the pool; false says that there is no room.
func (t *Transport) keep(c *conn) bool {
	now := time.Now()
	p := &t.idle
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.total >= t.MaxIdle || len(p.hosts[c.host]) >= t.MaxIdlePerHost {
		return false
	}
	if p.hosts == nil {
		p.hosts = make(map[Host][]*conn)
	}
	c.since = now
	p.hosts[c.host] = append(p.hosts[c.host], c)
	p.total++
	if p.reaper == nil {
		p.reaper = time.AfterFunc(t.IdleTimeout, t.reap)
	}
	return true
}

// reap closes the connections that were idle for too long.
func (t *Transport) reap() {
	now := time.Now()
	next := t.IdleTimeout
	var old []*conn
	p := &t.idle
	p.mu.Lock()
	for host, conns := range p.hosts {
		n := slices.IndexFunc(conns, func(c *conn) bool { return now.Sub(c.since) < t.IdleTimeout })
		if n < 0 {
			n = len(conns)
		} else {
			next = min(next, t.IdleTimeout-now.Sub(conns[n].since))
		}
		old = append(old, conns[:n]...)
		p.total -= n
		p.set(host, slices.Delete(conns, 0, n))
	}
	switch {
	case p.closed:
	case p.total > 0:
		p.reaper.Reset(next)
	default:
		p.reaper = nil
	}
	p.mu.Unlock()
	closeAll(old)
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.reaper != nil {
		p.reaper.Stop()
	}
	var all []*conn
	for _, conns := range p.hosts {
		all = append(all, conns...)
	}
	p.hosts, p.total = nil, 0
	p.mu.Unlock()
	closeAll(all)
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		_ = c.Close()
	}
}
