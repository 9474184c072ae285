package visibility

import (
	"context"
	"fmt"
)

// maxRunning bounds for how many queues the hour under way is added up in memory.
const maxRunning = 50_000

// running is the counts of the hour under way, which is not sealed yet, added up as
// its minutes are: a query over a month reads one hour of many queues minute by minute
// in as much time as all the rest. It has all that there is of the minutes from from
// up to and without upTo, and nothing else. From upTo on nothing has been sealed yet.
type running struct {
	from, upTo minute
	cells      cells // without sketches
}

// sealed adds a minute that was sealed.
func (r *running) sealed(m minute, all *cells) {
	if m < r.upTo {
		return
	}
	if hour := m - minute(m.ofDay()%minutesOfHour); hour >= r.upTo {
		r.from, r.cells = hour, cells{}
	}
	for k := range kind(kinds) {
		for id, c := range all[k] {
			r.cells.of(k, id).mergeCounts(c)
		}
	}
	r.upTo = m + 1
	if len(r.cells[kindQueue]) > maxRunning {
		r.begin(r.upTo)
	}
}

// late is told of what comes for a minute. If that was added up, it is no more.
func (r *running) late(m minute) {
	if r.from <= m && m < r.upTo {
		r.begin(r.upTo)
	}
}

// sumUp adds up what was sealed of the hour before a minute by an earlier process. It
// reads each of its minutes, so that is done once an hour at most, and not whenever
// something comes late.
func (s *Store) sumUp(ctx context.Context, before minute) error {
	hour := (before - 1) - minute((before-1).ofDay()%minutesOfHour)
	if s.summed == hour || s.running.from <= hour || s.running.upTo > before { // the clock may have gone back
		return nil
	}
	s.summed = hour
	d := hour.day()
	spans := []span{{day: d, level: levelMinute, from: hour.ofDay(), to: (before - 1).ofDay() + 1}}
	var all cells
	for k := range kind(kinds) {
		if err := s.visit(ctx, spans, scope{kind: k}, wantCounts, func(_ minute, id uint32) *cell { return all.of(k, id) }); err != nil {
			return fmt.Errorf("add up the hour of %s: %w", hour.time(), err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(all[kindQueue]) <= maxRunning {
		s.running = running{from: hour, upTo: before, cells: all}
	}
	return nil
}

// begin forgets everything, and begins with a minute or later.
func (r *running) begin(m minute) {
	m = max(m, r.upTo)
	*r = running{from: m, upTo: m}
}

// within returns the minutes that are added up, if they are all in a part of a day.
func (r *running) within(d Day, from, to int) (first, end int, ok bool) {
	first, end = int(r.from-d.first()), int(r.upTo-d.first())
	return first, end, first < end && from <= first && end <= to
}
