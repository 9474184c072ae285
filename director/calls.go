package director

import "sync"

// calls counts the calls under way in a tenure, for which it waits before it lets
// go of a JobDB whose place another has taken.
type calls struct {
	mu struct {
		sync.Mutex
		n    int
		idle chan struct{} // made by finish; closed when no call is under way
	}
}

// enter begins a call and reports whether it may go on; leave ends it.
func (c *calls) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.idle != nil {
		return false
	}
	c.mu.n++
	return true
}

func (c *calls) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.n--; c.mu.n == 0 && c.mu.idle != nil {
		close(c.mu.idle)
	}
}

// finish lets no further call begin. The channel is closed when those under way
// have ended. It is called once.
func (c *calls) finish() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.idle = make(chan struct{})
	if c.mu.n == 0 {
		close(c.mu.idle)
	}
	return c.mu.idle
}
