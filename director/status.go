package director

import "time"

// Status is what a Director holds at the moment.
type Status struct {
	JobDB    string    // the current one; empty while there is none
	Since    time.Time // when it was acquired
	Ready    bool      // jobs are accepted
	Pending  int64     // unfinished jobs in the current JobDB
	InFlight int       // attempts under way
	Queues   int       // virtual queues in memory
	Retiring []string  // JobDBs whose place another has taken, the oldest first
}

// Status returns what the Director holds at the moment. It is cheap.
func (d *Director) Status() Status {
	var s Status
	s.Ready = d.Ready() == nil
	current := d.owner.Load()
	for _, w := range d.owners() {
		if w != current {
			s.Retiring = append(s.Retiring, w.Name)
		} else {
			s.JobDB, s.Since = w.Name, w.since
		}
		t := w.tenure.Load()
		if t == nil {
			continue
		}
		t.mu.Lock()
		stats := t.mu.sched.Stats()
		t.mu.Unlock()
		s.InFlight += stats.InFlight
		if w == current {
			s.Queues = stats.Queues
			total := t.books.total()
			s.Pending = total.Pending()
		}
	}
	return s
}
