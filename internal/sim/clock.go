package sim

import (
	"sync"
	"time"
)

// A bubble begins in the year 2000, before the first moment that a KSUID can name.
const ahead = 26 * 365 * 24 * time.Hour

// unsettled is for how long after a jump of the clock, or a word of the operator,
// what was decided before it may still be under way.
const unsettled = 15 * time.Second

// clock is the wall clock of the machine that the Director runs on: virtual time
// that somebody sets back and forth.
type clock struct {
	mu struct {
		sync.Mutex
		offset time.Duration
		past   []stretch
		leaps  int       // jumps forward
		leapt  time.Time // virtual: the last of them
	}
}

// stretch is a time for which the clock ran undisturbed.
type stretch struct {
	until  time.Time // virtual
	offset time.Duration
}

func newClock() *clock {
	c := &clock{}
	c.mu.offset = ahead
	return c
}

// now carries no monotonic reading, so that differences show the jumps.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowLocked()
}

func (c *clock) nowLocked() time.Time { return time.Now().Add(c.mu.offset).Round(0).UTC() }

// jump sets the clock by d.
func (c *clock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.past = append(c.mu.past, stretch{time.Now(), c.mu.offset})
	c.mu.offset += d
	if d > 0 {
		c.mu.leaps++
		c.mu.leapt = time.Now()
	}
}

// highest is the latest time that the clock has shown since a moment in virtual
// time: what was due by then may be done any time after.
func (c *clock) highest(since time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	highest := c.nowLocked()
	for _, s := range c.mu.past {
		if shown := s.until.Add(s.offset).Round(0).UTC(); !s.until.Before(since) && shown.After(highest) {
			highest = shown
		}
	}
	return highest
}

// leaps is how often the clock has jumped forward, and when last.
func (c *clock) leaps() (n int, last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.leaps, c.mu.leapt
}
