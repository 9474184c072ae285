package director

import (
	"context"
	"fmt"
	"iter"
)

// verify reads the booked ledger and begins the scan between two commits, when
// they must agree; the scan's snapshot lasts from its first row.
func (t *tenure) verify(ctx context.Context) (booked, recounted Ledger, err error) {
	next, stop := iter.Pull2(t.db.Scan(ctx))
	defer stop()
	t.log.between.Lock()
	booked = t.books.total()
	row, err, ok := next()
	t.log.between.Unlock()
	for ; ok; row, err, ok = next() {
		if err != nil {
			return booked, recounted, fmt.Errorf("recount the ledger: %w", err)
		}
		recounted.Accepted++
		*recounted.count(row.Last.State)++
	}
	return booked, recounted, nil
}
