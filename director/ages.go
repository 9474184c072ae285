package director

import "time"

// Oldest returns when the oldest pending job was made, to the second; the zero time
// if none is pending.
func (d *Director) Oldest() (time.Time, error) {
	if _, err := d.current(); err != nil {
		return time.Time{}, err
	}
	var oldest time.Time
	for _, w := range d.owners() {
		if t := w.tenure.Load(); t != nil {
			if second, ok := t.books.oldest(); ok {
				if made := time.Unix(second, 0).UTC(); oldest.IsZero() || made.Before(oldest) {
					oldest = made
				}
			}
		}
	}
	return oldest, nil
}

// Expiring returns how many pending jobs expire within a time from now, rounded up
// to the minute.
func (d *Director) Expiring(within time.Duration) (int64, error) {
	if _, err := d.current(); err != nil {
		return 0, err
	}
	minute := d.o.Now().Add(within).Unix() / 60
	var n int64
	for _, w := range d.owners() {
		if t := w.tenure.Load(); t != nil {
			n += t.books.expiring(minute)
		}
	}
	return n, nil
}
