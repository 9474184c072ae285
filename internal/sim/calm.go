package sim

import (
	"sync"
	"time"
)

// calm makes commits take no virtual time while somebody calls a method of the
// Director that waits for the end of one with a lock: virtual time would stand.
type calm struct {
	mu struct {
		sync.Mutex
		wanted     int
		committing int
	}
}

// enter and leave bracket a commit.
func (c *calm) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.committing++
}

func (c *calm) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.committing--
}

func (c *calm) wanted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.wanted > 0
}

// during calls f while no commit takes virtual time.
func (c *calm) during(f func()) {
	c.mu.Lock()
	c.mu.wanted++
	for c.mu.committing > 0 {
		c.mu.Unlock()
		time.Sleep(time.Millisecond)
		c.mu.Lock()
	}
	c.mu.Unlock()
	f()
	c.mu.Lock()
	c.mu.wanted--
	c.mu.Unlock()
}
