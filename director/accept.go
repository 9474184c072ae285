package director

import (
	"context"
	"errors"
	"fmt"

	"centrifuge/jobdb"
)

// ErrWrongJobDB means that a transfer is for a JobDB which is not the Director's
// current one. Nothing of it was stored.
var ErrWrongJobDB = errors.New("the transfer is for another JobDB than the Director's current one")

// Bounds of one Transfer that a drain makes.
const (
	transferJobs  = 500
	transferBytes = 4 << 20
)

// Transfer is what goes from a JobDB that is drained to one that is in use.
type Transfer struct {
	From, To     string // names of JobDBs
	Jobs         []jobdb.Trace
	Policies     []jobdb.Policy
	Transactions []jobdb.Transaction
}

// Accept makes durable what comes from another JobDB: jobs with their ids and all
// their history, which go on from where they stand, policies of queues, of which
// the latest of each scope holds, and transactions, so that a repeated Submit is
// recognised. What is known already is passed over, so a Transfer may be repeated.
//
// It returns [ErrWrongJobDB] unless the JobDB named To is the current one, an
// [InvalidError] if a history is none, and [ErrUnavailable] if the outcome is
// unknown.
func (d *Director) Accept(ctx context.Context, tr Transfer) error {
	return fmt.Errorf("accept a transfer from %s: %w", tr.From, ErrUnavailable)
}

// adopt is Accept into whatever JobDB is the current one.
func (d *Director) adopt(ctx context.Context, tr Transfer) error {
	return nil
}
