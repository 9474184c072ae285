package visibility

import (
	"context"
	"errors"
	"time"

	"centrifuge"
)

// Store keeps what was recorded and answers queries. Its methods are safe for
// concurrent use. Queries see what a [Recorder] has flushed: all but the last few
// seconds.
type Store struct{}

var errNotYet = errors.New("not implemented yet")

// Series returns the counts of the filter's queues in steps: each from a multiple
// of step (UTC) to the next, cut to the range. The step is at least a minute, and
// there are at most 10,000 of them.
func (s *Store) Series(ctx context.Context, f Filter, r Range, step time.Duration) ([]Point, error) {
	return nil, errNotYet
}

// Summary returns the counts of the filter's queues over the range.
func (s *Store) Summary(ctx context.Context, f Filter, r Range) (Summary, error) {
	return Summary{}, errNotYet
}

// Breakdown returns how many attempts ended with each outcome and code, the most
// first.
func (s *Store) Breakdown(ctx context.Context, f Filter, r Range) ([]CodeCount, error) {
	return nil, errNotYet
}

// ByAttempt returns how many jobs were delivered by each attempt number, ascending,
// without those that delivered none.
func (s *Store) ByAttempt(ctx context.Context, f Filter, r Range) ([]AttemptCount, error) {
	return nil, errNotYet
}

// Top returns the filter's queues, destinations or sources in an order, limit of
// them at most.
func (s *Store) Top(ctx context.Context, by By, f Filter, r Range, o Order, limit int) ([]TopRow, error) {
	return nil, errNotYet
}

// Samples returns the latest attempts of a queue that were kept, the newest first:
// those that ended with the code, or with any if it is nil.
func (s *Store) Samples(ctx context.Context, queue centrifuge.QueueKey, code *Code) ([]Sample, error) {
	return nil, errNotYet
}

// Gaps returns the times within the range of which something is missing, the
// oldest first.
func (s *Store) Gaps(ctx context.Context, r Range) ([]Gap, error) {
	return nil, errNotYet
}
