package schedule

import (
	"math"
	"time"
)

const (
	tick    = tickMillis * time.Millisecond
	maxTick = math.MaxUint32

	// A day of ticks before the Scheduler was made, so that its clock may be set back.
	before = 24 * time.Hour

	never = math.MaxInt64 // on the running clock: only an event can change it
)

// clock keeps the two times the scheduler goes by. The wall clock, in ticks,
// says when jobs retry and expire, because those moments are wall-clock times in
// a database. The running clock, in nanoseconds, counts the time that passed
// between calls and stands while the wall clock is set back; rates and holds go by it.
type clock struct {
	epoch   time.Time // tick 0
	last    time.Time
	tick    uint32 // of the last call, rounded down
	running int64
}

func newClock(now time.Time) clock {
	now = now.Round(0) // without the monotonic reading, so that differences are those of the wall clock
	c := clock{epoch: now.Add(-before), last: now}
	c.tick = c.floor(now)
	return c
}

// observe takes notice of the time.
func (c *clock) observe(now time.Time) {
	now = now.Round(0)
	if d := now.Sub(c.last); d > 0 {
		c.running += int64(d)
	}
	c.last = now
	c.tick = c.floor(now)
}

func (c *clock) floor(t time.Time) uint32 { return clampTick(int64(t.Sub(c.epoch) / tick)) }

// ceil is the first tick that is not before t.
func (c *clock) ceil(t time.Time) uint32 {
	d := t.Sub(c.epoch)
	n := int64(d / tick)
	if d%tick > 0 {
		n++
	}
	return clampTick(n)
}

func clampTick(n int64) uint32 { return uint32(min(max(n, 0), maxTick)) }

// at is the time at which the tick begins.
func (c *clock) at(t uint64) time.Time { return c.epoch.Add(time.Duration(t) * tick) }
